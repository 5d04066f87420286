//! Can a guest write to code that is run?
//!
//! The server runs machine code without checking it. If a guest could write to it, the guest could leave its sandbox. So a volume
//! that a guest may write to must contain neither the code cache nor a file of ahead-of-time code. If it contains scripts, the
//! operator is warned: what a guest writes there is run for the next client, though in the sandbox. The operator is also warned if a
//! `[[static]]` sends scripts to clients.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::config::{CodeCacheConfig, Config, Diagnostic, EntryConfig, Preparation, StaticConfig, StaticContent};
use crate::fetch::ModuleFile;
use crate::route::ScriptRules;

use crate::startup::diagnostics;
use crate::startup::error::LoadError;

/// The configuration of the code cache; `None`, with a warning, if a guest can write to its directory.
pub(super) fn code_cache_config(config: &Config, problems: &mut Vec<Diagnostic>) -> Option<CodeCacheConfig> {
    if config.cache.is_none() && config.user_cache.is_none() {
        tracing::info!(
            "compiled code is not kept for the next start: neither XDG_CACHE_HOME nor HOME is an absolute path"
        );
    }
    let cache = config.cache.as_ref()?;
    match exposed_code_cache(config, cache) {
        None => Some(cache.clone()),
        Some(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// A warning if a guest of `config` can write to the directory of a code cache.
pub(super) fn exposed_code_cache(config: &Config, cache: &CodeCacheConfig) -> Option<Diagnostic> {
    let directory = &cache.directory;
    let volume = writable_above(config, directory)?;
    let message = format!(
        "compiled code is not kept: `{}` is in the volume `{}`, which guests may write to",
        directory.display(),
        volume.display()
    );
    Some(Diagnostic::warning(message).help("give guests another directory, or this one with `read_only = true`"))
}

/// Fails if the module of `entry` is ahead-of-time code that guests may write to.
pub(super) fn check(config: &Config, entry: &EntryConfig, file: &ModuleFile) -> Result<(), LoadError> {
    if entry.preparation != Preparation::Precompiled {
        return Ok(());
    }
    match writable_above(config, file.path()) {
        Some(volume) => Err(LoadError::Exposed { volume }),
        None => Ok(()),
    }
}

/// A warning if guests may write to the scripts of an entry.
pub(super) fn writable_scripts(config: &Config, entry: &EntryConfig) -> Option<Diagnostic> {
    let volume = writable_above(config, &entry.scripts.as_ref()?.directory)?;
    Some(diagnostics::scripts_are_writable(entry, &volume))
}

/// A warning for each `[[static]]` that would send the sources of scripts: its directory contains theirs, or its file is one of them.
pub(super) fn sent_scripts(config: &Config, entry: &EntryConfig) -> Vec<Diagnostic> {
    let Some(scripts) = &entry.scripts else { return Vec::new() };
    let (directory, rules) = (resolved(&scripts.directory), ScriptRules::new(&scripts.extensions, &scripts.index));
    let sends = |files: &&StaticConfig| match &files.content {
        StaticContent::Directory { path, .. } => directory.starts_with(resolved(path)),
        StaticContent::File(path) => {
            let path = resolved(path);
            let is_source = path.file_name().is_some_and(|name| rules.may_be_source(name.as_bytes()));
            is_source && path.starts_with(&directory)
        }
    };
    config.static_files.iter().filter(sends).map(|files| diagnostics::scripts_are_sent(entry, files)).collect()
}

/// A warning if clients or guests can read core dumps, which hold what other guests knew.
pub(super) fn visible_coredumps(config: &Config) -> Option<Diagnostic> {
    let dumps = config.debug.coredumps.as_ref()?;
    let volumes = config.entries.iter().flat_map(|entry| &entry.volumes).map(|volume| &volume.host_path);
    let served = config.static_files.iter().map(|entry| entry.content.path());
    let scripts = config.entries.iter().filter_map(|entry| Some(&entry.scripts.as_ref()?.directory));
    let directory = resolved(&dumps.directory);
    let above = volumes.chain(served).chain(scripts).find(|path| directory.starts_with(resolved(path)))?;
    let message = format!("core dumps are in `{}`, which clients or guests can read", above.display());
    let problem = Diagnostic::warning(message).at(dumps.location.clone());
    Some(problem.help("name a directory outside of it: a core dump holds the memory of a guest"))
}

/// The writable volume that contains this file or directory, or that is inside this directory.
fn writable_above(config: &Config, path: &Path) -> Option<PathBuf> {
    let path = resolved(path);
    let volumes = config.entries.iter().flat_map(|entry| &entry.volumes).filter(|volume| !volume.read_only);
    volumes
        .map(|volume| resolved(&volume.host_path))
        .find(|volume| path.starts_with(volume) || volume.starts_with(&path))
}

/// The path without symbolic links, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = absolute.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    match found {
        Some((above, canonical)) => canonical.join(absolute.strip_prefix(above).unwrap_or(Path::new(""))),
        None => absolute,
    }
}
