//! What is machine code made from, and in which form is it written to a file?

use std::fs::File;

use wasmtime::component::Component;
use wasmtime::{Engine, Module, Result};

use crate::runtime::code::deserialize;
use crate::runtime::code::precompiled::TrustedCode;
use crate::runtime::code::sealed::{SealedCode, SealedFile};

/// The machine code of a module or component.
pub(in crate::runtime) trait MachineCode: Sized {
    /// Compiles a module or component, binary or text.
    fn compile(engine: &Engine, bytes: &[u8]) -> Result<Self>;

    /// Returns the code that was compiled elsewhere for this engine.
    fn deserialize(engine: &Engine, code: &TrustedCode) -> Result<Self>;

    /// Returns the code in the form that [`deserialize_sealed`](Self::deserialize_sealed) takes.
    fn serialize(&self) -> Result<Vec<u8>>;

    /// Returns the code in a file that was opened under `name`, if the file is private and its checksum right.
    fn deserialize_sealed(engine: &Engine, file: File, name: &str) -> Result<Self>;
}

impl MachineCode for Module {
    fn compile(engine: &Engine, bytes: &[u8]) -> Result<Self> {
        Self::new(engine, bytes)
    }

    fn deserialize(engine: &Engine, code: &TrustedCode) -> Result<Self> {
        deserialize::module(engine, code)
    }

    fn serialize(&self) -> Result<Vec<u8>> {
        self.serialize()
    }

    fn deserialize_sealed(engine: &Engine, file: File, name: &str) -> Result<Self> {
        deserialize::map_module(engine, SealedFile::verify(file, name)?)
    }
}

/// It is read into memory: the engine maps components by path only, and the path may stand for another file a moment later.
impl MachineCode for Component {
    fn compile(engine: &Engine, bytes: &[u8]) -> Result<Self> {
        Self::new(engine, bytes)
    }

    fn deserialize(engine: &Engine, code: &TrustedCode) -> Result<Self> {
        deserialize::component(engine, code)
    }

    fn serialize(&self) -> Result<Vec<u8>> {
        self.serialize()
    }

    fn deserialize_sealed(engine: &Engine, file: File, name: &str) -> Result<Self> {
        deserialize::component(engine, &TrustedCode::from_sealed(SealedCode::read(file, name)?))
    }
}
