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
//! | `request_count` | how many requests has the server begun to serve? |
//! | `run_watcher` | what is seen of a run from outside? |
//! | `engine` | how are the engines set up, and on which threads do guests compute? |
//! | `instance` | how does a run start, what may it use, and how does it end? |
//! | `resume` | how does a program go on, in another instance, from where it has stopped? |
//! | `wasi` | what do the imports of modules do? |
//! | `other_host` | which host was a module built for that imports what nothing here provides? |
//! | `module_engine` | what is a module linked to? |
//! | `component` | the same for components |
//! | `code` | where does machine code come from? |
//! | `engines` | in which engine does a program run? |
//! | `traced_calls` | how are the calls of a guest to its host seen, one by one? |
//! | `warm_start` | how does a guest begin at its checkpoint instead of at its start? |
//! | `guest` | what is a guest, and how does a run of it start? |

mod code;
mod component;
mod cure;
mod engine;
mod engines;
mod error;
mod guest;
mod instance;
mod module_engine;
mod module_info;
mod other_host;
mod request_count;
mod resume;
mod run_watcher;
mod traced_calls;
mod warm_start;
mod wasi;

pub use crate::outbound::CallResult;
pub use crate::runtime::code::cache::CodeOrigin;
pub use crate::runtime::code::compiler_process::{COMPILER_COMMAND, CompilerProcess, printed_causes};
pub use crate::runtime::code::compiler_target::{CompilerTarget, CompilerTargetError};
pub use crate::runtime::code::precompiled::{TrustError, TrustedCode, is_precompiled};
pub use crate::runtime::code::preinitialize::{PreinitializeError, Preinitialized};
pub use crate::runtime::component::{ComponentRequest, ComponentRequestBody, is_component};
pub use crate::runtime::engine::threads::lower_priority;
pub use crate::runtime::engine::{CodeOptimization, EngineConfig};
pub use crate::runtime::error::Error;
pub use crate::runtime::guest::{EntryPointError, Executable, Guest, ROUTES, WeakExecutable};
pub use crate::runtime::instance::client_wait::ClientWaits;
pub use crate::runtime::instance::debug::profiler::ProfileSink;
pub use crate::runtime::instance::debug::{CoredumpDirectory, Debugging, GuestProfile, Profiling, ProgramFile};
pub use crate::runtime::instance::ending::{Ending, TrapReport};
pub use crate::runtime::instance::grants::{Grants, Outbound, Volumes};
pub use crate::runtime::instance::invocation::Invocation;
pub use crate::runtime::instance::output::Output;
pub use crate::runtime::instance::run::{Activity, Run, RunUsage, RunView};
pub use crate::runtime::instance::stderr::StderrSink;
pub use crate::runtime::instance::stdio::{InputStream, STDOUT_CAPACITY};
pub use crate::runtime::module_info::{Encoding, Extern, ModuleInfo, ParseError};
pub use crate::runtime::request_count::RequestCount;
pub use crate::runtime::resume::cold_reason::ColdSpan;
pub use crate::runtime::run_watcher::{HostCall, PathArgument, RunInputs, RunWatcher};
pub use crate::runtime::warm_start::proving::{ColdExplanation, WarmStartChance, WarmStartProof, warm_start_obstacle};
pub use crate::runtime::warm_start::request::{
    QueryClass, RehearsalRequest, RehearsalRequests, SnapshotKey, SnapshotScope,
};
pub use crate::runtime::warm_start::{WarmStartSetup, WarmStartView};

use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::Module;
use wasmtime::component::Component;

use crate::config::UnknownImports;
use crate::wasm_bytes::to_binary;

use crate::runtime::code::cache::CodeCache;
use crate::runtime::code::deserialize;
use crate::runtime::code::preinitialize::{ComponentPreinitializer, ModulePreinitializer};
use crate::runtime::engine::MemorySize;
use crate::runtime::engine::gc_support::GcSupport;
use crate::runtime::engines::Engines;
use crate::runtime::guest::Code;
use crate::runtime::instance::memory::MemoryBudget;
use crate::runtime::module_info::PAGE_SIZE;
use crate::runtime::warm_start::WarmStarts;
use crate::runtime::warm_start::program::Program;
use crate::runtime::warm_start::worker::SnapshotWorker;

/// The engines, the cache of their code, and the threads that guests compute on.
pub struct Runtime {
    engines: Arc<Engines>,
    code_cache: Arc<CodeCache>,
    compiler: Mutex<Option<CompilerProcess>>,
    /// The thread that makes snapshots.
    worker: Arc<SnapshotWorker>,
    requests: RequestCount,
}

