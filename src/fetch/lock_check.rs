//! Are the files of modules those that the lock file names, and what does a new lock file say?
//!
//! Before anything is fetched, wagi compares the modules that the configuration and the lock file name. After that, it compares
//! the digests of the files.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::config::{Diagnostic, EntryConfig, Key, Lock, LockedModule, ModuleRef, Sha256};
use crate::format::counted;

use crate::cache::disk::{CopyError, copy_and_digest};
use crate::cache::random_name;
use crate::regular_file;
use crate::signature::Signer;

use crate::fetch::resolved::{ModuleFile, Resolved, ResolvedEntry};

/// The lock file against a configuration.
pub(super) struct Comparison<'l> {
    pub lock: &'l Lock,
    /// Whether a difference is an error.
    pub is_required: bool,
}

/// By what a module is found in a lock file: its reference, and the server if that is named elsewhere.
fn key(module: &ModuleRef) -> (String, Option<String>) {
    let server = match module {
        ModuleRef::Bindle { server, .. } => server.clone(),
        ModuleRef::File(_) | ModuleRef::Oci(_) => None,
    };
    (module.to_string(), server)
}

impl Comparison<'_> {
    fn problem(&self, message: String) -> Diagnostic {
        let problem = if self.is_required { Diagnostic::error(message) } else { Diagnostic::warning(message) };
        problem.help(self.help())
    }

    fn help(&self) -> String {
        format!("bring the lock file up to date: `wagi lock -c {}`", self.lock.manifest.display())
    }

    fn find(&self, module: &ModuleRef) -> Option<&LockedModule> {
        let (reference, server) = key(module);
        self.lock.find((&reference, server.as_deref()))
    }

    /// Reports modules that only the configuration or only the lock file has. If differences are errors, entries that
    /// are not locked are dropped.
    pub fn compare(&self, entries: &mut Vec<EntryConfig>) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        let (mut configured, name) = (HashSet::new(), self.lock.path.display());
        entries.retain(|entry| {
            let is_locked = self.find(&entry.module).is_some();
            if configured.insert(key(&entry.module)) && !is_locked {
                let message = format!("`{}` is not in the lock file `{name}`", entry.module);
                problems.push(self.problem(message).at(entry.origin.at(Key::Module)));
            }
            is_locked || !self.is_required
        });
        for locked in &self.lock.modules {
            let (reference, server) = locked.key();
            if !configured.contains(&(reference.to_owned(), server.map(str::to_owned))) {
                let message = format!("`{reference}` is in the lock file, but no module of the configuration");
                problems.push(self.problem(message).at(locked.location.clone()));
            }
        }
        problems
    }

    /// Reports files that are not those that were locked. A local file that is the locked one is checked again when it
    /// is loaded.
    pub fn verify(&self, entries: &mut [ResolvedEntry]) -> Vec<Diagnostic> {
        let mut problems: Vec<_> = entries.iter_mut().filter_map(|entry| self.verify_entry(entry)).collect();
        problems.extend(entries.iter().filter_map(|entry| self.verify_signer(entry, entries)));
        problems
    }

    /// Reports a module that another one has signed than when it was locked. Of entries with the same module, one may need no signature.
    fn verify_signer(&self, entry: &ResolvedEntry, entries: &[ResolvedEntry]) -> Option<Diagnostic> {
        let locked = self.find(&entry.config.module)?;
        let signer = |entry: &ResolvedEntry| entry.signer.as_ref().map(Signer::to_string);
        let found = signer(entry);
        let has_its =
            |other: &ResolvedEntry| other.config.module == entry.config.module && signer(other) == locked.signed_by;
        if found == locked.signed_by || (found.is_none() && entries.iter().any(has_its)) {
            return None;
        }
        let none = || "no verified signature".to_owned();
        let message = format!("`{}` is not signed as the lock file says", entry.config.module);
        let problem = self.problem(message).at(entry.config.origin.at(Key::Module));
        let (found, locked) = (found.unwrap_or_else(none), locked.signed_by.clone().unwrap_or_else(none));
        Some(problem.label(format!("it has: {found}; the lock file says: {locked}")))
    }

    fn verify_entry(&self, entry: &mut ResolvedEntry) -> Option<Diagnostic> {
        let module = &entry.config.module;
        let locked = self.find(module)?;
        match &mut entry.file {
            ModuleFile::Fetched(fetched) if (&fetched.sha256, fetched.size) != (&locked.module, locked.size) => {
                let message = format!("the lock file contradicts itself about `{module}`");
                let problem = Diagnostic::error(message).at(locked.location.clone()).help(self.help());
                let size = counted(fetched.size, "byte", "bytes");
                let found = format!("the module is sha256:{} and has {size}", fetched.sha256);
                Some(problem.label(found))
            }
            ModuleFile::Fetched(_) => None,
            ModuleFile::Local { path, sha256: expected } => {
                // A file that cannot be read is reported when it is loaded.
                let (sha256, size) = digest(path).ok()?;
                // What was verified is what is loaded, whatever the lock file says.
                if expected.as_ref().is_some_and(|verified| *verified != sha256) {
                    let problem = Diagnostic::error(format!("`{module}` has changed since its signature was verified"));
                    let problem = problem.at(entry.config.origin.at(Key::Module));
                    return Some(problem.help("start again when nothing writes it any more"));
                }
                if (&sha256, size) == (&locked.module, locked.size) {
                    *expected = Some(sha256);
                    return None;
                }
                let message = format!("`{module}` is not what the lock file says");
                let problem = self.problem(message).at(entry.config.origin.at(Key::Module));
                let size = counted(size, "byte", "bytes");
                Some(problem.label(format!("its SHA-256 is `{sha256}`, and it has {size}")))
            }
        }
    }
}

