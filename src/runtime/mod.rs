//! How do Wasm programs run?
//!
//! The only room that knows the engine; it knows nothing of CGI or routes, and of HTTP only what components that are asked
//! over it have to be told. [`Runtime`] compiles bytes to a [`Program`], which with an entry point and grants is a
//! [`Guest`]; starting a script gives a [`Run`], whose output its holder polls for.

mod code;
mod component;
mod engine;
mod instance;
mod wasi;

pub use crate::runtime::code::contents::{Contents, ContentsError, Extern, Form, contents};
pub use crate::runtime::code::precompiled::{TrustError, TrustedCode, is_precompiled};
pub use crate::runtime::code::preinitialize::{PreinitializeError, Preinitialized};
pub use crate::runtime::code::{CodeOrigin, ahead_of_time};
pub use crate::runtime::component::{ComponentRequest, RequestBody, is_component};
pub use crate::runtime::engine::EngineConfig;
pub use crate::runtime::instance::guest::{EntryError, Grants, Guest, Invocation, Program, ROUTES};
pub use crate::runtime::instance::run::{Ending, Output, Run};
pub use crate::runtime::instance::state::{Outbound, Volumes};
pub use crate::runtime::instance::stdio::{ErrorLog, InputStream, OUTPUT_IN_FLIGHT};

use std::io;
use std::sync::Arc;

use wasmtime::Module;
use wasmtime::component::Component;

use crate::runtime::code::Keeping;
use crate::runtime::engine::MemorySize;
use crate::runtime::engine::executors::Lanes;
use crate::runtime::engine::module_engine::{Lazily, Modules};
use crate::runtime::instance::guest::Code;

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
    small: Arc<Modules>,
    large: Lazily<Modules>,
    components: Lazily<component::Host>,
    lanes: Arc<Lanes>,
    keeping: Keeping,
    config: EngineConfig,
}

impl Runtime {
    /// Starts the engine.
    pub fn new(config: &EngineConfig) -> Result<Self, Error> {
        let keeping = Keeping::open(config.cache.as_ref());
        let small = Arc::new(Modules::new(config, MemorySize::Small, keeping.engine_cache())?);
        let lanes = Arc::new(Lanes::start(&small.engine).map_err(Error::Threads)?);
        let (large, components) = (Lazily::default(), Lazily::default());
        Ok(Self { small, large, components, lanes, keeping, config: config.clone() })
    }

    /// Compiles a module or a component, binary or text, with the SHA-256 `digest`, and links it. Takes as long as it is
    /// large: not for a thread that serves requests.
    pub fn compile(&self, bytes: &[u8], digest: &str) -> Result<(Program, CodeOrigin), Error> {
        if is_component(bytes) {
            let components = self.components()?;
            let (component, origin) = self.keeping.code::<Component>(&components.engine, bytes, digest)?;
            Ok((self.program(Code::Component(components.link(&component)?)), origin))
        } else {
            // What cannot be read here, the compiler will say what is wrong with.
            let memory = contents(bytes).map_or(0, |contents| contents.memory);
            let modules = self.modules(MemorySize::of(memory))?;
            let (module, origin) = self.keeping.code::<Module>(&modules.engine, bytes, digest)?;
            Ok((self.program(Code::Module(modules.link(&module)?)), origin))
        }
    }

    fn program(&self, code: Code) -> Program {
        Program { code, lanes: self.lanes.clone() }
    }

    fn modules(&self, size: MemorySize) -> Result<Arc<Modules>, Error> {
        match size {
            MemorySize::Small => Ok(self.small.clone()),
            MemorySize::Large => self.large.or_make(|| {
                let modules = Modules::new(&self.config, size, self.keeping.engine_cache())?;
                self.lanes.serve(&modules.engine);
                Ok(modules)
            }),
        }
    }

    fn components(&self) -> Result<Arc<component::Host>, Error> {
        self.components.or_make(|| {
            let host = component::Host::new(&self.config, self.keeping.engine_cache()).map_err(Error::Engine)?;
            self.lanes.serve(&host.engine);
            Ok(host)
        })
    }

    /// Which of these imports of modules, each a module and a name, are provided.
    pub fn provides(&self, imports: &[(&str, &str)]) -> Vec<bool> {
        self.small.provides(imports)
    }
}
