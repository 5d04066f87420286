//! For which engine does a process compile?

use std::fmt;
use std::str::FromStr;

use crate::runtime::engine;
use crate::runtime::engine::gc_support::GcSupport;
use crate::runtime::error::Error;
use crate::runtime::is_component;
use crate::wasm_bytes::to_binary;

/// The engine that code is for. It is an argument of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompilerTarget {
    /// The one in which guests begin at their entry points.
    Guests,
    /// The one in which programs are captured at their checkpoints.
    Rehearsals,
    /// The one in which guests begin at checkpoints.
    Captured {
        /// The most memory of a guest, in bytes.
        memory: u64,
    },
}

/// An argument that names no engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`guests`, `rehearsals` or `captured:BYTES` is expected")]
pub struct CompilerTargetError;

impl CompilerTarget {
    /// Compiles a module or component, binary or text.
    pub fn compile(self, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let bytes = to_binary(bytes)?;
        let code = match self {
            Self::Guests => {
                let gc = GcSupport::needed_by(&bytes)?;
                match is_component(&bytes) {
                    true => engine::compiler_for_components(gc).map_err(Error::Engine)?.precompile_component(&bytes),
                    false => engine::compiler_for_modules(gc).map_err(Error::Engine)?.precompile_module(&bytes),
                }
            }
            Self::Rehearsals => engine::compiler_for_rehearsals().map_err(Error::Engine)?.precompile_module(&bytes),
            Self::Captured { memory } => {
                engine::compiler_for_captured(memory).map_err(Error::Engine)?.precompile_module(&bytes)
            }
        };
        code.map_err(Error::of_compilation)
    }
}

impl fmt::Display for CompilerTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guests => f.write_str("guests"),
            Self::Rehearsals => f.write_str("rehearsals"),
            Self::Captured { memory } => write!(f, "captured:{memory}"),
        }
    }
}

impl FromStr for CompilerTarget {
    type Err = CompilerTargetError;

    fn from_str(text: &str) -> Result<Self, CompilerTargetError> {
        match text {
            "guests" => Ok(Self::Guests),
            "rehearsals" => Ok(Self::Rehearsals),
            _ => {
                let memory = text.strip_prefix("captured:").and_then(|memory| memory.parse().ok());
                Ok(Self::Captured { memory: memory.ok_or(CompilerTargetError)? })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::code::compiler_target::*;

    #[test]
    fn a_target_is_what_its_name_says() {
        for target in [CompilerTarget::Guests, CompilerTarget::Rehearsals, CompilerTarget::Captured { memory: 7 }] {
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        for wrong in ["", "captured", "captured:", "captured:x", "other"] {
            assert_eq!(wrong.parse::<CompilerTarget>(), Err(CompilerTargetError), "{wrong}");
        }
    }
}
