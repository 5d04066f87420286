//! Why does a start fail, or the loading of one module, and what can the operator do about it?

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Key;
use crate::format::counted;
use crate::net::tls;
use crate::runtime;
use crate::runtime::{ParseError, PreinitializeError, TrustError};

/// Why a start fails before modules are loaded.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine cannot be started.
    #[error(transparent)]
    Engine(#[from] runtime::Error),
    /// A thread panicked while it started the engine or compiled the modules.
    #[error("compiling the modules failed: this is a defect of the server")]
    Compiling,
    /// The client for the calls of guests cannot be set up.
    #[error("cannot set up the calls of guests to others")]
    Outbound(#[from] tls::ClientTlsError),
    /// The directory for guests' stderr cannot be used.
    #[error("cannot use the log directory `{}`", path.display())]
    LogDirectory {
        /// The directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file of the access log cannot be used.
    #[error("cannot write the access log `{}`", path.display())]
    AccessLog {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

impl Error {
    pub(super) fn log_directory(path: &Path, source: io::Error) -> Self {
        Self::LogDirectory { path: path.to_owned(), source }
    }

    fn help(&self) -> Option<&'static str> {
        match self {
            Self::AccessLog { .. } => Some("let `--access-log` name a file that the user of the server may write to"),
            _ => None,
        }
    }
}

/// What the operator can do about an error of this library; `None` if there is nothing to add to its message.
pub fn help(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    error
        .downcast_ref::<runtime::Error>()
        .and_then(runtime::Error::help)
        .or_else(|| error.downcast_ref::<ParseError>().and_then(ParseError::help))
        .or_else(|| error.downcast_ref::<PreinitializeError>().and_then(PreinitializeError::help))
        .or_else(|| error.downcast_ref::<Error>().and_then(Error::help))
}

/// Why a module cannot be loaded.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the module")]
    Read(#[source] Arc<io::Error>),
    /// The file is larger than modules may be.
    #[error("the module is larger than {}", counted(*limit, "byte", "bytes"))]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The file does not have the digest that was checked when it was fetched.
    #[error("its file is not what was fetched: it has been changed since")]
    Changed,
    /// It is not a module, or it needs something that wagi does not provide.
    #[error("cannot use the module")]
    Unusable(#[source] Arc<runtime::Error>),
    /// It is ahead-of-time code, and its entry does not say `precompiled = true`.
    #[error("the file holds ahead-of-time code, not a module")]
    Precompiled,
    /// Its entry says `precompiled = true`, and it is not ahead-of-time code.
    #[error("`precompiled = true`, but the file holds no ahead-of-time code")]
    NotPrecompiled,
    /// It is ahead-of-time code in a file that other users may write to.
    #[error("the code cannot be trusted")]
    Untrusted(#[source] Arc<TrustError>),
    /// It is ahead-of-time code in a file that guests may write to.
    #[error("the code cannot be trusted: guests may write to it in the volume `{}`", volume.display())]
    Exposed {
        /// The directory of the volume.
        volume: PathBuf,
    },
    /// Its initializer fails.
    #[error("cannot preinitialize the module")]
    Preinitialize(#[source] Arc<PreinitializeError>),
}

impl LoadError {
    /// Whether it may be because another program is writing the file.
    pub fn may_be_half_written(&self) -> bool {
        match self {
            Self::Read(_) | Self::Changed | Self::Unusable(_) => true,
            Self::Precompiled | Self::NotPrecompiled | Self::Preinitialize(_) => true,
            Self::TooLarge { .. } | Self::Untrusted(_) | Self::Exposed { .. } => false,
        }
    }

    /// What the operator can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unusable(error) => error.help(),
            Self::Precompiled => Some(
                "write `precompiled = true` if you made it with `wagi compile`; forged code leaves the \
                 sandbox and can do all that the server can",
            ),
            Self::NotPrecompiled => Some("leave `precompiled` out to serve a module"),
            Self::Untrusted(error) if matches!(**error, TrustError::Shared { .. }) => Some(
                "let it belong to the user of the server or to root, and take the right to write from all others: `chmod go-w`",
            ),
            Self::Exposed { .. } => {
                Some("keep it where guests cannot write, or give them the volume with `read_only = true`")
            }
            Self::Preinitialize(error) => error.help(),
            _ => None,
        }
    }

    /// The key of the configuration that the error is about.
    pub fn key(&self) -> Key {
        match self {
            Self::NotPrecompiled | Self::Untrusted(_) | Self::Exposed { .. } => Key::Precompiled,
            Self::Preinitialize(_) => Key::Preinitialize,
            _ => Key::Module,
        }
    }
}
