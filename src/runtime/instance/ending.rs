//! How did a run end?

use std::{fmt, io};

use wasmtime::{PoolConcurrencyLimitError, ThrownException, Trap};
use wasmtime_wasi::I32Exit;

use crate::runtime::instance::debug::backtrace::{FramePlaces, backtrace, innermost};

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
    /// It trapped.
    Trapped(TrapReport),
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

/// On what a guest has trapped, and where.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TrapReport {
    /// One line: on what, and in which functions.
    pub reason: String,
    /// The functions that were running, the innermost first, line by line.
    pub backtrace: String,
    /// The file with its core dump, if one was written.
    pub coredump: Option<String>,
}

impl TrapReport {
    /// On what a guest has trapped, with the places of its functions as far as they are known. The line names the innermost
    /// functions that were running, those of the guest's own if there are any.
    pub(in crate::runtime) fn new(error: &wasmtime::Error, places: &FramePlaces) -> Self {
        let reason = match error.downcast_ref::<Trap>() {
            Some(trap) => trap.to_string(),
            None if error.is::<ThrownException>() => "it threw an exception that nothing caught".to_owned(),
            None => error.root_cause().to_string(),
        };
        let innermost = innermost(error, places);
        let reason = if innermost.is_empty() { reason } else { format!("{reason}, in {innermost}") };
        Self { reason, backtrace: backtrace(error, places), coredump: None }
    }
}

/// The line alone, for one line of a log.
impl fmt::Debug for TrapReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl Ending {
    /// Whether an error that ended a guest is a trap.
    pub(in crate::runtime) fn is_trap(error: &wasmtime::Error) -> bool {
        let is_other = error.is::<I32Exit>()
            || error.is::<PoolConcurrencyLimitError>()
            || error.is::<CpuTimeUsedUp>()
            || error.is::<OutputLimit>()
            || error.is::<StdinFailed>();
        !is_other
    }

    /// How a guest ended that could not be instantiated. Its start function may have trapped or exited, like any other function.
    /// Any other error means that the host could not make an instance.
    pub(in crate::runtime) fn of_instantiation(error: wasmtime::Error) -> Self {
        match Self::from(error) {
            Self::Trapped(report) => Self::NotStarted(report.reason),
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
            Err(error) => Self::Trapped(TrapReport::new(&error, &FramePlaces::default())),
        }
    }
}