/// The lock file for the modules of a configuration as they are now.
pub(super) fn of(resolved: &Resolved) -> Result<Lock, Box<Diagnostic>> {
    let mut modules = Vec::new();
    for ((entry, file), signer) in resolved.entries().zip(resolved.signers()) {
        let (reference, server) = key(&entry.module);
        let (manifest, (module, size)) = match file {
            ModuleFile::Fetched(fetched) => (fetched.manifest.clone(), (fetched.sha256.clone(), fetched.size)),
            ModuleFile::Local { path, .. } => {
                let unreadable = |error| {
                    let problem = Diagnostic::error(format!("cannot read `{}`", path.display()));
                    Box::new(problem.at(entry.origin.at(Key::Module)).caused_by(&error))
                };
                (None, digest(path).map_err(unreadable)?)
            }
        };
        let signed_by = signer.map(Signer::to_string);
        modules.push(LockedModule { reference, server, manifest, module, size, signed_by, location: None });
    }
    Ok(Lock { modules, ..Lock::default() })
}

fn digest(path: &Path) -> io::Result<(Sha256, u64)> {
    let read = copy_and_digest(&mut regular_file::open(path)?, &mut io::sink(), u64::MAX - 1);
    let (digest, size) = read.map_err(|stopped| match stopped {
        CopyError::Read(error) | CopyError::Write(error) => error,
    })?;
    let digest = digest.parse().map_err(|()| io::Error::other("it has no digest"))?;
    Ok((digest, size))
}

/// Writes a lock file whole, in place of what is there. Whether that was anything else.
pub fn write_lock(path: &Path, lock: &Lock) -> io::Result<bool> {
    let text = lock.to_string();
    if regular_file::read(path, text.len() as u64).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(false);
    }
    let partial = path.with_file_name(format!(".wagi.lock.{}", random_name()?));
    let written = File::create_new(&partial).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written.map(|()| true)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::config::Origin;
    use crate::route::RoutePattern;

    use crate::fetch::lock_check::*;

    fn entry(path: &Path, sha256: Option<&Sha256>, signer: Option<&Signer>) -> ResolvedEntry {
        let module = ModuleRef::File(path.to_owned());
        let config = EntryConfig::new(Origin::command_line(), RoutePattern::new("/"), module);
        let file = ModuleFile::Local { path: path.to_owned(), sha256: sha256.cloned() };
        ResolvedEntry { config, file, signer: signer.cloned() }
    }

    /// A lock file with the file as it is now.
    fn lock(path: &Path, signer: Option<&Signer>) -> Lock {
        let (module, size) = digest(path).expect("a file");
        let (reference, server) = key(&ModuleRef::File(path.to_owned()));
        let signed_by = signer.map(Signer::to_string);
        let modules = vec![LockedModule { reference, server, manifest: None, module, size, signed_by, location: None }];
        Lock { path: PathBuf::new(), manifest: PathBuf::new(), modules }
    }

    #[test]
    fn a_file_that_was_verified_is_not_another_one_because_the_lock_file_names_that() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("app.wasm");
        fs::write(&path, "locked").expect("writable");
        let lock = lock(&path, None);
        let locked = &lock.modules[0].module;
        let verified: Sha256 = "0".repeat(64).parse().expect("a digest");
        for (before, after, is_refused) in
            [(None, locked, false), (Some(locked), locked, false), (Some(&verified), &verified, true)]
        {
            let mut entries = [entry(&path, before, None)];
            let problems = Comparison { lock: &lock, is_required: false }.verify(&mut entries);
            assert_eq!(problems.iter().any(Diagnostic::is_error), is_refused, "{before:?}");
            assert_eq!(entries[0].file.sha256(), Some(after));
        }
    }

    #[test]
    fn of_two_entries_with_one_module_one_may_need_no_signature() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("app.wasm");
        fs::write(&path, "locked").expect("writable");
        let [own, other] = ["own", "other"].map(|name| Signer::Key(name.to_owned()));
        for (signers, problems) in [
            (vec![Some(&own)], 0),
            (vec![Some(&own), None], 0),
            (vec![None], 1),
            (vec![Some(&other)], 1),
            (vec![Some(&own), Some(&other)], 1),
        ] {
            let mut entries: Vec<_> = signers.iter().map(|signer| entry(&path, None, *signer)).collect();
            let lock = lock(&path, Some(&own));
            let found = Comparison { lock: &lock, is_required: true }.verify(&mut entries);
            assert_eq!(found.len(), problems, "{signers:?}");
        }
        let lock = lock(&path, None);
        let signed = LockedModule { signed_by: Some(own.to_string()), ..lock.modules[0].clone() };
        let both = Lock { modules: vec![lock.modules[0].clone(), signed], ..lock };
        assert!(both.to_string().contains("signed_by"), "{both}");
    }
}
