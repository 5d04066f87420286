//! Where is compiled code kept between two starts?
//!
//! In a directory that only this user may write to, one file for each module and engine, so that the next start maps it
//! into memory and compiles nothing. A file is the code and a seal: a SHA-256 over its name and the code. A file that is cut
//! short, damaged or under another's name is not run but compiled again and replaced. The seal is no signature: whoever can
//! write to the directory could run anything, which is why nobody else may.
//!
//! Files appear whole, by renaming, and are never written to again, so that servers can share the directory and a running
//! one keeps what it has mapped when a file is removed or replaced.
//!
//! | name | what |
//! | --- | --- |
//! | `<SHA-256 of the module>-<engine>.cwasm` | its code; last modified when it was last used |
//! | `<random>.partial` | a file that is being written |

use std::fmt::Write as _;
use std::fs::{DirBuilder, File, FileTimes};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, Module};

use super::precompiled::{self, Private};

/// The length of a seal.
const SEAL: usize = 32;

/// Code is read in pieces of this size to be checked.
const PIECE: usize = 64 << 10;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It is not there, and cannot be made, or is no directory.
    #[error("cannot open `{}`", path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What is in it could be anybody's.
    #[error("`{}` is not yours alone to write to", path.display())]
    Shared {
        /// The directory.
        path: PathBuf,
    },
}

/// A directory with the code of one engine.
#[derive(Debug)]
pub struct CompiledCode {
    directory: OwnedFd,
    engine: String,
}

impl CompiledCode {
    /// The code for `engine` in the directory `path`, which is made if it is not there.
    pub fn open(path: &Path, engine: &Engine) -> Result<Self, CacheError> {
        let cannot = |source| CacheError::Open { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(cannot)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from).map_err(cannot)?;
        let found = rustix::fs::fstat(&directory).map_err(io::Error::from).map_err(cannot)?;
        if !precompiled::only_ours_to_write(found.st_uid, found.st_mode) {
            return Err(CacheError::Shared { path: path.to_owned() });
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { directory, engine: format!("{:016x}", hasher.finish()) })
    }

    /// The code of the module with this SHA-256, mapped into memory, if it is there and undamaged.
    pub fn find(&self, digest: &str, engine: &Engine) -> Option<Module> {
        let name = self.name(digest);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(&self.directory, &name, flags, Mode::empty()).ok()?);
        // So that what is not used for long can be told; without it the code is as good.
        let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
        let mapped =
            unbroken(file, &name).map_err(wasmtime::Error::from).and_then(|file| precompiled::map(engine, file));
        let not_used = |error: &wasmtime::Error| {
            tracing::warn!(file = name, error = %format!("{error:#}"), "compiled code is not used: compiling again");
        };
        mapped.inspect_err(not_used).ok()
    }

    /// Keeps the code of the module with this SHA-256, in place of what is there.
    pub fn keep(&self, digest: &str, code: &[u8]) -> io::Result<()> {
        let (name, partial) = (self.name(digest), partial_name()?);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.directory, &partial, flags, Mode::RUSR | Mode::WUSR)?);
        // Not synchronised: what a crash of the system leaves behind breaks the seal.
        let written = file.write_all(code).and_then(|()| file.write_all(&seal(&name, code)));
        let named = written.and_then(|()| Ok(renameat(&self.directory, &partial, &self.directory, &name)?));
        named.inspect_err(|_| {
            let _ = unlinkat(&self.directory, &partial, AtFlags::empty());
        })
    }

    fn name(&self, digest: &str) -> String {
        format!("{digest}-{}.cwasm", self.engine)
    }
}

fn partial_name() -> io::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let mut name = String::new();
    for byte in random {
        // Writing to a string does not fail.
        let _ = write!(name, "{byte:02x}");
    }
    Ok(name + ".partial")
}

fn seal(name: &str, code: &[u8]) -> [u8; SEAL] {
    Sha256::new_with_prefix(name).chain_update(code).finalize().into()
}

/// A file whose seal is whole.
fn unbroken(file: File, name: &str) -> io::Result<Private> {
    let file = Private::check(file)?;
    let mut reader = file.as_file();
    let code = file.as_file().metadata()?.len().checked_sub(SEAL as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut hasher = Sha256::new_with_prefix(name);
    let mut buffer = vec![0; PIECE];
    let mut left = code;
    while left > 0 {
        let read = reader.take(left).read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        left = left.saturating_sub(read as u64);
    }
    let mut found = [0; SEAL];
    reader.read_exact(&mut found)?;
    if found != <[u8; SEAL]>::from(hasher.finalize()) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "its seal is broken"));
    }
    reader.rewind()?;
    Ok(file)
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
