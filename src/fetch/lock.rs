//! Is what is here what the lock file says, and what is to be written into it?
//!
//! What the file lacks and what it has too much is found before anything is fetched; whether the bytes are the right ones,
//! after. Called by the parent, and by whoever writes the file.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use crate::config::{Arrival, Diagnostic, EntryConfig, Fetched, Key, Lock, LockedModule, ModuleRef, Sha256};

use crate::cache::disk::{Stopped, copy_and_digest};
use crate::cache::random_name;

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
        ModuleRef::Fetched(fetched) => return key(&fetched.reference),
        _ => None,
    };
    (module.to_string(), server)
}

impl Comparison<'_> {
    fn problem(&self, message: String) -> Diagnostic {
        let problem = if self.is_required { Diagnostic::error(message) } else { Diagnostic::warning(message) };
        problem.help(self.cure())
    }

    fn cure(&self) -> String {
        format!("bring the lock file up to date: `wagi lock -c {}`", self.lock.manifest.display())
    }

    fn find(&self, module: &ModuleRef) -> Option<&LockedModule> {
        let (reference, server) = key(module);
        self.lock.find((&reference, server.as_deref()))
    }

    /// What is in only one of both. If differences are errors, scripts that are not locked are dropped.
    pub fn compare(&self, scripts: &mut Vec<EntryConfig>) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        let (mut wanted, name) = (HashSet::new(), self.lock.path.display());
        scripts.retain(|script| {
            let is_locked = self.find(&script.module).is_some();
            if wanted.insert(key(&script.module)) && !is_locked {
                let message = format!("`{}` is not in the lock file `{name}`", script.module);
                problems.push(self.problem(message).at(script.origin.at(Key::Module)));
            }
            is_locked || !self.is_required
        });
        for locked in &self.lock.modules {
            let (reference, server) = locked.key();
            if !wanted.contains(&(reference.to_owned(), server.map(str::to_owned))) {
                let message = format!("`{reference}` is in the lock file, but no module of the configuration");
                problems.push(self.problem(message).at(locked.place.clone()));
            }
        }
        problems
    }

    /// Whether the files are those that were locked. What is served is what the lock file says or, for a file that somebody
    /// has changed, reported.
    pub fn verify(&self, scripts: &mut [EntryConfig]) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for script in scripts {
            let Some(locked) = self.find(&script.module) else { continue };
            match &script.module {
                ModuleRef::Fetched(fetched) if (&fetched.sha256, fetched.size) != (&locked.module, locked.size) => {
                    let message = format!("the lock file contradicts itself about `{}`", script.module);
                    let problem = Diagnostic::error(message).at(locked.place.clone()).help(self.cure());
                    let found = format!("the module is sha256:{} and has {} bytes", fetched.sha256, fetched.size);
                    problems.push(problem.label(found));
                }
                ModuleRef::File(path) => match digest(path) {
                    Ok((sha256, size)) if (&sha256, size) == (&locked.module, locked.size) => {
                        let (reference, path) = (script.module.clone(), path.clone());
                        let (manifest, arrival) = (None, Arrival::default());
                        let fetched = Fetched { reference, path, sha256, size, manifest, arrival };
                        script.module = ModuleRef::Fetched(Box::new(fetched));
                    }
                    Ok((sha256, size)) => {
                        let message = format!("`{}` is not what the lock file says", script.module);
                        let problem = self.problem(message).at(script.origin.at(Key::Module));
                        problems.push(problem.label(format!("its SHA-256 is `{sha256}`, and it has {size} bytes")));
                    }
                    // Whoever reads it next says so.
                    Err(_) => {}
                },
                _ => {}
            }
        }
        problems
    }
}

/// What the modules of `scripts` are, after they have been fetched.
pub(super) fn take(scripts: &[EntryConfig]) -> Result<Lock, Box<Diagnostic>> {
    let mut modules = Vec::new();
    for script in scripts {
        let (reference, server) = key(&script.module);
        let (manifest, (module, size)) = match &script.module {
            ModuleRef::Fetched(fetched) => (fetched.manifest.clone(), (fetched.sha256.clone(), fetched.size)),
            ModuleRef::File(path) => {
                let unreadable = |error| {
                    let problem = Diagnostic::error(format!("cannot read `{}`", path.display()));
                    Box::new(problem.at(script.origin.at(Key::Module)).caused_by(&error))
                };
                (None, digest(path).map_err(unreadable)?)
            }
            ModuleRef::Oci(_) | ModuleRef::Bindle { .. } => continue,
        };
        modules.push(LockedModule { reference, server, manifest, module, size, place: None });
    }
    Ok(Lock { modules, ..Lock::default() })
}

fn digest(path: &Path) -> io::Result<(Sha256, u64)> {
    let read = copy_and_digest(&mut File::open(path)?, &mut io::sink(), u64::MAX - 1);
    let (digest, size) = read.map_err(|stopped| match stopped {
        Stopped::Reading(error) | Stopped::Writing(error) => error,
    })?;
    let digest = digest.parse().map_err(|()| io::Error::other("it has no digest"))?;
    Ok((digest, size))
}

/// Writes a lock file whole, in place of what is there. Whether that was anything else.
pub fn write_lock(path: &Path, lock: &Lock) -> io::Result<bool> {
    let text = lock.to_string();
    if fs::read(path).is_ok_and(|found| found == text.as_bytes()) {
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
