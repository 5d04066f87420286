//! How do WebAssembly programs run?
//!
//! The only room that names the engine. It knows nothing about CGI or routes. It knows HTTP only for components that serve
//! requests themselves. [`Runtime`] compiles bytes to an [`Executable`], which with an entry point and grants is a [`Guest`];
//! starting a guest gives a [`Run`], which is polled for output.
//!
//! Rooms and files from low to high. Each knows only those before it:
//!
//! | room | question |
//! | --- | --- |
//! | `error` | why can a program not be run here? |
//! | `cure` | what can the operator do about it? |
//! | `engine` | how are the engines set up, and on which threads do guests compute? |
//! | `instance` | how does a run start, what may it use, and how does it end? |
//! | `wasi` | what do the imports of modules do? |
//! | `module_engine` | in which engine does a module run, and what is it linked to? |
//! | `component` | the same for components |
//! | `code` | where does machine code come from? |
//! | `guest` | what is a guest, and how does a run of it start? |

mod code;
mod component;
mod cure;
mod engine;
mod error;
mod guest;
mod instance;
mod module_engine;
mod module_info;
mod wasi;

pub use crate::outbound::CallResult;
pub use crate::runtime::code::cache::CodeOrigin;
pub use crate::runtime::code::compiler_process::{COMPILER_COMMAND, CompilerProcess, printed_causes};
pub use crate::runtime::code::precompiled::{TrustError, TrustedCode, is_precompiled};
pub use crate::runtime::code::preinitialize::{PreinitializeError, Preinitialized};
pub use crate::runtime::component::{ComponentRequest, ComponentRequestBody, is_component};
pub use crate::runtime::engine::EngineConfig;
pub use crate::runtime::engine::threads::lower_priority;
pub use crate::runtime::error::Error;
pub use crate::runtime::guest::{EntryPointError, Executable, Guest, ROUTES, WeakExecutable};
pub use crate::runtime::instance::client_wait::ClientWaits;
pub use crate::runtime::instance::ending::{Ending, TrapReport};
pub use crate::runtime::instance::grants::{Grants, Outbound, Volumes};
pub use crate::runtime::instance::invocation::Invocation;
pub use crate::runtime::instance::output::Output;
pub use crate::runtime::instance::run::{Activity, Run, RunUsage, RunView};
pub use crate::runtime::instance::stderr::StderrSink;
pub use crate::runtime::instance::stdio::{InputStream, STDOUT_CAPACITY};
pub use crate::runtime::module_info::{Encoding, Extern, ModuleInfo, ParseError};

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::Module;
use wasmtime::component::Component;

use crate::wasm_bytes::to_binary;

use crate::runtime::code::cache::CodeCache;
use crate::runtime::code::deserialize;
use crate::runtime::code::preinitialize::Preinitializer;
use crate::runtime::component::ComponentEngine;
use crate::runtime::engine::MemorySize;
use crate::runtime::engine::executors::Executors;
use crate::runtime::engine::once::TryOnceLock;
use crate::runtime::guest::Code;
use crate::runtime::instance::memory::MemoryBudget;
use crate::runtime::module_engine::ModuleEngine;
use crate::runtime::module_info::PAGE_SIZE;

/// The engines, the cache of their code, and the threads that guests compute on.
pub struct Runtime {
    small: Arc<ModuleEngine>,
    large: TryOnceLock<ModuleEngine>,
    components: TryOnceLock<ComponentEngine>,
    executors: Arc<Executors>,
    code_cache: CodeCache,
    config: EngineConfig,
    compiler: Mutex<Option<CompilerProcess>>,
}

/// Whose module it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleOwner {
    /// The operator's: it is compiled in this process.
    Operator,
    /// A third party's: it is compiled by the [`CompilerProcess`], if there is one.
    ThirdParty,
}

impl Runtime {
    /// Starts the engine for modules and the threads. The other engines are made when they are first needed.
    pub fn new(config: &EngineConfig) -> Result<Self, Error> {
        let code_cache = CodeCache::open(config.cache.as_ref());
        let small = Arc::new(ModuleEngine::new(config, MemorySize::Small, code_cache.wasmtime_cache())?);
        let executors = Arc::new(Executors::start(&small.engine).map_err(Error::Threads)?);
        let (large, components) = (TryOnceLock::default(), TryOnceLock::default());
        Ok(Self { small, large, components, executors, code_cache, config: config.clone(), compiler: Mutex::default() })
    }

    /// Sets the process that compiles modules of third parties from now on.
    pub fn set_compiler(&self, compiler: Option<CompilerProcess>) {
        *self.compiler.lock().unwrap_or_else(PoisonError::into_inner) = compiler;
    }

    fn compiler(&self, owner: ModuleOwner) -> Option<CompilerProcess> {
        let compiler = self.compiler.lock().unwrap_or_else(PoisonError::into_inner);
        compiler.clone().filter(|_| owner == ModuleOwner::ThirdParty)
    }

