//! Which ahead-of-time code is trusted?
//!
//! Code that the operator vouches for: the configuration says that the file was compiled ahead of time, and only the server's
//! user and root can have written it. And code that a process of wagi has just compiled.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::process::Stdio;

use wasmtime::{Engine, Precompiled};

use crate::cache::only_ours_to_write;

use crate::runtime::code::sealed::SealedCode;

/// Machine code in memory that is trusted to come from the engine's compiler. A file that is overwritten while the server
/// runs does no harm.
pub struct TrustedCode(Vec<u8>);

/// Why a file is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// Other users can write to it.
    #[error("the file belongs to user {owner} and has the mode {:o}: others may write to it", mode & 0o7777)]
    Shared {
        /// Its owner.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
}

impl TrustedCode {
    /// Reads a file that the operator vouches for: at most `limit` bytes, and one more, by which a longer file is recognized.
    pub fn read(file: File, limit: u64) -> Result<Self, TrustError> {
        let found = file.metadata()?;
        if !found.is_file() || !only_ours_to_write(&found) {
            return Err(TrustError::Shared { owner: found.uid(), mode: found.mode() });
        }
        let mut bytes = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The code of a file that wagi has written itself.
    pub(in crate::runtime::code) fn from_sealed(code: SealedCode) -> Self {
        Self(code.into_bytes())
    }

    /// The code that a process of wagi has compiled, read into memory.
    pub(in crate::runtime::code) fn from_compiler(code: &CompiledCode) -> io::Result<Self> {
        let mut bytes = Vec::new();
        code.reader().read_to_end(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the code of a component.
    pub(in crate::runtime) fn is_component(&self) -> bool {
        matches!(Engine::detect_precompiled(&self.0), Some(Precompiled::Component))
    }
}

/// An empty file for the code that a process of wagi compiles. It has no name.
pub(in crate::runtime::code) struct CompilerOutput(File);

/// Machine code that a process of wagi has compiled: what it has written to its [`CompilerOutput`].
///
/// It is mapped rather than read: the system locks the map of the memory when large copies are made and given back, and requests wait.
#[derive(Debug)]
pub(in crate::runtime) struct CompiledCode(File);

impl CompilerOutput {
    /// A file in memory. Only the server's user and root can open it, through `/proc`.
    #[cfg(target_os = "linux")]
    pub fn new() -> io::Result<Self> {
        use rustix::fs::{MemfdFlags, memfd_create};
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Linux before 6.3 does not know `NOEXEC_SEAL`. Later ones can be set to want it.
        let file = memfd_create("wagi-code", flags | MemfdFlags::NOEXEC_SEAL).or_else(|error| match error {
            rustix::io::Errno::INVAL => memfd_create("wagi-code", flags),
            error => Err(error),
        })?;
        Ok(Self(file.into()))
    }

    /// A temporary file, whose name is removed at once.
    #[cfg(not(target_os = "linux"))]
    pub fn new() -> io::Result<Self> {
        let directory = crate::cache::disk::temporary_directory()?;
        let file = File::options().read(true).write(true).create_new(true).open(directory.join("code"));
        std::fs::remove_dir_all(directory)?;
        Ok(Self(file?))
    }

    /// The file as the standard output of a process.
    pub fn stdout(&self) -> io::Result<Stdio> {
        Ok(self.0.try_clone()?.into())
    }

    /// What the process has written. It has to have ended. On Linux, nothing writes to the file any more.
    pub fn written(self) -> io::Result<CompiledCode> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{SealFlags, fcntl_add_seals};
            fcntl_add_seals(&self.0, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        }
        Ok(CompiledCode(self.0))
    }
}

impl CompiledCode {
    /// The file, to be mapped.
    pub(in crate::runtime::code) fn file(&self) -> io::Result<File> {
        self.0.try_clone()
    }

    /// Reads it from its beginning.
    pub(in crate::runtime::code) fn reader(&self) -> impl Read + '_ {
        ReadAt { file: &self.0, at: 0 }
    }
}

/// Reads a file from a place of its own: clones of a file share theirs.
struct ReadAt<'a> {
    file: &'a File,
    at: u64,
}

impl Read for ReadAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Whether these bytes are ahead-of-time code.
pub fn is_precompiled(bytes: &[u8]) -> bool {
    matches!(Engine::detect_precompiled(bytes), Some(Precompiled::Module | Precompiled::Component))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use crate::runtime::code::precompiled::*;

    #[test]
    fn nothing_is_written_to_code_that_was_compiled() {
        let output = CompilerOutput::new().expect("a file");
        let mut file = output.0.try_clone().expect("a file");
        file.write_all(b"code").expect("writable");
        let code = output.written().expect("it is sealed");
        for _ in 0..2 {
            let mut read = String::new();
            code.reader().read_to_string(&mut read).expect("readable");
            assert_eq!(read, "code");
        }
        #[cfg(target_os = "linux")]
        {
            assert!(file.write_at(b"x", 0).is_err());
            assert!(file.write_at(b"x", 4).is_err());
            assert!(file.set_len(0).is_err());
        }
    }
}
