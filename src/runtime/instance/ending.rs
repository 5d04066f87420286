//! How did a run end?

use std::io;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// The error that ends a guest at its limit on CPU time.
#[derive(Debug, thiserror::Error)]
#[error("used up its CPU time")]
pub(in crate::runtime) struct CpuTimeUsedUp;

/// The error that ends a guest at its limit on output.
#[derive(Debug, thiserror::Error)]
#[error("printed more than it may")]
pub(in crate::runtime) struct OutputLimit;

/// The error that ends a guest whose request body broke off.
#[derive(Debug, thiserror::Error)]
#[error("the request body could not be read")]
pub(in crate::runtime) struct StdinFailed(#[source] pub io::Error);

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    /// Its entry point returned, or it exited with code 0.
    Succeeded,
    /// It exited with another code.
    Exited(i32),
    /// It trapped; the text says on what and where.
    Trapped(String),
    /// It used up its CPU time.
    CpuTimeUsedUp,
    /// It printed more than it may.
    OutputLimitReached,
    /// The request body could not be read to its end.
    InputFailed(io::Error),
    /// It gave no response, or an incomplete one; the text says how. Only of components that serve `wasi:http`.
    NoResponse(String),
    /// It could not be started; the text says why.
    NotStarted(String),
    /// The pool had no instance, memory or stack left.
    PoolExhausted,
    /// It may not use files, because too many operations on its volumes hang.
    VolumesHang,
}

impl Ending {
    /// How a guest ended that could not be instantiated. A start function may trap or exit like any other; everything else
    /// is the host's reason for not making an instance.
    pub(in crate::runtime) fn of_instantiation(error: wasmtime::Error) -> Self {
        match Self::from(error) {
            Self::Trapped(reason) => Self::NotStarted(reason),
            ending => ending,
        }
    }
}

impl From<wasmtime::Error> for Ending {
    fn from(error: wasmtime::Error) -> Self {
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return if exit.0 == 0 { Self::Succeeded } else { Self::Exited(exit.0) };
        }
        if error.is::<PoolConcurrencyLimitError>() {
            return Self::PoolExhausted;
        }
        if error.is::<CpuTimeUsedUp>() {
            return Self::CpuTimeUsedUp;
        }
        if error.is::<OutputLimit>() {
            return Self::OutputLimitReached;
        }
        match error.downcast::<StdinFailed>() {
            Ok(StdinFailed(error)) => Self::InputFailed(error),
            Err(error) => Self::Trapped(describe(&error)),
        }
    }
}

/// The most functions named in the log when a guest traps, the innermost first.
const MAX_FRAMES: usize = 5;

/// The most characters of a function's name in the log: a module may hold names of any length.
const MAX_NAME_LENGTH: usize = 100;

/// Returns one line: the reason, and the innermost functions that were running.
fn describe(error: &wasmtime::Error) -> String {
    let reason = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    let frames: Vec<String> = error
        .downcast_ref::<WasmBacktrace>()
        .map(|backtrace| {
            let name = |frame: &wasmtime::FrameInfo| {
                let name = frame.func_name().map(|name| name.chars().take(MAX_NAME_LENGTH).collect());
                name.unwrap_or_else(|| format!("function {}", frame.func_index()))
            };
            backtrace.frames().iter().take(MAX_FRAMES).map(name).collect()
        })
        .unwrap_or_default();
    if frames.is_empty() { reason } else { format!("{reason}, in {}", frames.join(" < ")) }
}