/// Whose module it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleOwner {
    /// The operator's: it is compiled in this process.
    Operator,
    /// A third party's: it is compiled by the [`CompilerProcess`], if there is one.
    ThirdParty,
}

/// A program that is to be compiled and linked.
#[derive(Clone, Copy)]
pub struct ProgramSource<'a> {
    /// A module or component, binary or text.
    pub bytes: &'a [u8],
    /// The SHA-256 of the bytes.
    pub digest: &'a str,
    /// Whose program it is.
    pub owner: ModuleOwner,
    /// What becomes of imports that nothing provides.
    pub unknown_imports: UnknownImports,
}

/// What a module or component, binary or text, imports and exports; `None` if it is not valid. It is not compiled for that.
pub fn validate(bytes: &[u8]) -> Option<ModuleInfo> {
    let binary = to_binary(bytes).ok()?;
    GcSupport::is_valid(&binary).then(|| ModuleInfo::parse(&binary).ok()).flatten()
}

impl Runtime {
    /// Starts the engine for modules and the threads. The other engines are made when they are first needed.
    pub fn new(config: &EngineConfig) -> Result<Self, Error> {
        let code_cache = Arc::new(CodeCache::open(config.cache.as_ref()));
        let engines = Arc::new(Engines::new(config, &code_cache)?);
        let requests = RequestCount::default();
        let worker = Arc::new(SnapshotWorker::beside(requests.clone()));
        Ok(Self { engines, code_cache, compiler: Mutex::default(), worker, requests })
    }

    /// Counts the requests that the server begins to serve. What is made in the background rests beside many.
    pub fn requests(&self) -> RequestCount {
        self.requests.clone()
    }

    /// Sets the process that compiles modules of third parties from now on.
    pub fn set_compiler(&self, compiler: Option<CompilerProcess>) {
        *self.compiler.lock().unwrap_or_else(PoisonError::into_inner) = compiler;
    }

    fn compiler(&self, owner: ModuleOwner) -> Option<CompilerProcess> {
        let compiler = self.compiler.lock().unwrap_or_else(PoisonError::into_inner);
        compiler.clone().filter(|_| owner == ModuleOwner::ThirdParty)
    }

    /// What compiles snapshots, if there is an executable for it. It compiles with full optimization.
    fn snapshot_compiler(&self) -> Option<CompilerProcess> {
        let is_optimized = self.engines.config.optimization == CodeOptimization::Full;
        let compiler = self.compiler.lock().unwrap_or_else(PoisonError::into_inner);
        compiler.as_ref().filter(|_| is_optimized).map(|compiler| compiler.for_snapshots(self.worker.turns()))
    }

    /// The settings of the engines, which stay the same.
    pub fn config(&self) -> &EngineConfig {
        &self.engines.config
    }

    /// Whether the engines are made with the code cache, so that it is in use as long as they live.
    pub fn is_made_with_code_cache(&self) -> bool {
        self.code_cache.wasmtime_cache().is_some()
    }

    /// Keeps and uses no compiled code from now on, as far as the engines are not made with the code cache.
    pub fn close_code_cache(&self) {
        self.code_cache.close();
    }

    /// Compiles and links a module or a component, binary or text. Blocks for as long as the compiler needs: not for a thread that
    /// serves requests.
    pub fn compile(&self, source: &ProgramSource<'_>) -> Result<(Executable, CodeOrigin), Error> {
        let (code, origin) = match is_component(source.bytes) {
            true => self.compile_component(source)?,
            false => self.compile_module(source)?,
        };
        Ok((self.executable(code), origin))
    }

    fn compile_module(&self, source: &ProgramSource<'_>) -> Result<(Code, CodeOrigin), Error> {
        let ProgramSource { bytes, digest, owner, unknown_imports } = *source;
        let (cache, compiler) = (&self.code_cache, self.compiler(owner));
        // If the bytes cannot be parsed, the compiler reports what is wrong with them.
        let memory = ModuleInfo::parse(bytes).map_or(0, |info| info.minimum_memory);
        let size = MemorySize::of(memory);
        let engine = self.engines.for_modules(size, GcSupport::Off, cache)?;
        // What was compiled without a collector needs none, so it is not validated again.
        if let Some(module) = cache.kept::<Module>(&engine.engine, digest) {
            return Ok((Code::module(engine.link(&module, unknown_imports)?), CodeOrigin::Cached));
        }
        let engine = self.engines.for_modules(size, GcSupport::needed_by(bytes)?, cache)?;
        let (module, origin) = cache.get_or_compile::<Module>(&engine.engine, bytes, digest, compiler.as_ref())?;
        Ok((Code::module(engine.link(&module, unknown_imports)?), origin))
    }

