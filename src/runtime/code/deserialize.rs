//! Which calls of the engine trust the machine code they are given?
//!
//! The engine runs machine code without checking it, so forged code can leave the sandbox. These functions take only types that
//! a check has made: [`SealedFile`], which wagi has written, [`CompiledCode`], which a process of wagi has compiled, and [`TrustedCode`],
//! which the operator vouches for. This is the only file with `unsafe` in it.

#![expect(
    unsafe_code,
    reason = "the engine's functions for machine code are unsafe; the types of the arguments keep their contract"
)]

use wasmtime::component::Component;
use wasmtime::{Engine, Module, Result};

use crate::runtime::code::precompiled::{CompiledCode, TrustedCode};
use crate::runtime::code::sealed::SealedFile;

/// Maps a module into memory, if the code is for this engine.
pub(in crate::runtime::code) fn map_module(engine: &Engine, file: SealedFile) -> Result<Module> {
    // SAFETY: only this user and root can have written the file, and its checksum says that it is what wagi got from
    // the engine: `SealedFile` is made by its `verify` only. Files are replaced by renaming, which leaves a mapped one as it is.
    unsafe { Module::deserialize_open_file(engine, file.into_file()) }
}

/// Maps a module that a process has compiled into memory, if the code is for this engine.
pub(in crate::runtime::code) fn map_compiled(engine: &Engine, code: &CompiledCode) -> Result<Module> {
    // SAFETY: the file has no name. Only the process that was started for it has written to it, with the engine's compiler, or a process
    // that could write to the memory of this one, too. It has ended, and the file is sealed.
    unsafe { Module::deserialize_open_file(engine, code.file()?) }
}

/// Returns the module in `code`, if the code is for this engine.
pub(in crate::runtime) fn module(engine: &Engine, code: &TrustedCode) -> Result<Module> {
    // SAFETY: the operator vouches that the code is the engine's, and only this user and root can have written it: `TrustedCode` is made
    // from such files, from sealed ones, and from what a process of wagi has compiled. In memory nothing can change it.
    unsafe { Module::deserialize(engine, code.bytes()) }
}

/// Returns the component in `code`, if the code is for this engine.
pub(in crate::runtime) fn component(engine: &Engine, code: &TrustedCode) -> Result<Component> {
    // SAFETY: as for modules. The checksum of a sealed file was verified in memory.
    unsafe { Component::deserialize(engine, code.bytes()) }
}
