//! In which engine does a module run, and what is it linked to?
//!
//! Before a memory is used for another run, it is reset. For a small memory the fastest way is to write all of it; for a large
//! one, to ask the system which pages were written to. An engine has only one of these ways. So there is one engine for modules
//! with small memories and, once it is needed, one for modules with large memories. The code is the same for both.

use std::sync::Arc;

use wasmtime::{Cache, Engine, InstancePre, Linker, Module, Store};

use crate::runtime::engine;
use crate::runtime::engine::{EngineConfig, MemorySize};
use crate::runtime::error::Error;
use crate::runtime::instance::grants::Grants;
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::wasi::state::ModuleState;
use crate::runtime::wasi::{experimental_http, preview1};

/// An engine for modules, and the imports that it provides.
pub(in crate::runtime) struct ModuleEngine {
    pub engine: Engine,
    linker: Linker<ModuleState>,
}

impl ModuleEngine {
    /// Makes the engine.
    pub fn new(config: &EngineConfig, size: MemorySize, cache: Option<&Cache>) -> Result<Self, Error> {
        let engine = engine::for_modules(config, size, cache).map_err(Error::Engine)?;
        let mut linker = Linker::new(&engine);
        preview1::add_to_linker(&mut linker).map_err(Error::Engine)?;
        experimental_http::add_to_linker(&mut linker).map_err(Error::Engine)?;
        Ok(Self { engine, linker })
    }

    /// Links a module.
    pub fn link(&self, module: &Module) -> Result<InstancePre<ModuleState>, Error> {
        if experimental_http::is_unsupported(module) {
            return Err(Error::OldHttp);
        }
        let missing = self.missing_imports(module);
        if !missing.is_empty() {
            return Err(Error::UnknownImports(missing));
        }
        self.linker.instantiate_pre(module).map_err(Error::Link)
    }

    fn missing_imports(&self, module: &Module) -> Vec<(String, String)> {
        let imports: Vec<_> = module.imports().map(|import| (import.module(), import.name())).collect();
        let found = imports.iter().zip(self.provides(&imports));
        found.filter(|(_, provided)| !provided).map(|((module, name), _)| ((*module).into(), (*name).into())).collect()
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
