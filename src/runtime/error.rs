//! Why can a program not be run here?

use std::io;

/// Why a program cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine cannot be made.
    #[error("cannot start the WebAssembly engine")]
    Engine(#[source] wasmtime::Error),
    /// A thread or the second runtime cannot be started.
    #[error("cannot start the threads guests run on")]
    Threads(#[source] io::Error),
    /// The bytes are not a module this engine takes.
    #[error("not a WebAssembly module that can be compiled here")]
    Compile(#[source] wasmtime::Error),
    /// It is a valid module, but needs more at the start than guests may have.
    #[error("the module needs more memory or larger tables than its limits allow")]
    TooDemanding(#[source] wasmtime::Error),
    /// It is valid, but made of more pieces than there is room for, which no limit changes.
    #[error("the module has more memories, tables or parts than a guest can have here")]
    TooManyParts(#[source] wasmtime::Error),
    /// It was built against the first versions of the guest library for outbound HTTP.
    #[error("it calls out through `wasi_experimental_http` as it was before version 0.4, which is not served")]
    OldHttp,
    /// It is a component that exports nothing to be entered through. What it exports is listed.
    #[error("the component exports {}, of which nothing is served", names(.0))]
    NotServed(Vec<String>),
    /// It is a component that imports interfaces nobody provides.
    #[error("imports {}, which nothing here provides", names(.0))]
    UnknownInterfaces(Vec<String>),
    /// It imports what nobody provides. Each is `module`, `name`.
    #[error("imports {}, which nothing here provides", list(.0))]
    UnknownImports(Vec<(String, String)>),
    /// The code is ahead-of-time code of another engine.
    #[error("the code was compiled for another version, machine or setting of the engine")]
    OtherEngine(#[source] wasmtime::Error),
    /// An import has another type than what is provided.
    #[error("its imports do not fit")]
    Link(#[source] wasmtime::Error),
}

impl Error {
    /// Why `error` ended a compilation.
    pub(in crate::runtime) fn of_compilation(error: wasmtime::Error) -> Self {
        Self::of_pool(error).unwrap_or_else(Self::Compile)
    }

    /// Why `error` ended the loading of ahead-of-time code.
    pub(in crate::runtime) fn of_loading(error: wasmtime::Error) -> Self {
        Self::of_pool(error).unwrap_or_else(Self::OtherEngine)
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

fn list(imports: &[(String, String)]) -> String {
    imports.iter().map(|(module, name)| format!("`{module}.{name}`")).collect::<Vec<_>>().join(", ")
}

fn names(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}
