//! Which machine code is believed to be the compiler's?
//!
//! The engine runs ahead-of-time code as it finds it: forged code is a way out of the sandbox. So it is taken only from files
//! that nobody but this user and root can have written, and only where the operator says so (`startup`) or this program has
//! written them itself (`cache`). The only file with `unsafe` in it, for the calls of the engine that believe.

#![allow(
    unsafe_code,
    reason = "the engine's functions for ahead-of-time code are unsafe; the types here keep their contract"
)]

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;

use wasmtime::component::Component;
use wasmtime::{Engine, Module, Precompiled, Result};

use crate::cache::only_ours_to_write;

fn is_private(found: &Metadata) -> bool {
    found.is_file() && only_ours_to_write(found)
}

/// An open file that nobody else can have written.
#[derive(Debug)]
pub(in crate::runtime) struct Private(File);

impl Private {
    /// Looks at the file itself rather than at its name, which may stand for another one a moment later.
    pub fn check(file: File) -> io::Result<Self> {
        match is_private(&file.metadata()?) {
            true => Ok(Self(file)),
            false => Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may write to it")),
        }
    }

    pub fn as_file(&self) -> &File {
        &self.0
    }
}

/// Maps code that `cache` has written: its files are never written to again.
pub(in crate::runtime) fn map(engine: &Engine, file: Private) -> Result<Module> {
    // SAFETY: nobody else can have written the file, its seal says that it is what this program got from the engine, and it
    // is replaced by renaming only, which leaves the mapped one as it is.
    unsafe { Module::deserialize_open_file(engine, file.0) }
}

/// Ahead-of-time code of the operator, read into memory: a file that is overwritten while the server runs does no harm.
pub struct TrustedCode(Vec<u8>);

/// Why a file is not taken for trusted code.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// It could be anybody's.
    #[error("the file belongs to user {owner} and has the mode {:o}: others may write to it", mode & 0o7777)]
    Shared {
        /// Its owner.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
}

impl TrustedCode {
    /// Reads at most `most` bytes of `file` and one more.
    pub fn read(file: File, most: u64) -> std::result::Result<Self, TrustError> {
        let found = file.metadata()?;
        if !is_private(&found) {
            return Err(TrustError::Shared { owner: found.uid(), mode: found.mode() });
        }
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The module that this code is of, if it is for this engine.
pub(in crate::runtime) fn load(engine: &Engine, code: &TrustedCode) -> Result<Module> {
    // SAFETY: the operator says that the code is the engine's, and nobody else can have written it. `TrustedCode` is made by
    // its `read` only.
    unsafe { Module::deserialize(engine, &code.0) }
}

/// The component that this code is of, if it is for this engine.
pub(in crate::runtime) fn load_component(engine: &Engine, code: &TrustedCode) -> Result<Component> {
    // SAFETY: as above; or the code comes from `cache`, and its seal says that it is what this program got from the engine.
    unsafe { Component::deserialize(engine, &code.0) }
}

/// Whether this code is of a component.
pub(in crate::runtime) fn is_of_component(code: &TrustedCode) -> bool {
    matches!(Engine::detect_precompiled(&code.0), Some(Precompiled::Component))
}

/// Whether these are the bytes of ahead-of-time code.
pub fn is_precompiled(bytes: &[u8]) -> bool {
    matches!(Engine::detect_precompiled(bytes), Some(Precompiled::Module | Precompiled::Component))
}
