//! What is a component after its initializer has run?
//!
//! The same as a module: see the room above. Its memories and globals are read through functions that the crate `wasmtime-wizer` adds.
//! What the host keeps for a component, such as an open stream, is not part of it, so an initializer that leaves something open is
//! refused: a request would find a handle that leads nowhere.

use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, Instance, Lift, WasmList};
use wasmtime::{Store, bail};
use wasmtime_wasi::WasiView as _;
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use crate::format::sha256_hex;
use crate::wasm_bytes::to_binary;

use crate::runtime::code::cache::CodeCache;
use crate::runtime::code::compiler_process::CompilerProcess;
use crate::runtime::code::preinitialize::{
    COMPONENT_INITIALIZER, PreinitializeError, Preinitialized, catch_panics, poll_once, set_timeout,
};
use crate::runtime::component::ComponentEngine;
use crate::runtime::component::state::ComponentState;
use crate::runtime::error::{Error, counted};
use crate::runtime::instance::grants::Grants;

/// What the initializer of a component runs with.
pub(in crate::runtime) struct ComponentPreinitializer<'a> {
    pub engine: &'a ComponentEngine,
    pub code_cache: &'a CodeCache,
    pub compiler: Option<&'a CompilerProcess>,
    pub grants: Grants,
}

impl ComponentPreinitializer<'_> {
    /// Runs the initializer of a component, binary or text, with the SHA-256 `digest`.
    pub fn run(self, bytes: &[u8], digest: &str) -> Result<Preinitialized, PreinitializeError> {
        let binary = to_binary(bytes).map_err(Error::NotWasm)?;
        let mut wizer = Wizer::new();
        // Without its export, a component that lifts the initializer of a module would be no longer valid.
        wizer.keep_init_func(true);
        let (context, instrumented) =
            catch_panics(|| wizer.instrument_component(&binary)).map_err(PreinitializeError::Unsupported)?;
        let (component, _) = self.code_cache.get_or_compile::<Component>(
            &self.engine.engine,
            &instrumented,
            &sha256_hex(&instrumented),
            self.compiler,
        )?;
        let initializer = initializer_of(&component)?;
        let stdio = Arc::new(self.grants.stdio(None, 0));
        let state = ComponentState::of_initializer(&self.grants, &stdio, digest);
        let mut store = Store::new(&self.engine.engine, state);
        let initialized = catch_panics(|| self.initialize(&mut store, &component, initializer));
        let printed = String::from_utf8_lossy(stdio.stderr().end()).into_owned();
        let failed = |source| PreinitializeError::Failed { printed: printed.clone(), source };
        let instance = initialized.map_err(failed)?;
        match store.data_mut().ctx().table.iter_mut().count() {
            0 => {}
            open => return Err(PreinitializeError::HoldsResources(open)),
        }
        // Memories are read through calls of functions, as lists of their bytes.
        store.set_hostcall_fuel(usize::MAX);
        let mut state = InitializedComponent { store: &mut store, instance };
        let written = catch_panics(|| poll_once(wizer.snapshot_component(&context, &mut state)));
        Ok(Preinitialized { module: written.map_err(failed)?, printed })
    }

    fn initialize(
        &self,
        store: &mut Store<ComponentState>,
        component: &Component,
        initializer: ComponentExportIndex,
    ) -> wasmtime::Result<Instance> {
        store.limiter(|state| &mut state.memory_limits);
        // Whatever a host call copies has to fit into the component as well.
        store.set_hostcall_fuel(self.grants.limits.memory);
        set_timeout(store);
        let linker = self.engine.trapping_linker(component)?;
        poll_once(async {
            let instance = linker.instantiate_async(&mut *store, component).await?;
            let function = instance.get_typed_func::<(), ()>(&mut *store, initializer)?;
            function.call_async(&mut *store, ()).await?;
            Ok(instance)
        })
    }
}

fn initializer_of(component: &Component) -> Result<ComponentExportIndex, PreinitializeError> {
    match component.get_export(None, COMPONENT_INITIALIZER) {
        Some((ComponentItem::ComponentFunc(found), index)) => {
            let (parameters, results) = (found.params().len(), found.results().len());
            match parameters + results {
                0 => Ok(index),
                _ => Err(PreinitializeError::WrongType {
                    name: COMPONENT_INITIALIZER,
                    found: format!("takes {} and returns {}", counted(parameters), counted(results)),
                }),
            }
        }
        _ => Err(PreinitializeError::MissingInComponent),
    }
}

/// An instance whose initializer has run.
struct InitializedComponent<'a> {
    store: &'a mut Store<ComponentState>,
    instance: Instance,
}

impl InitializedComponent<'_> {
    /// Calls a function that wizer has added.
    async fn call<R>(&mut self, instance: &str, function: &str) -> wasmtime::Result<R>
    where
        R: Lift + Send + Sync + 'static,
        (R,): ComponentNamedList,
    {
        let export = self.instance.get_export_index(&mut *self.store, None, instance);
        let export = export.and_then(|outer| self.instance.get_export_index(&mut *self.store, Some(&outer), function));
        let Some(export) = export else { bail!("`{instance}` has no function `{function}`") };
        let function = self.instance.get_typed_func::<(), (R,)>(&mut *self.store, export)?;
        Ok(function.call_async(&mut *self.store, ()).await?.0)
    }

    #[expect(clippy::panic, reason = "wizer's trait has no error; `catch_panics` returns the panic as one")]
    async fn number<R>(&mut self, instance: &str, function: &str) -> R
    where
        R: Lift + Send + Sync + 'static,
        (R,): ComponentNamedList,
    {
        self.call(instance, function).await.unwrap_or_else(|error| panic!("{error:#}"))
    }
}

impl ComponentInstanceState for InitializedComponent<'_> {
    async fn call_func_ret_list_u8(&mut self, instance: &str, func: &str, contents: impl FnOnce(&[u8]) + Send) {
        let list: WasmList<u8> = self.number(instance, func).await;
        contents(list.as_le_slice(&*self.store));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.number(instance, func).await
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.number(instance, func).await
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.number::<f32>(instance, func).await.to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.number::<f64>(instance, func).await.to_bits()
    }
}
