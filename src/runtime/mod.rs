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

pub use crate::runtime::code::module_info::{Encoding, Extern, ModuleInfo, ParseError};
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

use crate::runtime::code::CodeCache;
use crate::runtime::engine::MemorySize;
use crate::runtime::engine::executors::Executors;
use crate::runtime::engine::once::TryOnceLock;
use crate::runtime::guest::Code;
use crate::runtime::module_engine::ModuleEngine;

/// The engine, what it offers to guests, and the threads that keep it going.
pub struct Runtime {
    small: Arc<ModuleEngine>,
    large: TryOnceLock<ModuleEngine>,
    components: TryOnceLock<component::ComponentEngine>,
    executors: Arc<Executors>,
    code_cache: CodeCache,
    config: EngineConfig,
}

impl Runtime {
    /// Starts the engine.
    pub fn new(config: &EngineConfig) -> Result<Self, Error> {
        let code_cache = CodeCache::open(config.cache.as_ref());
        let small = Arc::new(ModuleEngine::new(config, MemorySize::Small, code_cache.engine_cache())?);
        let executors = Arc::new(Executors::start(&small.engine).map_err(Error::Threads)?);
        let (large, components) = (TryOnceLock::default(), TryOnceLock::default());
        Ok(Self { small, large, components, executors, code_cache, config: config.clone() })
    }

    /// Compiles a module or a component, binary or text, with the SHA-256 `digest`, and links it. Takes as long as it is
    /// large: not for a thread that serves requests.
    pub fn compile(&self, bytes: &[u8], digest: &str) -> Result<(Program, CodeOrigin), Error> {
        if is_component(bytes) {
            let components = self.components()?;
            let (component, origin) = self.code_cache.code::<Component>(&components.engine, bytes, digest)?;
            Ok((self.program(Code::Component(components.link(&component)?)), origin))
        } else {
            // If the bytes cannot be parsed, the compiler reports what is wrong with them.
            let memory = ModuleInfo::parse(bytes).map_or(0, |info| info.minimum_memory);
            let modules = self.modules(MemorySize::of(memory))?;
            let (module, origin) = self.code_cache.code::<Module>(&modules.engine, bytes, digest)?;
            Ok((self.program(Code::Module(modules.link(&module)?)), origin))
        }
    }

    fn program(&self, code: Code) -> Program {
        Program { code, executors: self.executors.clone() }
    }

    fn modules(&self, size: MemorySize) -> Result<Arc<ModuleEngine>, Error> {
        match size {
            MemorySize::Small => Ok(self.small.clone()),
            MemorySize::Large => self.large.get_or_try_init(|| {
                let modules = ModuleEngine::new(&self.config, size, self.code_cache.engine_cache())?;
                self.executors.serve(&modules.engine);
                Ok(modules)
            }),
        }
    }

    fn components(&self) -> Result<Arc<component::ComponentEngine>, Error> {
        self.components.get_or_try_init(|| {
            let host =
                component::ComponentEngine::new(&self.config, self.code_cache.engine_cache()).map_err(Error::Engine)?;
            self.executors.serve(&host.engine);
            Ok(host)
        })
    }

    /// Which of these imports of modules, each a module and a name, are provided.
    pub fn provides(&self, imports: &[(&str, &str)]) -> Vec<bool> {
        self.small.provides(imports)
    }
}
