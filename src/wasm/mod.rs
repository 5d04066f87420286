//! How do Wasm programs run?
//!
//! The only room that knows the engine; it knows nothing of CGI or routes, and of HTTP only what components that are asked
//! over it have to be told. [`Runtime`] compiles bytes to a [`Program`], which with an entry point and grants is a
//! [`Script`]; starting a script gives a [`Run`], whose output its holder polls for.

mod cache;
mod component;
mod contents;
mod engine;
mod experimental_http;
mod lanes;
mod memory;
mod meter;
mod preview1;
#[cfg(test)]
mod preview1_tests;
mod run;
mod script;
mod state;
mod stdio;
mod streams;
mod timers;

pub use component::{Incoming, RequestBody};
pub use contents::{Contents, ContentsError, Extern, Form, contents};
pub use engine::EngineConfig;
pub use run::{Ending, Output, Run};
pub use script::{EntryError, Grants, Invocation, Program, ROUTES, Script};
pub use state::{Outbound, Volumes};
pub use stdio::{ErrorLog, InputStream, OUTPUT_IN_FLIGHT};

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{Cache, Engine, InstancePre, Linker, Module, Store};

use lanes::Lanes;
use script::Code;
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
    /// It is valid, but made of more pieces than there is room for, which no limit changes.
    #[error("the module has more memories, tables or parts than a guest can have here")]
    TooManyParts(#[source] wasmtime::Error),
    /// It was built against the first versions of the guest library for outbound HTTP.
    #[error("it calls out through `wasi_experimental_http` as it was before version 0.4, which is not served")]
    OldHttp,
    /// It is a component that exports nothing to be entered through. What it exports is listed.
    #[error("the component exports {}, of which nothing is served", names(.0))]
    NotServed(Vec<String>),
    /// It is a component that imports interfaces nobody provides.
    #[error("imports {}, which nothing here provides", names(.0))]
    UnknownInterfaces(Vec<String>),
    /// It imports what nobody provides. Each is `module`, `name`.
    #[error("imports {}, which nothing here provides", list(.0))]
    UnknownImports(Vec<(String, String)>),
    /// An import has another type than what is provided.
    #[error("its imports do not fit")]
    Link(#[source] wasmtime::Error),
}

fn list(imports: &[(String, String)]) -> String {
    imports.iter().map(|(module, name)| format!("`{module}.{name}`")).collect::<Vec<_>>().join(", ")
}

fn names(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
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
    compiled: Option<Cache>,
    config: EngineConfig,
    /// What components need, once there is one.
    components: Mutex<Option<Arc<component::Host>>>,
}

impl Runtime {
    /// Starts the engine.
    pub fn new(config: &EngineConfig) -> Result<Self, Error> {
        let compiled = config.cache.as_ref().and_then(cache::open);
        let engine = engine::for_modules(config, compiled.as_ref()).map_err(Error::Engine)?;
        let mut linker = Linker::new(&engine);
        preview1::add_to_linker(&mut linker).map_err(Error::Engine)?;
        experimental_http::add_to_linker(&mut linker).map_err(Error::Engine)?;
        let lanes = Arc::new(Lanes::start(&engine).map_err(Error::Threads)?);
        Ok(Self { engine, linker, lanes, compiled, config: config.clone(), components: Mutex::default() })
    }

    /// How often compiled code was taken from the cache so far; `None` without a cache.
    pub fn taken_from_cache(&self) -> Option<usize> {
        self.compiled.as_ref().map(Cache::cache_hits)
    }

    /// How often compiled code was put into the cache so far; `None` without a cache.
    pub fn put_into_cache(&self) -> Option<usize> {
        self.compiled.as_ref().map(Cache::cache_misses)
    }

    /// Compiles a module or a component, binary or text, and links it. Takes as long as it is large: not for a thread
    /// that serves requests.
    pub fn compile(&self, bytes: &[u8]) -> Result<Program, Error> {
        let code = if component::is_component(bytes) {
            Code::Component(self.components()?.compile(bytes)?)
        } else {
            Code::Module(self.compile_module(bytes)?)
        };
        Ok(Program { code, lanes: self.lanes.clone() })
    }

    fn components(&self) -> Result<Arc<component::Host>, Error> {
        let mut made = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(components) = &*made {
            return Ok(components.clone());
        }
        let components = Arc::new(component::Host::new(&self.config, self.compiled.as_ref()).map_err(Error::Engine)?);
        self.lanes.serve(&components.engine);
        *made = Some(components.clone());
        Ok(components)
    }

    fn compile_module(&self, bytes: &[u8]) -> Result<InstancePre<State>, Error> {
        let module = Module::new(&self.engine, bytes).map_err(not_compiled)?;
        if experimental_http::is_old(&module) {
            return Err(Error::OldHttp);
        }
        let missing = self.missing_imports(&module);
        if !missing.is_empty() {
            return Err(Error::UnknownImports(missing));
        }
        self.linker.instantiate_pre(&module).map_err(Error::Link)
    }

    fn missing_imports(&self, module: &Module) -> Vec<(String, String)> {
        let imports: Vec<_> = module.imports().map(|import| (import.module(), import.name())).collect();
        let found = imports.iter().zip(self.provides(&imports));
        found.filter(|(_, provided)| !provided).map(|((module, name), _)| ((*module).into(), (*name).into())).collect()
    }

    /// Which of these imports, each a module and a name, are provided.
    pub fn provides(&self, imports: &[(&str, &str)]) -> Vec<bool> {
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
        imports.iter().map(|(module, name)| self.linker.get(&mut store, module, name).is_ok()).collect()
    }
}

/// The pool refuses what can never be instantiated; the engine tells that by its message only.
fn not_compiled(error: wasmtime::Error) -> Error {
    let said = format!("{error:#}");
    match said.contains("pooling allocator") {
        true if said.contains("minimum") => Error::TooDemanding(error),
        true => Error::TooManyParts(error),
        false => Error::Compile(error),
    }
}
