//! How did a run end?

use std::{fmt, io};

use wasmtime::{FrameInfo, FrameSymbol, PoolConcurrencyLimitError, ThrownException, Trap, WasmBacktrace};
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
}

/// The line alone, for one line of a log.
impl fmt::Debug for TrapReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl Ending {
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
            Err(error) => Self::Trapped(report(&error)),
        }
    }
}

/// The most functions named in the log when a guest traps, the innermost first.
const MAX_FRAMES: usize = 5;

/// The most functions of a trap whose names are read.
const MAX_LOOKED_AT: usize = 50;

/// The longest name that is demangled as a name of Rust.
const MAX_MANGLED: usize = 4_000;

/// The most characters of a function's name in the log: a module may hold names of any length.
const MAX_NAME_LENGTH: usize = 100;

/// How the names of functions of the standard libraries of Rust and C begin. A panic is raised there, but its cause is
/// elsewhere.
const LIBRARY: [&str; 12] = [
    "std::",
    "core::",
    "alloc::",
    "<std::",
    "<core::",
    "<alloc::",
    "<alloc[",
    "rust_panic",
    "__rust",
    "_R",
    "panic_abort",
    "abort",
];

/// The most bytes of a backtrace.
const MAX_BACKTRACE: usize = 8 * 1024;

/// Returns on what a guest has trapped. The line names the innermost functions that were running, those of the guest's own if
/// there are any.
fn report(error: &wasmtime::Error) -> TrapReport {
    let reason = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None if error.is::<ThrownException>() => "it threw an exception that nothing caught".to_owned(),
        None => error.root_cause().to_string(),
    };
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    let innermost = innermost(frames.iter().map(name));
    let reason = if innermost.is_empty() { reason } else { format!("{reason}, in {}", innermost.join(" < ")) };
    TrapReport { reason, backtrace: backtrace(frames) }
}

/// The functions that were running, with the places in their sources if the module names them.
fn backtrace(frames: &[FrameInfo]) -> String {
    let mut text = String::new();
    for (number, frame) in frames.iter().take(MAX_LOOKED_AT).enumerate() {
        let name: String = name(frame).chars().take(MAX_NAME_LENGTH).collect();
        let offset = frame.module_offset().map_or_else(String::new, |offset| format!(" @ {offset:#x}"));
        let mut lines = format!("{number:>3}: {name}{offset}\n");
        for place in frame.symbols().iter().filter_map(place) {
            lines.push_str(&format!("       at {place}\n"));
        }
        if text.len() + lines.len() > MAX_BACKTRACE {
            break;
        }
        text.push_str(&lines);
    }
    text
}

fn place(symbol: &FrameSymbol) -> Option<String> {
    let file: String = symbol.file()?.chars().take(MAX_NAME_LENGTH).collect();
    Some([symbol.line(), symbol.column()].iter().flatten().fold(file, |place, number| format!("{place}:{number}")))
}

/// The functions that the log names, of all that were running, the innermost first.
fn innermost(names: impl Iterator<Item = String>) -> Vec<String> {
    let names: Vec<String> = names.take(MAX_LOOKED_AT).collect();
    let is_own = |name: &&String| !LIBRARY.iter().any(|start| name.starts_with(start));
    // A guest that is all library is shown as it is.
    let own: Vec<String> = names.iter().filter(is_own).take(MAX_FRAMES).cloned().collect();
    let frames = if own.is_empty() { names.into_iter().take(MAX_FRAMES).collect() } else { own };
    frames.into_iter().map(|name| name.chars().take(MAX_NAME_LENGTH).collect()).collect()
}

fn name(frame: &FrameInfo) -> String {
    match frame.func_name() {
        // A name may have megabytes; those that a compiler makes are shorter.
        Some(name) if name.len() <= MAX_MANGLED => format!("{:#}", rustc_demangle::demangle(name)),
        Some(name) => name.chars().take(MAX_NAME_LENGTH).collect(),
        None => format!("function {}", frame.func_index()),
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::instance::ending::*;

    fn shown(names: &[&str]) -> Vec<String> {
        innermost(names.iter().map(|name| format!("{:#}", rustc_demangle::demangle(name))))
    }

    #[test]
    fn the_functions_of_the_guest_are_named_and_not_those_of_its_library() {
        let names = [
            "__rust_start_panic",
            "_ZN3std9panicking11begin_panic17h0123456789abcdefE",
            "_ZN5hello6divide17h0123456789abcdefE",
            "_ZN5hello4main17h0123456789abcdefE",
            "_start",
        ];
        assert_eq!(shown(&names), ["hello::divide", "hello::main", "_start"]);
        assert_eq!(shown(&["inner", "outer"]), ["inner", "outer"]);
        assert_eq!(shown(&["abort"]), ["abort"]);
        assert_eq!(shown(&["a", "b", "c", "d", "e", "f"]).len(), MAX_FRAMES);
    }
}
