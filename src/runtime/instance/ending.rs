//! How did a run end?

use std::io;

use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// A guest may compute for so long and no longer.
#[derive(Debug, thiserror::Error)]
#[error("used up its CPU time")]
pub(in crate::runtime) struct CpuTimeUsedUp;

/// A guest may print so much and no more.
#[derive(Debug, thiserror::Error)]
#[error("printed more than it may")]
pub(in crate::runtime) struct OutputLimit;

/// The request body broke off while the guest was reading it.
#[derive(Debug, thiserror::Error)]
#[error("the request body could not be read")]
pub(in crate::runtime) struct StdinFailed(#[source] pub io::Error);

/// How a guest ended.
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
    /// It gave no answer, or an incomplete one; the text says how. Only components that are asked over `wasi:http`.
    NoResponse(String),
    /// It could not be started; the text says why.
    NotStarted(String),
    /// There was no instance, memory or stack left to start it with.
    PoolExhausted,
}

impl Ending {
    /// A start function may trap or exit like any other; everything else is the host's reason for not making an instance.
    pub(in crate::runtime) fn of_start(error: wasmtime::Error) -> Self {
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

/// The innermost functions named in the log when a guest traps, and how much of a name: a module may hold any.
const FRAMES_NAMED: usize = 5;
const LONGEST_NAME: usize = 100;

/// One line: the reason, and the innermost functions that were running.
fn describe(error: &wasmtime::Error) -> String {
    let reason = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    let frames: Vec<String> = error
        .downcast_ref::<WasmBacktrace>()
        .map(|backtrace| {
            let name = |frame: &wasmtime::FrameInfo| {
                let name = frame.func_name().map(|name| name.chars().take(LONGEST_NAME).collect());
                name.unwrap_or_else(|| format!("function {}", frame.func_index()))
            };
            backtrace.frames().iter().take(FRAMES_NAMED).map(name).collect()
        })
        .unwrap_or_default();
    if frames.is_empty() { reason } else { format!("{reason}, in {}", frames.join(" < ")) }
}
