//! Which ahead-of-time code is trusted?
//!
//! Code that the operator vouches for: the configuration says that the file was compiled ahead of time, and only the server's
//! user and root can have written it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;

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

    /// The code that a process of wagi has compiled.
    pub(in crate::runtime::code) fn from_compiler(code: Vec<u8>) -> Self {
        Self(code)
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

/// Whether these bytes are ahead-of-time code.
pub fn is_precompiled(bytes: &[u8]) -> bool {
    matches!(Engine::detect_precompiled(bytes), Some(Precompiled::Module | Precompiled::Component))
}
