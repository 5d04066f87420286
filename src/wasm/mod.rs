//! How do Wasm programs run?
//!
//! The only room that knows the engine; it knows nothing of HTTP, CGI or routes. [`Runtime`] compiles bytes to a
//! [`Program`], which with an entry point and grants is a [`Script`]; starting a script gives a [`Run`], whose output its
//! holder polls for.

mod cache;
mod code;
mod engine;
mod engine_cache;
mod experimental_http;
mod initializer;
mod lanes;
mod memory;
mod meter;
mod precompiled;
mod preinitialize;
mod preview1;
mod run;
mod script;
mod state;
mod stdio;
mod streams;
mod timers;

pub use code::{CodeOrigin, ahead_of_time};
pub use engine::EngineConfig;
pub use precompiled::{TrustError, TrustedCode, is_precompiled};
pub use preinitialize::{PreinitializeError, Preinitialized};
pub use run::{Ending, Output, Run};
pub use script::{EntryError, Grants, Invocation, Program, ROUTES, Script};
pub use state::{Outbound, Volumes};
pub use stdio::{ErrorLog, InputStream, OUTPUT_IN_FLIGHT};

use std::io;
use std::sync::Arc;

use wasmtime::{Engine, Linker, Module, Store};

use cache::CompiledCode;
use lanes::Lanes;
use state::State;

/// Why a program cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine cannot be made.
    #[error("cannot start the WebAssembly engine")]
    Engine(#[source] wasmtime::Error),
    /// A thread or the second runtime cannot be started.
    #[error("cannot start the threads guests run on")]
    Threads(#[source] io::Error),
    /// The bytes are not a module this engine takes.
    #[error("not a WebAssembly module that can be compiled here")]
    Compile(#[source] wasmtime::Error),
    /// It is a valid module, but needs more at the start than guests may have.
    #[error("the module needs more memory or larger tables than its limits allow")]
    TooDemanding(#[source] wasmtime::Error),
    /// It was built against the first versions of the guest library for outbound HTTP.
    #[error("it calls out through `wasi_experimental_http` as it was before version 0.4, which is not served")]
    OldHttp,
    /// The bytes are a component.
    #[error("a component, not a module: components are not served yet")]
    Component,
    /// It imports what nobody provides. Each is `module`, `name`.
    #[error("imports {}, which nothing here provides", list(.0))]
    UnknownImports(Vec<(String, String)>),
    /// The code is ahead-of-time code of another engine.
    #[error("the code was compiled for another version, machine or setting of the engine")]
    OtherEngine(#[source] wasmtime::Error),
    /// An import has another type than what is provided.
    #[error("its imports do not fit")]
    Link(#[source] wasmtime::Error),
}

fn list(imports: &[(String, String)]) -> String {
    imports.iter().map(|(module, name)| format!("`{module}.{name}`")).collect::<Vec<_>>().join(", ")
}

/// A guest may compute for so long and no longer.
#[derive(Debug, thiserror::Error)]
#[error("used up its CPU time")]
struct CpuTimeUsedUp;

/// A guest may print so much and no more.
#[derive(Debug, thiserror::Error)]
#[error("printed more than it may")]
struct OutputLimit;

/// The request body broke off while the guest was reading it.
#[derive(Debug, thiserror::Error)]
#[error("the request body could not be read")]
struct StdinFailed(#[source] io::Error);

/// The engine, what it offers to guests, and the threads that keep it going.
pub struct Runtime {
    engine: Engine,
    linker: Linker<State>,
    lanes: Arc<Lanes>,
    compiled: Option<CompiledCode>,
    memory: usize,
    table_elements: usize,
}

impl Runtime {
    /// Starts the engine.
    pub fn new(config: &EngineConfig) -> Result<Self, Error> {
        let engine = engine::engine(config).map_err(Error::Engine)?;
        let mut linker = Linker::new(&engine);
        preview1::add_to_linker(&mut linker).map_err(Error::Engine)?;
        experimental_http::add_to_linker(&mut linker).map_err(Error::Engine)?;
        let lanes = Arc::new(Lanes::start(&engine).map_err(Error::Threads)?);
        let compiled = config.compiled.as_deref().filter(|_| config.cache.is_none()).and_then(|directory| {
            let refused = |error: &dyn std::error::Error| {
                let cause = error.source().map(ToString::to_string);
                tracing::warn!(%error, cause, "compiled code is not kept: the next start compiles again");
            };
            CompiledCode::open(directory, &engine).inspect_err(|error| refused(error)).ok()
        });
        Ok(Self { engine, linker, lanes, compiled, memory: config.memory, table_elements: config.table_elements })
    }

    /// Compiles a module, binary or text, with the SHA-256 `digest`, and links it. Takes as long as the module is large: not
    /// for a thread that serves requests.
    pub fn compile(&self, bytes: &[u8], digest: &str) -> Result<(Program, CodeOrigin), Error> {
        if is_component(bytes) {
            return Err(Error::Component);
        }
        let (module, origin) = self.module(bytes, digest)?;
        Ok((self.link(&module)?, origin))
    }

    fn link(&self, module: &Module) -> Result<Program, Error> {
        if experimental_http::is_old(module) {
            return Err(Error::OldHttp);
        }
        let missing = self.missing_imports(module);
        if !missing.is_empty() {
            return Err(Error::UnknownImports(missing));
        }
        let linked = self.linker.instantiate_pre(module).map_err(Error::Link)?;
        Ok(Program { linked, lanes: self.lanes.clone() })
    }

    fn missing_imports(&self, module: &Module) -> Vec<(String, String)> {
        let mut store = Store::new(
            &self.engine,
            State::new(
                Default::default(),
                Default::default(),
                Arc::new(stdio::Pipes::new(None, None, stdio::Stderr::new(None, 0, 0), meter::Meter::default())),
                memory::MemoryBudget::new(0, 0),
                Volumes::default(),
                None,
                0,
            ),
        );
        let unknown =
            |import: &wasmtime::ImportType<'_>| self.linker.get(&mut store, import.module(), import.name()).is_err();
        module.imports().filter(unknown).map(|import| (import.module().into(), import.name().into())).collect()
    }
}

/// Components have the magic number of modules and another version after it; their text begins `(component`.
fn is_component(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\0asm\x0d\0\x01\0") || bytes.trim_ascii_start().starts_with(b"(component")
}
