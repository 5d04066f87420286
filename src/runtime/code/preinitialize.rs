//! What is a module after its initializer has run?
//!
//! It is another module: the same code, with memory and globals as the initializer left them. It is made once, before the first
//! request, and each request gets a fresh instance of it. The crate `wasmtime-wizer` says what has to be read from the instance,
//! and writes the new module. The instance runs like any other, with limits, but with the host functions of `initializer`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use wasmtime::{Engine, ExternType, Instance, Module, Store, UpdateDeadline, Val};
use wasmtime_wizer::{InstanceState, ModuleContext, SnapshotVal, ValType, Wizer};

use crate::format::sha256_hex;
use crate::wasm_bytes::to_binary;

use crate::runtime::code::cache::CodeCache;
use crate::runtime::code::compiler_process::CompilerProcess;
use crate::runtime::code::initializer;
use crate::runtime::code::initializer::{Exited, InitializerState};
use crate::runtime::error::Error;
use crate::runtime::instance::memory::MemoryBudget;

/// The names an initializer is exported under; the first is what wizer's headers for C and C++ write.
const INITIALIZERS: [&str; 2] = ["wizer.initialize", "wizer-initialize"];

/// What a module exports to be called instead of `_start` once it is initialized; `_start` would initialize it again.
const RESUME: &str = "wizer.resume";
const START: &str = "_start";
const INITIALIZE: &str = "_initialize";

/// How long an initializer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why a module cannot be preinitialized.
#[derive(Debug, thiserror::Error)]
pub enum PreinitializeError {
    /// It cannot be compiled.
    #[error(transparent)]
    Module(#[from] Error),
    /// It does something that the preinitialized module cannot hold.
    #[error("its state cannot be kept in a module")]
    Unsupported(#[source] wasmtime::Error),
    /// It is a component.
    #[error("components cannot be preinitialized, only modules")]
    Component,
    /// It exports no initializer.
    #[error("the module exports no function `{}` or `{}`", INITIALIZERS[0], INITIALIZERS[1])]
    Missing,
    /// Its initializer takes parameters or returns results.
    #[error("the exported function `{name}` has the type {found}, and an initializer takes and returns nothing")]
    WrongType {
        /// Its name.
        name: &'static str,
        /// Its type.
        found: String,
    },
    /// Its initializer exited, trapped or took too long.
    #[error("its initializer failed{}", if printed.is_empty() { String::new() } else { format!(", having printed {printed:?}") })]
    Failed {
        /// The start of what it printed.
        printed: String,
        /// How it ended.
        source: wasmtime::Error,
    },
}

/// A module after its initializer has run.
pub struct Preinitialized {
    /// The module, binary.
    pub module: Vec<u8>,
    /// The start of what the initializer printed.
    pub printed: String,
}

/// What an initializer runs with.
pub(in crate::runtime) struct Preinitializer<'a> {
    pub engine: &'a Engine,
    pub code_cache: &'a CodeCache,
    pub compiler: Option<&'a CompilerProcess>,
    pub budget: MemoryBudget,
}

impl Preinitializer<'_> {
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
            Err(PreinitializeError::WrongType { name, found: found.to_string() })
        }
        _ => Ok(name),
    }
}

fn run(store: &mut Store<InitializerState>, module: &Module, name: &str) -> wasmtime::Result<Instance> {
    let started = Instant::now();
    store.limiter(|state| &mut state.budget);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| match started.elapsed() > TIMEOUT {
        true => wasmtime::bail!("it has not returned within {} s", TIMEOUT.as_secs()),
        false => Ok(UpdateDeadline::Continue(1)),
    });
    let linker = initializer::linker(module)?;
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

/// Polls once. Nothing here waits: no host function does, and the epoch stops an initializer but never makes it yield.
fn poll_once<T>(future: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    future.now_or_never().unwrap_or_else(|| wasmtime::bail!("it waits for something"))
}

/// Returns a panic as an error. Wizer asserts what it expects of modules, and the module may be an untrusted one.
fn catch_panics<T>(call: impl FnOnce() -> wasmtime::Result<T>) -> wasmtime::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| wasmtime::bail!("wizer cannot handle it"))
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

#[cfg(test)]
mod tests {
    use crate::runtime::{EngineConfig, ModuleOwner, Runtime};

    /// Draws random numbers and looks at the clocks, and leaves what it saw in its memory.
    const CURIOUS: &str = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "wizer.initialize")
            (drop (call $random (i32.const 0) (i32.const 100)))
            (drop (call $time (i32.const 0) (i64.const 1) (i32.const 200)))
            (drop (call $time (i32.const 1) (i64.const 1) (i32.const 208)))
            (i64.store (i32.const 216) (i64.const -1))
            (drop (call $environ (i32.const 216) (i32.const 220)))
            (i32.store8 (i32.const 300) (i32.const 42))))"#;

    fn runtime() -> Runtime {
        Runtime::new(&EngineConfig::for_one(1 << 20, 10)).expect("an engine")
    }

    #[test]
    fn the_same_module_comes_to_the_same_preinitialized_module() {
        let preinitialized = |digest: &str| {
            runtime().preinitialize(CURIOUS.as_bytes(), digest, ModuleOwner::Operator).expect("a module").module
        };
        let first = preinitialized("a");
        assert_eq!(first, preinitialized("a"));
        assert_ne!(first, preinitialized("b"), "random numbers follow from the digest");
        let zeros = first.windows(100).filter(|bytes| bytes.iter().all(|byte| *byte == 0)).count();
        assert_eq!(zeros, 0, "random numbers are not zero");
    }

    #[test]
    fn an_initializer_has_limits_and_stays_in_its_memory() {
        let grow = "(drop (memory.grow (i32.const 17))) (if (i32.ne (memory.size) (i32.const 1)) (then unreachable))";
        let outside = "(drop (call $random (i32.const 65530) (i32.const 100)))";
        let endless = "(drop (call $random (i32.const 65530) (i32.const -1)))";
        for (body, fails) in [(grow, false), (outside, true), (endless, true)] {
            let module = CURIOUS.replace("(drop (call $random (i32.const 0) (i32.const 100)))", body);
            let made = runtime().preinitialize(module.as_bytes(), "a", ModuleOwner::Operator);
            assert_eq!(made.is_err(), fails, "{body}");
        }
    }

    /// Each is valid, and more than wizer is made for.
    #[test]
    fn modules_beyond_wizer_are_errors() {
        for module in [
            r#"(module (import "a" "t" (tag)) (memory (export "memory") 1) (func (export "wizer.initialize")))"#,
            r#"(module (import "a" "g" (global i32)) (func (export "wizer.initialize")))"#,
            r#"(module (memory 1) (export "__wizer_memory_0" (memory 0)) (func (export "wizer.initialize")))"#,
            "(module",
            "(component)",
            "",
        ] {
            assert!(runtime().preinitialize(module.as_bytes(), "a", ModuleOwner::Operator).is_err(), "{module}");
        }
    }
}
