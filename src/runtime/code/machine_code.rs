//! How is a module or component compiled, and in which form is its code written to a file?

use std::fs::File;
use std::io::{self, Cursor, Read};

use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use crate::runtime::code::compiler_process::CompilerProcess;
use crate::runtime::code::deserialize;
use crate::runtime::code::precompiled::{CompiledCode, TrustedCode};
use crate::runtime::code::sealed::{SealedCode, SealedFile};
use crate::runtime::error::Error;
use crate::wasm_bytes::to_binary;

/// The machine code of a module or component.
pub(in crate::runtime) trait MachineCode: Sized {
    /// Compiles a module or component, binary or text.
    fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Self>;

    /// Returns the code that a process has compiled for this engine.
    fn from_compiler(engine: &Engine, code: &CompiledCode) -> wasmtime::Result<Self>;

    /// Returns the code, in the form that [`deserialize_sealed`](Self::deserialize_sealed) takes.
    fn serialize(&self) -> wasmtime::Result<Vec<u8>>;

    /// Returns the code in a file that was opened under `name`, if the file is private and its checksum right.
    fn deserialize_sealed(engine: &Engine, file: File, name: &str) -> wasmtime::Result<Self>;
}

/// Code that was compiled now.
pub(in crate::runtime) struct NewCode<C> {
    /// The code.
    pub code: C,
    origin: NewCodeOrigin,
}

/// Who has compiled it.
enum NewCodeOrigin {
    /// The engine, in this process.
    Engine,
    /// A process, which has written this.
    Process(CompiledCode),
}

impl<C: MachineCode> NewCode<C> {
    /// Compiles a module or component, binary or text, by `compiler` if there is one.
    pub fn compile(engine: &Engine, bytes: &[u8], compiler: Option<&CompilerProcess>) -> Result<Self, Error> {
        let Some(compiler) = compiler else {
            let code = C::compile(engine, &to_binary(bytes)?).map_err(Error::of_compilation)?;
            return Ok(Self { code, origin: NewCodeOrigin::Engine });
        };
        let compiled = compiler.compile(bytes)?;
        let code = C::from_compiler(engine, &compiled).map_err(Error::of_compiled)?;
        Ok(Self { code, origin: NewCodeOrigin::Process(compiled) })
    }

    /// Reads the code, in the form that [`deserialize_sealed`](MachineCode::deserialize_sealed) takes.
    pub fn reader(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match &self.origin {
            NewCodeOrigin::Engine => Box::new(Cursor::new(self.code.serialize().map_err(io::Error::other)?)),
            NewCodeOrigin::Process(compiled) => Box::new(compiled.reader()),
        })
    }
}

impl MachineCode for Module {
    fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Self> {
        Self::new(engine, bytes)
    }

    fn from_compiler(engine: &Engine, code: &CompiledCode) -> wasmtime::Result<Self> {
        deserialize::map_compiled(engine, code)
    }

    fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        self.serialize()
    }

    fn deserialize_sealed(engine: &Engine, file: File, name: &str) -> wasmtime::Result<Self> {
        deserialize::map_module(engine, SealedFile::verify(file, name)?)
    }
}

/// It is read into memory: the engine maps components by path only, and the path may stand for another file a moment later.
impl MachineCode for Component {
    fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Self> {
        Self::new(engine, bytes)
    }

    fn from_compiler(engine: &Engine, code: &CompiledCode) -> wasmtime::Result<Self> {
        deserialize::component(engine, &TrustedCode::from_compiler(code)?)
    }

    fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        self.serialize()
    }

    fn deserialize_sealed(engine: &Engine, file: File, name: &str) -> wasmtime::Result<Self> {
        deserialize::component(engine, &TrustedCode::from_sealed(SealedCode::read(file, name)?))
    }
}
