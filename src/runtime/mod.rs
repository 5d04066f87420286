//! How do Wasm programs run?
//!
//! The only room that knows the engine; it knows nothing of CGI or routes, and of HTTP only what components that are asked
//! over it have to be told. [`Runtime`] compiles bytes to a [`Program`], which with an entry point and grants is a
//! [`Guest`]; starting a script gives a [`Run`], whose output its holder polls for.

mod code;
mod component;
mod engine;
mod error;
mod guest;
mod instance;
mod module_engine;
mod wasi;

pub use crate::runtime::code::contents::{Contents, ContentsError, Extern, Form, contents};
pub use crate::runtime::code::precompiled::{TrustError, TrustedCode, is_precompiled};
pub use crate::runtime::code::preinitialize::{PreinitializeError, Preinitialized};
pub use crate::runtime::code::{CodeOrigin, ahead_of_time};
pub use crate::runtime::component::{ComponentRequest, RequestBody, is_component};
pub use crate::runtime::engine::EngineConfig;
pub use crate::runtime::error::Error;
pub use crate::runtime::guest::{EntryError, Guest, Program, ROUTES};
pub use crate::runtime::instance::ending::Ending;
pub use crate::runtime::instance::grants::{Grants, Outbound, Volumes};
pub use crate::runtime::instance::invocation::Invocation;
pub use crate::runtime::instance::output::Output;
pub use crate::runtime::instance::run::Run;
pub use crate::runtime::instance::stdio::{ErrorLog, InputStream, OUTPUT_IN_FLIGHT};

use std::sync::Arc;

use wasmtime::Module;
use wasmtime::component::Component;

use crate::runtime::code::Keeping;
use crate::runtime::engine::MemorySize;
use crate::runtime::engine::executors::Lanes;
use crate::runtime::guest::Code;
use crate::runtime::module_engine::{Lazily, Modules};

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
