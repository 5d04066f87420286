//! What is a configuration that could be put in force?
//!
//! Everything that can fail has been done: its modules are compiled, its volumes open, its routes checked.

use std::os::unix::fs::MetadataExt;

use crate::config::{Config, Diagnostic, EntryConfig};
use crate::fetch::Resolved;
use crate::gateway::{RouteFiles, Snapshot};
use crate::outbound::Network;
use crate::runtime::Executable;

use crate::startup::error::{Error, LoadError};
use crate::startup::guest_writable;
use crate::startup::handover::Handover;
use crate::startup::load::{Loaded, ModuleSpec, Priority};
use crate::startup::platform::Platform;
use crate::startup::routes::RouteTableBuilder;

/// A configuration that could be put in force, if there is no error among its problems.
pub(super) struct Candidate {
    pub snapshot: Snapshot,
    pub handover: Handover,
    pub parts: Parts,
    pub counts: Counts,
    /// Whether there is a module that may be half written.
    #[expect(dead_code, reason = "the next commit tries again")]
    pub is_half_written: bool,
}

/// How much of a configuration there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub routes: usize,
    /// Modules with different content, and how many of them were compiled.
    pub modules: usize,
    pub compiled: usize,
}

/// What has to differ between two configurations so that requests can tell them apart, besides what is in the files.
#[derive(PartialEq, Eq)]
pub(super) struct Parts {
    /// One for each entry.
    executables: Vec<Option<Executable>>,
    /// Device and inode of each volume.
    volumes: Vec<Option<(u64, u64)>>,
    network: Option<Network>,
}

/// A configuration that is being loaded.
pub(super) struct Loading<'a> {
    pub resolved: &'a Resolved,
    pub platform: &'a Platform,
    pub before: &'a Handover,
    pub priority: Priority,
}

impl Loading<'_> {
    /// Loads the modules and mounts the entries. Guests that may use `files` keep them.
    pub async fn load(&self, files: Option<RouteFiles>, problems: &mut Vec<Diagnostic>) -> Result<Candidate, Error> {
        let Self { resolved, platform, before, priority } = *self;
        let config = resolved.config();
        let specs = resolved.entries().map(|(entry, file)| ModuleSpec::new(entry, file)).collect();
        let Loaded { executables, modules, compiled } = platform.load(config, specs, priority).await?;
        let mut routes = RouteTableBuilder::new(config, platform, before, problems)?.with_files(files);
        let found = executables.iter().map(|executable| executable.as_ref().ok().cloned()).collect();
        let is_half_written =
            executables.iter().any(|loaded| loaded.as_ref().is_err_and(LoadError::may_be_half_written));
        for ((entry, file), executable) in resolved.entries().zip(executables) {
            match executable.and_then(|executable| guest_writable::check(config, entry, file).map(|()| executable)) {
                Ok(executable) => routes.add_entry(entry, file, &executable).await,
                Err(error) => routes.report(entry, &error),
            }
        }
        let (routes, handover) = routes.finish()?;
        let hostname = config.hostname.explicit.then(|| config.hostname.to_string());
        let snapshot = Snapshot::new(routes, hostname.as_deref(), &config.limits, &config.server);
        let counts = Counts { routes: snapshot.guests(), modules, compiled };
        let parts = Parts { executables: found, volumes: volumes(config), network: platform.network(config)? };
        Ok(Candidate { snapshot, handover, parts, counts, is_half_written })
    }
}

/// Device and inode of each volume: a directory that was made anew has the same path.
fn volumes(config: &Config) -> Vec<Option<(u64, u64)>> {
    let volumes = config.entries.iter().flat_map(|entry: &EntryConfig| &entry.volumes);
    volumes.map(|volume| std::fs::metadata(&volume.host_path).ok().map(|found| (found.dev(), found.ino()))).collect()
}
