//! Why can a program not be run here?

use std::fmt::Display;
use std::io;
use std::time::Duration;

use crate::format;
use crate::wasm_bytes::NotWasm;

use crate::runtime::other_host::{ImportKind, OtherHost};

/// Why a program cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine cannot be started.
    #[error("cannot start the WebAssembly engine")]
    Engine(#[source] wasmtime::Error),
    /// A thread or the second runtime cannot be started.
    #[error("cannot start the threads guests run on")]
    Threads(#[source] io::Error),
    /// The bytes are neither a binary nor a text that can be parsed.
    #[error(transparent)]
    NotWasm(#[from] NotWasm),
    /// The bytes are not a module or component that the engine can compile.
    #[error("not a WebAssembly module that can be compiled here")]
    Compile(#[source] wasmtime::Error),
    /// The module uses a proposal for WebAssembly that is not supported.
    #[error("it uses {proposal}, which are not supported yet")]
    Proposal {
        /// What it uses, in the plural.
        proposal: &'static str,
        /// The engine's words.
        source: wasmtime::Error,
    },
    /// The module uses exceptions of the first proposal.
    #[error("it uses legacy exceptions, those of the first proposal, which are not supported")]
    LegacyExceptions(#[source] wasmtime::Error),
    /// Compiling takes longer than a module of a third party may take.
    #[error("compiling it takes longer than `compile_time` allows: {0:?}")]
    CompileTime(Duration),
    /// Compiling takes more memory than a module of a third party may take.
    #[error("compiling it takes more memory than `compile_memory` allows: {0} bytes")]
    CompileMemory(u64),
    /// The process that compiles modules of third parties cannot be started, or breaks off.
    #[error("the process that compiles it fails")]
    Compiler(#[source] io::Error),
    /// The module is valid, but needs more memory or table elements at the start than its limits allow.
    #[error("the module needs more memory or larger tables than its limits allow")]
    TooDemanding(#[source] wasmtime::Error),
    /// The module is valid, but has more memories, tables or parts than the pool has slots for; no limit changes that.
    #[error("the module has more memories, tables or parts than a guest can have here")]
    TooManyParts(#[source] wasmtime::Error),
    /// The module was built against the first versions of the guest library for outbound HTTP.
    #[error("it was built for `wasi_experimental_http` before version 0.4, which is not served: rebuild it")]
    OldHttp,
    /// The component exports no interface that is served. Its exports are listed.
    #[error("{}", not_served(.0))]
    NotServed(Vec<String>),
    /// The component imports or exports these interfaces, which are of a release candidate of WASI.
    #[error("it was built for a release candidate of WASI, which is not served: {}", names(.0))]
    ReleaseCandidate(Vec<String>),
    /// The component imports these interfaces, which are not provided.
    #[error("imports {}, which nothing here provides{}", names(imports), neighbour(nearest.as_deref()))]
    UnknownInterfaces {
        /// Their names, with versions.
        imports: Vec<String>,
        /// What is provided under a similar name or another version.
        nearest: Option<String>,
    },
    /// The module imports what is not provided.
    #[error("imports {}, which nothing here provides{}", list(imports), other_host(imports, *kind))]
    UnknownImports {
        /// Each is `module`, `name`.
        imports: Vec<(String, String)>,
        /// What they are.
        kind: ImportKind,
    },
    /// The code was compiled ahead of time for another engine.
    #[error("the code was compiled for another version, machine or setting of the engine")]
    OtherEngine(#[source] wasmtime::Error),
    /// An import has another type than the function that is provided.
    #[error("its imports do not fit")]
    Link(#[source] wasmtime::Error),
}

impl Error {
    /// Why `error` ended a compilation.
    pub(in crate::runtime) fn of_compilation(error: wasmtime::Error) -> Self {
        Self::of_pool(error).unwrap_or_else(|error| match unsupported(&error) {
            Some(proposal) => Self::Proposal { proposal, source: error },
            None => Self::Compile(error),
        })
    }

    /// Why `error` ended the loading of ahead-of-time code.
    pub(in crate::runtime) fn of_loading(error: wasmtime::Error) -> Self {
        Self::of_pool(error).unwrap_or_else(Self::OtherEngine)
    }

    /// Why the code that a process has just compiled cannot be used. It is for this engine.
    pub(in crate::runtime) fn of_compiled(error: wasmtime::Error) -> Self {
        Self::of_pool(error).unwrap_or_else(|error| Self::Compiler(io::Error::other(format!("{error:#}"))))
    }

    /// The pool rejects what can never be instantiated; only the message of the engine's error says so.
    fn of_pool(error: wasmtime::Error) -> Result<Self, wasmtime::Error> {
        let message = format!("{error:#}");
        match message.contains("pooling allocator") {
            true if message.contains("minimum") => Ok(Self::TooDemanding(error)),
            true => Ok(Self::TooManyParts(error)),
            false => Err(error),
        }
    }
}

/// What the engine does not support, by words in its messages; the first that is found counts.
const PROPOSALS: [(&str, &str); 4] = [
    ("stack switching", "stack switching (continuations)"),
    ("threads must be enabled", "threads and shared memories"),
    ("threads support is not enabled", "instructions of threads and shared memories"),
    ("wide arithmetic", "wide arithmetic instructions"),
];

/// The proposal that the engine refuses a module for; only the message of its error says so.
fn unsupported(error: &wasmtime::Error) -> Option<&'static str> {
    let message = format!("{error:#}");
    PROPOSALS.into_iter().find(|(words, _)| message.contains(words)).map(|(_, proposal)| proposal)
}

/// The names that a message lists. A module may import 100,000 functions.
const MAX_NAMES: usize = 20;

/// What the imports are, if their host is known.
fn other_host(imports: &[(String, String)], kind: ImportKind) -> String {
    OtherHost::of(imports, kind).map(|host| format!(": {}", host.what)).unwrap_or_default()
}

fn list(imports: &[(String, String)]) -> String {
    joined(imports.iter().map(|(module, name)| format!("`{module}.{name}`")))
}

fn not_served(exports: &[String]) -> String {
    match exports {
        [] => "the component exports nothing, so there is nothing to serve".to_owned(),
        exports => format!("the component exports {}, none of which wagi can call", names(exports)),
    }
}

fn neighbour(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; the nearest is {nearest}")).unwrap_or_default()
}

fn names(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => joined(names.iter().map(|name| format!("`{name}`"))),
    }
}

fn joined(names: impl ExactSizeIterator<Item = String>) -> String {
    let left_out = names.len().saturating_sub(MAX_NAMES);
    let list = names.take(MAX_NAMES).collect::<Vec<_>>().join(", ");
    if left_out == 0 { list } else { format!("{list} and {left_out} more") }
}

/// What a function takes and returns.
pub(in crate::runtime) fn in_words<T: Display>(
    parameters: impl ExactSizeIterator<Item = T>,
    results: impl ExactSizeIterator<Item = T>,
) -> String {
    format!("takes {} and returns {}", values(parameters), values(results))
}

fn values<T: Display>(types: impl ExactSizeIterator<Item = T>) -> String {
    let count = types.len();
    let list = joined(types.map(|ty| ty.to_string()));
    if count == 0 { counted(count) } else { format!("{} ({list})", counted(count)) }
}

/// How many values a function takes or returns.
pub(in crate::runtime) fn counted(values: usize) -> String {
    match values {
        0 => "nothing".to_owned(),
        _ => format::counted(values, "value", "values"),
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::error::*;

    #[test]
    fn what_a_function_takes_and_returns_is_said_in_words() {
        for (parameters, results, words) in [
            (&[][..], &[][..], "takes nothing and returns nothing"),
            (&["i32"], &[], "takes 1 value (i32) and returns nothing"),
            (&["i32", "i64"], &["f64"], "takes 2 values (i32, i64) and returns 1 value (f64)"),
        ] {
            assert_eq!(in_words(parameters.iter(), results.iter()), words);
        }
        let many = in_words(["i32"; 1000].iter(), [].iter());
        assert!(many.ends_with("i32 and 980 more) and returns nothing"), "{many}");
    }
}
