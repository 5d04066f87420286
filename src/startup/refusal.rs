//! Why is a module not a program, and what can the operator do about it?

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Key;
use crate::runtime;
use crate::runtime::{PreinitializeError, TrustError};

/// Why a module is not a program.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// Its bytes cannot be had.
    #[error("cannot read the module")]
    Read(#[source] Arc<io::Error>),
    /// It is larger than modules may be.
    #[error("the module is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Its file is not what was fetched and checked.
    #[error("its file is not what was fetched: somebody has changed it since")]
    Changed,
    /// It is not something to run here.
    #[error("cannot use the module")]
    Unusable(#[source] Arc<runtime::Error>),
    /// It is ahead-of-time code, and nobody has said that it can be trusted.
    #[error("the file holds ahead-of-time code, not a module")]
    Precompiled,
    /// It is said to be ahead-of-time code.
    #[error("`precompiled = true`, but the file holds no ahead-of-time code")]
    NotPrecompiled,
    /// It is ahead-of-time code that could be anybody's.
    #[error("the code cannot be trusted")]
    Untrusted(#[source] Arc<TrustError>),
    /// It is ahead-of-time code that a guest could write to.
    #[error("the code cannot be trusted: guests may write to it in the volume `{}`", volume.display())]
    Exposed {
        /// The directory of the volume.
        volume: PathBuf,
    },
    /// It cannot be initialised.
    #[error("cannot preinitialize the module")]
    Preinitialize(#[source] Arc<PreinitializeError>),
}

impl LoadError {
    /// What the operator can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unusable(error) if matches!(**error, runtime::Error::TooDemanding(_)) => {
                Some("raise `memory` or `table_elements` in the limits of the module")
            }
            Self::Unusable(error) if matches!(**error, runtime::Error::OldHttp) => {
                Some("build the program again with version 0.4 or later of the library")
            }
            Self::Unusable(error) if matches!(**error, runtime::Error::OtherEngine(_)) => {
                Some("run `wagi compile` of this version again, on this kind of machine")
            }
            Self::Unusable(error) if matches!(**error, runtime::Error::NotServed(_)) => Some(
                "a component has to export `wasi:cli/run` or `wasi:http/incoming-handler` of WASI 0.2, or `wasi:cli/run` \
                 or `wasi:http/handler` of WASI 0.3",
            ),
            Self::Precompiled => Some(
                "write `precompiled = true` if you made it with `wagi compile`; code that somebody else has forged leaves the \
                 sandbox and can do all that the server can",
            ),
            Self::NotPrecompiled => Some("leave `precompiled` out to serve a module"),
            Self::Untrusted(error) if matches!(**error, TrustError::Shared { .. }) => Some(
                "let it belong to the user of the server or to root, and take the right to write from all others: `chmod go-w`",
            ),
            Self::Exposed { .. } => {
                Some("keep it where guests cannot write, or give them the volume with `read_only = true`")
            }
            Self::Preinitialize(error) if matches!(**error, PreinitializeError::Missing) => {
                Some("export the function that computes what does not change, or leave `preinitialize` out")
            }
            _ => None,
        }
    }

    /// The key that says what cannot be.
    pub fn key(&self) -> Key {
        match self {
            Self::NotPrecompiled | Self::Untrusted(_) | Self::Exposed { .. } => Key::Precompiled,
            Self::Preinitialize(_) => Key::Preinitialize,
            _ => Key::Module,
        }
    }
}
