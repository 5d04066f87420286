//! Where does the machine code of a module come from?
//!
//! From the directory of compiled code if it is there, else from the compiler; or the operator has it made ahead of time.

use std::fmt;

use wasmtime::Module;

use super::engine;
use super::precompiled::{self, TrustedCode};
use super::{Error, Program, Runtime};

/// Where the code of a program came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeOrigin {
    /// It was compiled now.
    Compiled,
    /// An earlier start compiled it.
    Kept,
    /// The operator had it compiled.
    Given,
}

/// As the log says it.
impl fmt::Display for CodeOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compiled => "compiled",
            Self::Kept => "taken from the compilation cache",
            Self::Given => "loaded ahead-of-time code",
        })
    }
}

impl Runtime {
    /// The module with these bytes, binary or text, and this SHA-256.
    pub(super) fn module(&self, bytes: &[u8], digest: &str) -> Result<(Module, CodeOrigin), Error> {
        if let Some(kept) = self.compiled.as_ref().and_then(|kept| kept.find(digest, &self.engine)) {
            return Ok((kept, CodeOrigin::Kept));
        }
        let module = Module::new(&self.engine, bytes).map_err(not_compiled)?;
        if let Some(kept) = &self.compiled {
            let written = module.serialize().map_err(std::io::Error::other).and_then(|code| kept.keep(digest, &code));
            if let Err(error) = written {
                tracing::warn!(%error, digest, "cannot keep compiled code: the next start compiles again");
            }
        }
        Ok((module, CodeOrigin::Compiled))
    }

    /// Links code that was compiled ahead of time.
    pub fn load(&self, code: &TrustedCode) -> Result<Program, Error> {
        let module = precompiled::load(&self.engine, code).map_err(|error| match is_too_demanding(&error) {
            true => Error::TooDemanding(error),
            false => Error::OtherEngine(error),
        })?;
        self.link(&module)
    }
}

/// The ahead-of-time code of a module, binary or text, for the engine of any server: what differs between theirs does not
/// change the code.
pub fn ahead_of_time(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    if super::is_component(bytes) {
        return Err(Error::Component);
    }
    engine::for_compiling().map_err(Error::Engine)?.precompile_module(bytes).map_err(Error::Compile)
}

pub(super) fn not_compiled(error: wasmtime::Error) -> Error {
    if is_too_demanding(&error) { Error::TooDemanding(error) } else { Error::Compile(error) }
}

/// The pool refuses what can never be instantiated; the engine tells that by its message only.
fn is_too_demanding(error: &wasmtime::Error) -> bool {
    format!("{error:#}").contains("pooling allocator")
}
