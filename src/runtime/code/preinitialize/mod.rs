//! What is a program after its initializer has run?
//!
//! It is another program: the same code, with memory and globals as the initializer left them. It is made once, before the first
//! request, and each request gets a fresh instance of it. The crate `wasmtime-wizer` says what has to be read from the instance,
//! and writes the new program. The instance runs like any other, with limits, but learns nothing from outside.
//!
//! | file | question |
//! | --- | --- |
//! | `imports` | what may a module call meanwhile? |
//! | `module` | how does the initializer of a module run, and what is read of it? |
//! | `component` | the same for components |

mod component;
mod imports;
mod module;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use wasmtime::{Store, UpdateDeadline};

use crate::format::counted;

use crate::runtime::error::Error;

pub(in crate::runtime) use crate::runtime::code::preinitialize::component::ComponentPreinitializer;
pub(in crate::runtime) use crate::runtime::code::preinitialize::module::ModulePreinitializer;

/// The names an initializer of a module is exported under; the first is what wizer's headers for C and C++ write.
const INITIALIZERS: [&str; 2] = ["wizer.initialize", "wizer-initialize"];

/// The name of a component's, which can have no dot in it.
const COMPONENT_INITIALIZER: &str = "wizer-initialize";

/// How long an initializer may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why a program cannot be preinitialized.
#[derive(Debug, thiserror::Error)]
pub enum PreinitializeError {
    /// It cannot be compiled.
    #[error(transparent)]
    Module(#[from] Error),
    /// It does something that the preinitialized module cannot hold.
    #[error("its state cannot be kept in a module")]
    Unsupported(#[source] wasmtime::Error),
    /// It exports no initializer.
    #[error("the module exports no function `{}` or `{}`", INITIALIZERS[0], INITIALIZERS[1])]
    Missing,
    /// It is a component that exports no initializer.
    #[error("the component exports no function `{COMPONENT_INITIALIZER}`")]
    MissingInComponent,
    /// Its initializer holds something of the host, which is not there when a request comes.
    #[error("its initializer has left {} of the host open, such as files or streams", counted(*.0, "resource", "resources"))]
    HoldsResources(usize),
    /// Its initializer takes parameters or returns results.
    #[error("the exported function `{name}` {found}, and an initializer takes and returns nothing")]
    WrongType {
        /// Its name.
        name: &'static str,
        /// What it takes and returns, in words.
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

/// A program after its initializer has run.
pub struct Preinitialized {
    /// The module or component, binary.
    pub module: Vec<u8>,
    /// The start of what the initializer printed.
    pub printed: String,
}

/// Ends the program when it takes too long.
fn set_timeout<T>(store: &mut Store<T>) {
    let started = Instant::now();
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| match started.elapsed() > TIMEOUT {
        true => wasmtime::bail!("it has not returned within {} s", TIMEOUT.as_secs()),
        false => Ok(UpdateDeadline::Continue(1)),
    });
}

/// Polls once. Nothing here waits: no host function does, and the epoch stops an initializer but never makes it yield.
fn poll_once<T>(future: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    future.now_or_never().unwrap_or_else(|| wasmtime::bail!("it waits for something"))
}

/// Returns a panic as an error. Wizer asserts what it expects of modules, and the module may be an untrusted one.
fn catch_panics<T>(call: impl FnOnce() -> wasmtime::Result<T>) -> wasmtime::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| wasmtime::bail!("wizer cannot handle it"))
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
            r#"(component (import "f" (func $f)) (export "wizer-initialize" (func $f)))"#,
            "(component (component (core module)))",
            "",
        ] {
            assert!(runtime().preinitialize(module.as_bytes(), "a", ModuleOwner::Operator).is_err(), "{module}");
        }
    }
}
