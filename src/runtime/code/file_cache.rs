//! How is compiled code kept in files of wagi's own format?
//!
//! In a directory that only this user may write to, one file for each module and engine. The next start maps the file of a
//! module into memory and compiles nothing; the file of a component is read. `sealed` says what a file holds and when it is
//! trusted. If a file is cut short, damaged, or has the name of another file, the module is compiled again and the file replaced.
//!
//! A file gets its name when it is complete, and is never written to again. So several servers can share the directory, and a
//! running server keeps the files that it has mapped when they are removed or replaced.
//!
//! | name | what |
//! | --- | --- |
//! | `<SHA-256 of the module>-<engine>.cwasm` | its code; last modified when it was last used |
//! | `snapshot-<SHA-256>-<engine>.cwasm` | the code of a program at its checkpoint, with a description: see `warm_start::kept` |
//! | `<random>.partial` | a file that is being written |

use std::fs::{File, FileTimes};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use wasmtime::{Engine, Module};

use crate::cache;
use crate::cache::Exposure;

use crate::runtime::code::deserialize;
use crate::runtime::code::machine_code::MachineCode;
use crate::runtime::code::sealed;
use crate::runtime::code::sealed::SealedFile;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It does not exist and cannot be created, or it is not a directory.
    #[error(transparent)]
    Open(#[from] io::Error),
    /// Other users can write to it.
    #[error(transparent)]
    Exposed(Exposure),
}

/// A directory of compiled code, for any number of engines.
#[derive(Debug)]
pub(in crate::runtime) struct FileCache {
    directory: OwnedFd,
    path: PathBuf,
}

/// The code of a module, and what its owner has to know of it.
pub(in crate::runtime) struct DescribedModule {
    pub module: Module,
    pub description: Vec<u8>,
}

impl FileCache {
    /// Opens the directory at `path`, created if it does not exist.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        cache::create(path)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?);
        match cache::exposure_of(path, &directory.metadata()?) {
            Some(exposure) => Err(CacheError::Exposed(exposure)),
            None => {
                cache::sweep_compiled(path);
                Ok(Self { directory: directory.into(), path: path.to_owned() })
            }
        }
    }

    /// Returns the code for `engine` of the module or component with this SHA-256, if there is a file that is undamaged.
    pub fn get<C: MachineCode>(&self, digest: &str, engine: &Engine) -> Option<C> {
        let name = file_name(digest, engine);
        let file = self.open_file(&name)?;
        let not_used = |error: &wasmtime::Error| {
            let error = format!("{error:#}");
            // A module that needs more than its limits allow: nothing is wrong with the code, and compiling says so again.
            if !error.contains("pooling allocator") {
                tracing::warn!(file = name, error, "compiled code is not used: compiling again");
            }
        };
        C::deserialize_sealed(engine, file, &name).inspect_err(not_used).ok()
    }

    fn open_file(&self, name: &str) -> Option<File> {
        // A pipe must not be waited for; `sealed` takes regular files only.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(&self.directory, name, flags, Mode::empty()).ok()?);
        // The time of the last use, for `prune`. If it cannot be set, the code is as good.
        let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
        Some(file)
    }

    /// Returns the described code for `engine` that is kept under `key`. A file that is damaged, or that others could have written, is
    /// removed.
    pub fn described(&self, key: &str, engine: &Engine) -> Option<DescribedModule> {
        let name = file_name(key, engine);
        let file = self.open_file(&name)?;
        let read = || -> wasmtime::Result<DescribedModule> {
            let sealed = SealedFile::verify(file, &name)?;
            let description = sealed.description()?;
            Ok(DescribedModule { module: deserialize::map_module(engine, sealed)?, description })
        };
        let not_used = |error: &wasmtime::Error| {
            let error = format!("{error:#}");
            tracing::warn!(file = name, error, "a snapshot is not used: making it again");
            self.remove(key, engine);
        };
        read().inspect_err(not_used).ok()
    }

    /// Writes described code, replacing what was kept under `key`. What was not used for longest is removed if there is too much now.
    pub fn insert_described(&self, key: &str, engine: &Engine, code: impl Read, description: &[u8]) -> io::Result<()> {
        self.insert(key, engine, sealed::described(code, description))?;
        cache::sweep_compiled(&self.path);
        Ok(())
    }

    /// Removes what is kept for `engine` under `key`.
    pub fn remove(&self, key: &str, engine: &Engine) {
        let _ = unlinkat(&self.directory, file_name(key, engine), AtFlags::empty());
    }

    /// Writes the code for `engine` of the module or component with this SHA-256, replacing an older file.
    pub fn insert(&self, digest: &str, engine: &Engine, code: impl Read) -> io::Result<()> {
        let (name, partial) = (file_name(digest, engine), cache::random_name()? + cache::PARTIAL_CODE);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = File::from(openat(&self.directory, &partial, flags, Mode::RUSR | Mode::WUSR)?);
        // Not synchronized: a file that a crash of the system leaves incomplete has the wrong checksum.
        let written = sealed::write(&file, &name, code);
        let named = written.and_then(|()| Ok(renameat(&self.directory, &partial, &self.directory, &name)?));
        named.inspect_err(|_| {
            let _ = unlinkat(&self.directory, &partial, AtFlags::empty());
        })
    }
}

fn file_name(digest: &str, engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}{}", hasher.finish(), cache::CODE)
}

#[cfg(test)]
#[path = "file_cache_tests.rs"]
mod tests;