    fn compile_component(&self, source: &ProgramSource<'_>) -> Result<(Code, CodeOrigin), Error> {
        let ProgramSource { bytes, digest, owner, unknown_imports } = *source;
        let (cache, compiler) = (&self.code_cache, self.compiler(owner));
        let engine = self.engines.for_components(GcSupport::needed_by(bytes)?, cache)?;
        let (component, origin) =
            cache.get_or_compile::<Component>(&engine.engine, bytes, digest, compiler.as_ref())?;
        Ok((Code::component(engine.link(&component, unknown_imports)?), origin))
    }

    /// Links code that was compiled ahead of time.
    pub fn load(&self, code: &TrustedCode, unknown_imports: UnknownImports) -> Result<Executable, Error> {
        let loaded = self.load_for(GcSupport::Off, code, unknown_imports);
        // The code says for which engine it is.
        let loaded = loaded.or_else(|error| match error {
            Error::OtherEngine(_) => {
                self.load_for(GcSupport::On, code, unknown_imports).map_err(|second| match second {
                    Error::OtherEngine(_) => error,
                    second => second,
                })
            }
            error => Err(error),
        });
        Ok(self.executable(loaded?))
    }

    fn load_for(&self, gc: GcSupport, code: &TrustedCode, unknown_imports: UnknownImports) -> Result<Code, Error> {
        let (engines, cache) = (&self.engines, &self.code_cache);
        if code.is_component() {
            let engine = engines.for_components(gc, cache)?;
            let component = deserialize::component(&engine.engine, code).map_err(Error::of_loading)?;
            return Ok(Code::component(engine.link(&component, unknown_imports)?));
        }
        let load = |size: MemorySize| -> Result<_, Error> {
            let engine = engines.for_modules(size, gc, cache)?;
            let module = deserialize::module(&engine.engine, code).map_err(Error::of_loading)?;
            Ok((engine, module))
        };
        let (engine, module) = load(MemorySize::Small)?;
        let pages = module.resources_required().max_initial_memory_size.unwrap_or_default();
        let (engine, module) = match MemorySize::of(pages.saturating_mul(PAGE_SIZE)) {
            MemorySize::Small => (engine, module),
            MemorySize::Large | MemorySize::Captured => load(MemorySize::Large)?,
        };
        Ok(Code::module(engine.link(&module, unknown_imports)?))
    }

    /// Runs the initializer of a module or component, binary or text, with the SHA-256 `digest`. Blocks for as long as the
    /// initializer runs: not for a thread that serves requests.
    pub fn preinitialize(
        &self,
        bytes: &[u8],
        digest: &str,
        owner: ModuleOwner,
    ) -> Result<Preinitialized, PreinitializeError> {
        let (config, gc) = (&self.engines.config, GcSupport::needed_by(bytes)?);
        let (code_cache, compiler) = (&self.code_cache, self.compiler(owner));
        if is_component(bytes) {
            let engine = self.engines.for_components(gc, code_cache)?;
            let grants = Grants::of_initializer(config.memory, config.table_elements);
            let compiler = compiler.as_ref();
            return ComponentPreinitializer { engine: &engine, code_cache, compiler, grants }.run(bytes, digest);
        }
        let budget = MemoryBudget::new(config.memory, config.table_elements);
        let engine = &self.engines.for_modules(MemorySize::Small, gc, code_cache)?.engine;
        ModulePreinitializer { engine, code_cache, compiler: compiler.as_ref(), budget }.run(bytes, digest)
    }

    /// The same guest, of which a snapshot is made for each of the `first` scripts when it is put in force, and more as they are asked
    /// for. Without scripts the first of them is `None`.
    pub fn warm_start(
        &self,
        guest: Guest,
        entry_point: &str,
        unknown_imports: UnknownImports,
        setup: WarmStartSetup,
        first: Vec<Option<String>>,
    ) -> Guest {
        let program = Program {
            engines: self.engines.clone(),
            code_cache: self.code_cache.clone(),
            grants: guest.grants().clone(),
            unknown_imports,
            is_third_party: self.compiler(setup.owner).is_some(),
            compiler: self.snapshot_compiler(),
            functions: guest.functions(entry_point),
        };
        guest.with_warm_starts(WarmStarts::new(setup, program, first, self.worker.clone()))
    }

    fn executable(&self, code: Code) -> Executable {
        Executable::new(code, self.engines.executors.clone())
    }

    /// Which of these imports of modules, each a module and a name, are provided.
    pub fn provides(&self, imports: &[(&str, &str)]) -> Vec<bool> {
        self.engines.small.provides(imports)
    }
}
