//! In which engine does a module run, and what is it linked to?
//!
//! Before a memory is used for another run, it is reset. For a small memory the fastest way is to write all of it; for a large
//! one, to ask the system which pages were written to. An engine has only one of these ways. So there is one engine for modules
//! with small memories and, once it is needed, one for modules with large memories. The code is the same for both. Modules that need a
//! garbage collector have a third engine, with code of its own.

use std::fmt;
use std::sync::Arc;

use wasmtime::{
    Cache, Caller, Engine, Extern, ExternType, ImportType, Instance, InstancePre, Linker, Module, ModuleExport, Store,
    Val,
};

use crate::config::UnknownImports;

use crate::runtime::engine;
use crate::runtime::engine::gc_support::GcSupport;
use crate::runtime::engine::{EngineConfig, MemorySize};
use crate::runtime::error::Error;
use crate::runtime::instance::debug::profiler::{GuestSampler, watch_epochs};
use crate::runtime::instance::debug::trap;
use crate::runtime::instance::debug::trap::RunningCode;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::grants::Grants;
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::other_host::ImportKind;
use crate::runtime::wasi::rehearsal::calls;
use crate::runtime::wasi::state::ModuleState;
use crate::runtime::wasi::{experimental_http, preview1};

/// An engine for modules, and the imports that it provides.
pub(in crate::runtime) struct ModuleEngine {
    pub engine: Engine,
    linker: Arc<Linker<ModuleState>>,
}

/// A module linked to the host.
pub(in crate::runtime) struct LinkedModule {
    pub linked: InstancePre<ModuleState>,
    /// What it is linked to.
    pub linker: Arc<Linker<ModuleState>>,
    /// The imports that end a guest when it calls them, as they are shown.
    pub trapping: Vec<String>,
}

/// An import that is not provided.
struct MissingImport {
    module: String,
    name: String,
    /// Whether it is a function.
    can_trap: bool,
}

impl MissingImport {
    /// The error of a module that is refused because of these.
    fn refusal(missing: &[&Self]) -> Error {
        let kind = match missing.iter().all(|import| import.can_trap) {
            true => ImportKind::Functions,
            false => ImportKind::Objects,
        };
        let imports = missing.iter().map(|import| (import.module.clone(), import.name.clone())).collect();
        Error::UnknownImports { imports, kind }
    }
}

/// The most characters of a module's name and of an import's name in messages.
const MAX_NAME_LENGTH: usize = 100;

impl fmt::Display for MissingImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |name: &str| name.chars().take(MAX_NAME_LENGTH).collect::<String>();
        write!(f, "`{}.{}`", cut(&self.module), cut(&self.name))
    }
}

impl ModuleEngine {
    /// Makes the engine.
    pub fn new(config: &EngineConfig, size: MemorySize, gc: GcSupport, cache: Option<&Cache>) -> Result<Self, Error> {
        Self::of(engine::for_modules(config, size, gc, cache).map_err(Error::Engine)?)
    }

    /// Makes the engine in which modules are captured.
    pub fn for_rehearsals(config: &EngineConfig, cache: Option<&Cache>) -> Result<Self, Error> {
        Self::of(engine::for_rehearsals(config, cache).map_err(Error::Engine)?)
    }

    fn of(engine: Engine) -> Result<Self, Error> {
        let mut linker = Linker::new(&engine);
        preview1::add_to_linker(&mut linker).map_err(Error::Engine)?;
        experimental_http::add_to_linker(&mut linker).map_err(Error::Engine)?;
        Ok(Self { engine, linker: Arc::new(linker) })
    }

    /// Links a module.
    pub fn link(&self, module: &Module, unknown: UnknownImports) -> Result<LinkedModule, Error> {
        if experimental_http::is_unsupported(module) {
            return Err(Error::OldHttp);
        }
        let missing = self.missing_imports(module);
        let refused = missing.iter().filter(|import| !import.can_trap || unknown == UnknownImports::Refuse);
        let refused: Vec<_> = refused.collect();
        if !refused.is_empty() {
            return Err(MissingImport::refusal(&refused));
        }
        let linker = match missing.is_empty() {
            true => self.linker.clone(),
            false => Arc::new(with_traps(&self.linker, module, &missing)?),
        };
        let linked = linker.instantiate_pre(module).map_err(Error::Link)?;
        Ok(LinkedModule { linked, linker, trapping: missing.iter().map(MissingImport::to_string).collect() })
    }

