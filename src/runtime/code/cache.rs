//! Where is compiled code kept between two starts?
//!
//! In a directory that only this user may write to, one file for each module and engine, so that the next start maps it
//! into memory and compiles nothing; components are read. A file is the code and a seal: a SHA-256 over its name and the code. A file that is cut
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

use std::fs::{File, FileTimes};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use crate::cache;
use crate::cache::Exposure;

use crate::runtime::code::precompiled;
use crate::runtime::code::precompiled::{Private, TrustedCode};

/// The length of a seal.
const SEAL: usize = 32;

/// Code is read in pieces of this size to be checked.
const PIECE: usize = 64 << 10;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It is not there, and cannot be made, or is no directory.
    #[error(transparent)]
    Open(#[from] io::Error),
    /// What is in it could be anybody's.
    #[error(transparent)]
    Exposed(Exposure),
}

/// The machine code of a module or component.
pub trait MachineCode: Sized {
    /// What the file of this name holds, if its seal is whole.
    fn find(engine: &Engine, file: File, name: &str) -> wasmtime::Result<Self>;
}

/// It is mapped into memory.
impl MachineCode for Module {
    fn find(engine: &Engine, file: File, name: &str) -> wasmtime::Result<Self> {
        let file = Private::check(file)?;
        let mut reader = file.as_file();
        check_seal(reader, reader.metadata()?.len(), name)?;
        reader.rewind()?;
        precompiled::map(engine, file)
    }
}

/// It is read into memory: the engine maps components from a path only, and there is none that stays.
impl MachineCode for Component {
    fn find(engine: &Engine, file: File, name: &str) -> wasmtime::Result<Self> {
        let code = TrustedCode::read(file, u64::MAX)?;
        check_seal(code.bytes(), code.bytes().len() as u64, name)?;
        precompiled::load_component(engine, &code)
    }
}

/// A directory with code, of any engine.
#[derive(Debug)]
pub struct CompiledCode {
    directory: OwnedFd,
}

impl CompiledCode {
    /// The code in the directory `path`, which is made if it is not there.
    pub fn open(path: &Path) -> Result<Self, CacheError> {
        cache::create(path)?;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?);
        match cache::exposure_of(path, &directory.metadata()?) {
            Some(exposure) => Err(CacheError::Exposed(exposure)),
            None => {
                cache::sweep_compiled(path);
                Ok(Self { directory: directory.into() })
            }
        }
    }

    /// The code for `engine` of what has this SHA-256, if it is there and undamaged.
    pub fn find<C: MachineCode>(&self, digest: &str, engine: &Engine) -> Option<C> {
        let name = name(digest, engine);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(&self.directory, &name, flags, Mode::empty()).ok()?);
        // So that what is not used for long can be told; without it the code is as good.
        let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
        let not_used = |error: &wasmtime::Error| {
            tracing::warn!(file = name, error = %format!("{error:#}"), "compiled code is not used: compiling again");
        };
        C::find(engine, file, &name).inspect_err(not_used).ok()
    }

    /// Keeps the code for `engine` of what has this SHA-256, in place of what is there.
    pub fn keep(&self, digest: &str, engine: &Engine, code: &[u8]) -> io::Result<()> {
        let (name, partial) = (name(digest, engine), cache::random_name()? + cache::PARTIAL_CODE);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.directory, &partial, flags, Mode::RUSR | Mode::WUSR)?);
        // Not synchronised: what a crash of the system leaves behind breaks the seal.
        let written = file.write_all(code).and_then(|()| file.write_all(&seal(&name, code)));
        let named = written.and_then(|()| Ok(renameat(&self.directory, &partial, &self.directory, &name)?));
        named.inspect_err(|_| {
            let _ = unlinkat(&self.directory, &partial, AtFlags::empty());
        })
    }
}

fn name(digest: &str, engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}{}", hasher.finish(), cache::CODE)
}

fn seal(name: &str, code: &[u8]) -> [u8; SEAL] {
    Sha256::new_with_prefix(name).chain_update(code).finalize().into()
}

/// Whether the seal at the end of a file of this length and name is whole.
fn check_seal(mut reader: impl io::Read, length: u64, name: &str) -> io::Result<()> {
    let code = length.checked_sub(SEAL as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut hasher = Sha256::new_with_prefix(name);
    let mut buffer = vec![0; PIECE];
    let mut left = code;
    while left > 0 {
        let read = reader.by_ref().take(left).read(&mut buffer)?;
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
    Ok(())
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
