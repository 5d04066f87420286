//! What is a module after its initializer has run?
//!
//! It is another module: the same code, with memory and globals as the initializer left them. It is made once, before the first
//! request, and each request gets a fresh instance of it. The crate `wasmtime-wizer` says what has to be read from the instance,
//! and writes the new module. The instance runs like any other, with limits, but with the host functions of `imports`.

use wasmtime::{Engine, ExternType, Instance, Module, Store, Val};
use wasmtime_wizer::{InstanceState, ModuleContext, SnapshotVal, ValType, Wizer};

use crate::format::sha256_hex;
use crate::wasm_bytes::to_binary;

use crate::runtime::code::cache::CodeCache;
use crate::runtime::code::compiler_process::CompilerProcess;
use crate::runtime::code::preinitialize::imports::{self, Exited, InitializerState};
use crate::runtime::code::preinitialize::{
    INITIALIZERS, PreinitializeError, Preinitialized, catch_panics, poll_once, set_timeout,
};
use crate::runtime::error::{Error, in_words};
use crate::runtime::instance::memory::MemoryBudget;

/// What a module exports to be called instead of `_start` once it is initialized; `_start` would initialize it again.
const RESUME: &str = "wizer.resume";
const START: &str = "_start";
const INITIALIZE: &str = "_initialize";

/// What an initializer runs with.
pub(in crate::runtime) struct ModulePreinitializer<'a> {
    pub engine: &'a Engine,
    pub code_cache: &'a CodeCache,
    pub compiler: Option<&'a CompilerProcess>,
    pub budget: MemoryBudget,
}

impl ModulePreinitializer<'_> {
    /// Runs the initializer of a module, binary or text, with the SHA-256 `digest`.
    pub fn run(self, bytes: &[u8], digest: &str) -> Result<Preinitialized, PreinitializeError> {
        let binary = to_binary(bytes).map_err(Error::NotWasm)?;
        let mut wizer = Wizer::new();
        let (context, instrumented) =
            catch_panics(|| wizer.instrument(&binary)).map_err(PreinitializeError::Unsupported)?;
        let instrumented_digest = sha256_hex(&instrumented);
        let (module, _) = self.code_cache.get_or_compile::<Module>(
            self.engine,
            &instrumented,
            &instrumented_digest,
            self.compiler,
        )?;
        let name = initializer_of(&module)?;
        wizer.init_func(name);
        if matches!(module.get_export(RESUME), Some(ExternType::Func(_))) {
            wizer.func_rename(START, RESUME);
        }
        let mut store = Store::new(self.engine, InitializerState::new(digest, self.budget));
        let preinitialized = run(&mut store, &module, name)
            .and_then(|instance| module_of(&wizer, &context, InitializedState { store: &mut store, instance }));
        let printed = String::from_utf8_lossy(&store.data().printed).into_owned();
        match preinitialized {
            Ok(module) => Ok(Preinitialized { module, printed }),
            Err(source) => Err(PreinitializeError::Failed { printed, source }),
        }
    }
}

fn initializer_of(module: &Module) -> Result<&'static str, PreinitializeError> {
    let exported = |name: &&'static str| matches!(module.get_export(name), Some(ExternType::Func(_)));
    let name = INITIALIZERS.into_iter().find(exported).ok_or(PreinitializeError::Missing)?;
    match module.get_export(name) {
        Some(ExternType::Func(found)) if found.params().len() + found.results().len() > 0 => {
            Err(PreinitializeError::WrongType { name, found: in_words(found.params(), found.results()) })
        }
        _ => Ok(name),
    }
}

fn run(store: &mut Store<InitializerState>, module: &Module, name: &str) -> wasmtime::Result<Instance> {
    store.limiter(|state| &mut state.budget);
    set_timeout(store);
    let linker = imports::linker(module)?;
    poll_once(async {
        let instance = linker.instantiate_async(&mut *store, module).await?;
        for name in [INITIALIZE, name] {
            if let Some(function) = instance.get_func(&mut *store, name) {
                let called = function.typed::<(), ()>(&mut *store)?.call_async(&mut *store, ()).await;
                called.map_err(without_backtrace)?;
            }
        }
        Ok(instance)
    })
}

/// An exit needs no trace of where the module was.
fn without_backtrace(error: wasmtime::Error) -> wasmtime::Error {
    match error.downcast_ref::<Exited>() {
        Some(Exited(code)) => Exited(*code).into(),
        None => error,
    }
}

/// The module with the state of an instance.
fn module_of(wizer: &Wizer, context: &ModuleContext<'_>, mut state: InitializedState<'_>) -> wasmtime::Result<Vec<u8>> {
    catch_panics(|| poll_once(wizer.snapshot(context, &mut state)))
}

/// An instance whose initializer has run.
struct InitializedState<'a> {
    store: &'a mut Store<InitializerState>,
    instance: Instance,
}

/// Wizer asks only for what it has exported itself. Anything else is its mistake, which `catch_panics` returns as an error.
impl InstanceState for InitializedState<'_> {
    #[expect(clippy::panic, reason = "the trait has no error; `catch_panics` returns the panic as one")]
    async fn global_get(&mut self, name: &str, _: ValType) -> SnapshotVal {
        let value = self.instance.get_global(&mut *self.store, name).map(|global| global.get(&mut *self.store));
        match value {
            Some(Val::I32(number)) => SnapshotVal::I32(number),
            Some(Val::I64(number)) => SnapshotVal::I64(number),
            Some(Val::F32(bits)) => SnapshotVal::F32(bits),
            Some(Val::F64(bits)) => SnapshotVal::F64(bits),
            Some(Val::V128(bits)) => SnapshotVal::V128(bits.as_u128()),
            _ => panic!("`{name}` is no global of a number"),
        }
    }

    async fn memory_contents(&mut self, name: &str, contents: impl FnOnce(&[u8]) + Send) {
        let memory = self.instance.get_memory(&mut *self.store, name);
        contents(memory.map(|memory| memory.data(&*self.store)).unwrap_or_default());
    }
}