    /// Links a module for rehearsals: to clocks and random numbers that can be told.
    pub fn link_rehearsed(&self, module: &Module, unknown: UnknownImports) -> Result<InstancePre<ModuleState>, Error> {
        let missing = self.missing_imports(module);
        let mut linker = with_traps(&self.linker, module, &missing)?;
        if !missing.is_empty() && unknown == UnknownImports::Refuse {
            return Err(MissingImport::refusal(&missing.iter().collect::<Vec<_>>()));
        }
        calls::replace(&mut linker).map_err(Error::Link)?;
        linker.instantiate_pre(module).map_err(Error::Link)
    }

    /// The same for a rehearsal that is captured at its checkpoint.
    pub fn link_captured(&self, module: &Module) -> Result<InstancePre<ModuleState>, Error> {
        let mut linker = Linker::clone(&self.linker);
        calls::replace(&mut linker).map_err(Error::Link)?;
        calls::forbid(&mut linker, module).map_err(Error::Link)?;
        linker.instantiate_pre(module).map_err(Error::Link)
    }

    fn missing_imports(&self, module: &Module) -> Vec<MissingImport> {
        let imports: Vec<_> = module.imports().map(|import| (import.module(), import.name())).collect();
        let found = module.imports().zip(self.provides(&imports)).filter(|(_, provided)| !provided);
        let missing = found.map(|(import, _)| MissingImport {
            module: import.module().to_owned(),
            name: import.name().to_owned(),
            can_trap: matches!(import.ty(), ExternType::Func(_)),
        });
        missing.collect()
    }

    /// Which of these imports, each a module and a name, are provided.
    pub fn provides(&self, imports: &[(&str, &str)]) -> Vec<bool> {
        // The linker can be asked only with a store.
        let grants = Grants::default();
        let stdio = Arc::new(grants.stdio(None, 0));
        let mut store = Store::new(&self.engine, ModuleState::new(&grants, stdio, Invocation::default()));
        imports.iter().map(|(module, name)| self.linker.get(&mut store, module, name).is_ok()).collect()
    }
}

/// The imports that are provided, and functions for the missing ones, each of which ends its guest when it is called.
fn with_traps(
    provided: &Linker<ModuleState>,
    module: &Module,
    missing: &[MissingImport],
) -> Result<Linker<ModuleState>, Error> {
    let mut linker = Linker::clone(provided);
    // A module may import a name twice.
    linker.allow_shadowing(true);
    for import in missing {
        let is_it = |found: &ImportType<'_>| (found.module(), found.name()) == (&*import.module, &*import.name);
        let Some(ExternType::Func(ty)) = module.imports().find(is_it).map(|found| found.ty()) else { continue };
        let name = import.to_string();
        let trap = move |_: Caller<'_, ModuleState>, _: &[Val], _: &mut [Val]| -> wasmtime::Result<()> {
            wasmtime::bail!("it called the import {name}, which nothing here provides")
        };
        linker.func_new(&import.module, &import.name, ty, trap).map_err(Error::Link)?;
    }
    Ok(linker)
}

/// A store for one run, with a sampler if its guest is sampled.
pub(in crate::runtime) fn store(
    engine: &Engine,
    state: ModuleState,
    sampler: Option<GuestSampler>,
) -> Store<ModuleState> {
    let fuel = state.hostcall_fuel;
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory_limits);
    // Whatever a host call copies has to fit into the guest as well.
    store.set_hostcall_fuel(fuel);
    watch_epochs(&mut store, sampler, |state| &state.stdio.cpu_timer);
    store
}

/// Calls functions of an instance that take and return nothing, one after the other.
pub(in crate::runtime) async fn call(
    store: &mut Store<ModuleState>,
    instance: &Instance,
    functions: impl IntoIterator<Item = ModuleExport>,
    code: RunningCode,
) -> Ending {
    for export in functions {
        let function = instance.get_module_export(&mut *store, &export).and_then(Extern::into_func);
        let Some(function) = function else {
            return Ending::NotStarted("its entry point is not a function".into());
        };
        let called = match function.typed::<(), ()>(&*store) {
            Ok(function) => function.call_async(&mut *store, ()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = called {
            let stdio = store.data().stdio.clone();
            return trap::ending(error, store, &stdio, code).await;
        }
    }
    Ending::Succeeded
}
