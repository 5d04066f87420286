//! Where does the machine code of a module or component come from?
//!
//! From where compiled code is kept, if it is there, else from the compiler; or the operator has it made ahead of time.

pub(in crate::runtime) mod cache;
pub(in crate::runtime) mod engine_cache;
pub(in crate::runtime) mod initializer;
pub(in crate::runtime) mod module_info;
pub(in crate::runtime) mod precompiled;
pub(in crate::runtime) mod preinitialize;

use std::path::Path;

use wasmtime::component::Component;
use wasmtime::{Cache, Engine, Module};

use crate::cache::Exposure;
use crate::config::CompilationCache;

use crate::runtime::code::cache::{CacheError, CompiledCode, MachineCode};
use crate::runtime::code::engine_cache::EngineCache;
use crate::runtime::code::module_info::{Encoding, PAGE_SIZE};
use crate::runtime::code::precompiled::TrustedCode;
use crate::runtime::engine::MemorySize;
use crate::runtime::guest::Code;
use crate::runtime::module_engine::ModuleEngine;
use crate::runtime::{Error, Program, Runtime, engine, is_component};

/// Where the code of a program came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeOrigin {
    /// It was compiled now.
    Compiled,
    /// An earlier start compiled it.
    Cached,
    /// The operator had it compiled ahead of time.
    Precompiled,
}

/// Where compiled code is kept between starts, for all engines.
pub(in crate::runtime) enum CodeCache {
    Nowhere,
    /// In the engine's own cache, for which the operator has a file.
    Engine(EngineCache),
    /// As `cache` does it.
    Directory(CompiledCode),
}

impl CodeCache {
    /// Opens what the configuration names. What cannot be used is done without.
    pub fn open(asked: Option<&CompilationCache>) -> Self {
        match asked {
            None => Self::Nowhere,
            Some(asked) if asked.is_asked_for => EngineCache::open(asked).map_or(Self::Nowhere, Self::Engine),
            Some(usual) => directory(&usual.directory).map_or(Self::Nowhere, Self::Directory),
        }
    }

    /// What an engine has to be made with.
    pub fn engine_cache(&self) -> Option<&Cache> {
        if let Self::Engine(engine) = self { Some(&engine.cache) } else { None }
    }

    /// The code for `engine` of these bytes, binary or text, with this SHA-256.
    pub fn code<C: Compilable>(&self, engine: &Engine, bytes: &[u8], digest: &str) -> Result<(C, CodeOrigin), Error> {
        let compile = || C::compile(engine, bytes).map_err(not_compiled);
        match self {
            Self::Nowhere => Ok((compile()?, CodeOrigin::Compiled)),
            Self::Engine(cache) => {
                let watch = cache.watch();
                Ok((compile()?, watch.origin()))
            }
            Self::Directory(kept) => {
                if let Some(code) = kept.find(digest, engine) {
                    return Ok((code, CodeOrigin::Cached));
                }
                let code = compile()?;
                let written = code.serialized().map_err(std::io::Error::other);
                if let Err(error) = written.and_then(|bytes| kept.keep(digest, engine, &bytes)) {
                    tracing::warn!(%error, digest, "cannot keep compiled code: the next start compiles again");
                }
                Ok((code, CodeOrigin::Compiled))
            }
        }
    }
}

fn directory(path: &Path) -> Option<CompiledCode> {
    let cannot = |error: &CacheError| match error {
        CacheError::Exposed(exposure) => warn_of(exposure),
        // Nobody has asked for it.
        CacheError::Open(error) => {
            let directory = path.display();
            tracing::info!(%directory, %error, "cannot keep compiled code: everything is compiled at each start");
        }
    };
    CompiledCode::open(path).inspect_err(cannot).ok()
}

/// Compiled code would be run as it is found.
pub(in crate::runtime) fn warn_of(exposure: &Exposure) {
    let (reason, help) = (exposure.to_string(), exposure.help());
    tracing::warn!(reason, help, "compiled code is not kept where somebody else could change it");
}

/// What the compiler makes.
pub(in crate::runtime) trait Compilable: MachineCode {
    fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Self>;
    fn serialized(&self) -> wasmtime::Result<Vec<u8>>;
}

impl Compilable for Module {
    fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Self> {
        Self::new(engine, bytes)
    }

    fn serialized(&self) -> wasmtime::Result<Vec<u8>> {
        self.serialize()
    }
}

impl Compilable for Component {
    fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Self> {
        Self::new(engine, bytes)
    }

    fn serialized(&self) -> wasmtime::Result<Vec<u8>> {
        self.serialize()
    }
}

impl Runtime {
    /// Links code that was compiled ahead of time.
    pub fn load(&self, code: &TrustedCode) -> Result<Program, Error> {
        let refused = |error| refused_by_pool(error).unwrap_or_else(Error::OtherEngine);
        let linked = if precompiled::is_of_component(code) {
            let components = self.components()?;
            let component = precompiled::load_component(&components.engine, code).map_err(refused)?;
            Code::Component(components.link(&component)?)
        } else {
            let load = |modules: &ModuleEngine| precompiled::load(&modules.engine, code).map_err(refused);
            let module = load(&self.small)?;
            let pages = module.resources_required().max_initial_memory_size.unwrap_or_default();
            Code::Module(match MemorySize::of(pages.saturating_mul(PAGE_SIZE)) {
                MemorySize::Small => self.small.link(&module)?,
                MemorySize::Large => {
                    let modules = self.modules(MemorySize::Large)?;
                    modules.link(&load(&modules)?)?
                }
            })
        };
        Ok(self.program(linked))
    }
}

/// The ahead-of-time code of a module or component, binary or text, for the engine of any server.
pub fn ahead_of_time(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let engine = |encoding| engine::for_compiling(encoding).map_err(Error::Engine);
    let code = match is_component(bytes) {
        true => engine(Encoding::Component)?.precompile_component(bytes),
        false => engine(Encoding::Module)?.precompile_module(bytes),
    };
    code.map_err(Error::Compile)
}

fn not_compiled(error: wasmtime::Error) -> Error {
    refused_by_pool(error).unwrap_or_else(Error::Compile)
}

/// The pool refuses what can never be instantiated; the engine tells that by its message only.
fn refused_by_pool(error: wasmtime::Error) -> Result<Error, wasmtime::Error> {
    let said = format!("{error:#}");
    match said.contains("pooling allocator") {
        true if said.contains("minimum") => Ok(Error::TooDemanding(error)),
        true => Ok(Error::TooManyParts(error)),
        false => Err(error),
    }
}