    /// The settings of the engines, which stay the same.
    pub fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// Whether the engines are made with the code cache, so that it is in use as long as they live.
    pub fn is_made_with_code_cache(&self) -> bool {
        self.code_cache.wasmtime_cache().is_some()
    }

    /// Keeps and uses no compiled code from now on, as far as the engines are not made with the code cache.
    pub fn close_code_cache(&self) {
        self.code_cache.close();
    }

    /// Compiles and links a module or a component, binary or text, with the SHA-256 `digest`. Blocks for as long as the
    /// compiler needs: not for a thread that serves requests.
    pub fn compile(&self, bytes: &[u8], digest: &str, owner: ModuleOwner) -> Result<(Executable, CodeOrigin), Error> {
        let (cache, compiler) = (&self.code_cache, self.compiler(owner));
        let compiler = compiler.as_ref();
        if is_component(bytes) {
            let engine = self.component_engine()?;
            let (component, origin) = cache.get_or_compile::<Component>(&engine.engine, bytes, digest, compiler)?;
            Ok((self.executable(Code::Component(engine.link(&component)?)), origin))
        } else {
            // If the bytes cannot be parsed, the compiler reports what is wrong with them.
            let memory = ModuleInfo::parse(bytes).map_or(0, |info| info.minimum_memory);
            let engine = self.module_engine(MemorySize::of(memory))?;
            let (module, origin) = cache.get_or_compile::<Module>(&engine.engine, bytes, digest, compiler)?;
            Ok((self.executable(Code::Module(engine.link(&module)?)), origin))
        }
    }

    /// Links code that was compiled ahead of time.
    pub fn load(&self, code: &TrustedCode) -> Result<Executable, Error> {
        if code.is_component() {
            let engine = self.component_engine()?;
            let component = deserialize::component(&engine.engine, code).map_err(Error::of_loading)?;
            return Ok(self.executable(Code::Component(engine.link(&component)?)));
        }
        let load = |engine: &ModuleEngine| deserialize::module(&engine.engine, code).map_err(Error::of_loading);
        let module = load(&self.small)?;
        let pages = module.resources_required().max_initial_memory_size.unwrap_or_default();
        let linked = match MemorySize::of(pages.saturating_mul(PAGE_SIZE)) {
            MemorySize::Small => self.small.link(&module)?,
            MemorySize::Large => {
                let engine = self.module_engine(MemorySize::Large)?;
                engine.link(&load(&engine)?)?
            }
        };
        Ok(self.executable(Code::Module(linked)))
    }

    /// Runs the initializer of a module, binary or text, with the SHA-256 `digest`. Blocks for as long as the initializer
    /// runs: not for a thread that serves requests.
    pub fn preinitialize(
        &self,
        bytes: &[u8],
        digest: &str,
        owner: ModuleOwner,
    ) -> Result<Preinitialized, PreinitializeError> {
        if is_component(bytes) {
            return Err(PreinitializeError::Component);
        }
        let budget = MemoryBudget::new(self.config.memory, self.config.table_elements);
        let (engine, code_cache, compiler) = (&self.small.engine, &self.code_cache, self.compiler(owner));
        Preinitializer { engine, code_cache, compiler: compiler.as_ref(), budget }.run(bytes, digest)
    }

    fn executable(&self, code: Code) -> Executable {
        Executable::new(code, self.executors.clone())
    }

    fn module_engine(&self, size: MemorySize) -> Result<Arc<ModuleEngine>, Error> {
        match size {
            MemorySize::Small => Ok(self.small.clone()),
            MemorySize::Large => self.large.get_or_try_init(|| {
                let engine = ModuleEngine::new(&self.config, size, self.code_cache.wasmtime_cache())?;
                self.executors.add_engine(&engine.engine);
                Ok(engine)
            }),
        }
    }

    fn component_engine(&self) -> Result<Arc<ComponentEngine>, Error> {
        self.components.get_or_try_init(|| {
            let engine = ComponentEngine::new(&self.config, self.code_cache.wasmtime_cache()).map_err(Error::Engine)?;
            self.executors.add_engine(&engine.engine);
            Ok(engine)
        })
    }

    /// Which of these imports of modules, each a module and a name, are provided.
    pub fn provides(&self, imports: &[(&str, &str)]) -> Vec<bool> {
        self.small.provides(imports)
    }
}

/// Compiles a module or component, binary or text, ahead of time, for the engine of any server.
pub fn compile_ahead_of_time(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let bytes = to_binary(bytes)?;
    let code = match is_component(&bytes) {
        true => engine::compiler_for_components().map_err(Error::Engine)?.precompile_component(&bytes),
        false => engine::compiler_for_modules().map_err(Error::Engine)?.precompile_module(&bytes),
    };
    code.map_err(Error::Compile)
}
