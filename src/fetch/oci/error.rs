//! Why is a module of a registry not here? Made by `registry` and `pull`, shown to the operator by `mod`.

use std::io;
use std::path::PathBuf;

use http::StatusCode;

use crate::config::Sha256;
use crate::fetch::http::HttpError;
use crate::fetch::store::StoreError;

use super::auth::AuthError;
use super::credentials::CredentialsError;
use super::manifest::ManifestError;
use super::reference::ReferenceError;
use super::registry::PATIENCE;

/// Why a module was not pulled.
#[derive(Debug, thiserror::Error)]
pub(super) enum PullError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error("registry `{registry}` cannot be reached")]
    Unreachable { registry: String, source: HttpError },
    #[error("registry `{registry}` has not answered in full within {} s", PATIENCE.as_secs())]
    Slow { registry: String },
    #[error("registry `{registry}` fails with {status}")]
    Failing { registry: String, status: StatusCode },
    #[error("registry `{registry}` answers {status} when it is asked for {what}")]
    Status { registry: String, status: StatusCode, what: &'static str },
    #[error("registry `{0}` wants credentials, and there are none for it: they are missing")]
    NoCredentials(String),
    #[error("registry `{registry}` refuses the credentials of `{user}`: they are wrong, or not good for this artifact")]
    WrongCredentials { registry: String, user: String },
    #[error("cannot log in to registry `{registry}`")]
    Credentials { registry: String, source: CredentialsError },
    #[error("cannot log in to registry `{registry}`")]
    Auth { registry: String, source: AuthError },
    #[error("the manifest that registry `{registry}` has sent cannot be used{}", sent_as(.content_type.as_deref()))]
    Manifest { registry: String, content_type: Option<String>, source: ManifestError },
    #[error("the manifest is not what it should be: its SHA-256 is `{found}`, not `{expected}`")]
    ManifestDigest { found: String, expected: String },
    #[error("the manifest has {found} bytes, but the index says {expected}")]
    ManifestSize { found: u64, expected: u64 },
    #[error("the module has {size} bytes, more than the {most} that modules may have")]
    TooLarge { size: u64, most: u64 },
    #[error("the module is not what the manifest says: its SHA-256 is `{found}`, not `{expected}`")]
    Digest { found: String, expected: Sha256 },
    #[error("the module is not what the manifest says: it has {found} bytes, not {expected}")]
    Size { found: u64, expected: u64 },
    #[error("the module is not what the manifest says: it has more than {0} bytes")]
    Endless(u64),
    #[error("the module does not arrive whole from registry `{registry}`")]
    Broken { registry: String, source: io::Error },
    #[error("cannot write `{}` in the module cache", path.display())]
    Keep { path: PathBuf, source: io::Error },
}

fn sent_as(content_type: Option<&str>) -> String {
    content_type.map(|name| format!(" (it was sent as `{name}`)")).unwrap_or_default()
}

impl PullError {
    /// What the store says, said of a module.
    pub fn of_module(error: StoreError, registry: &str) -> Self {
        match error {
            StoreError::Fetch(source) => Self::Broken { registry: registry.to_owned(), source },
            StoreError::Keep { path, source } => Self::Keep { path, source },
            StoreError::Digest { found, expected } => Self::Digest { found, expected },
            StoreError::Size { found, expected } => Self::Size { found, expected },
            StoreError::Endless(size) => Self::Endless(size),
        }
    }

    /// Whether the registry is out of order, so that what it has said before may stand in. One that refuses, or that sends
    /// what is wrong, is not.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => {
                use HttpError::{Redirect, TooLarge, TooManyRedirects};
                !matches!(source, TooLarge { .. } | Redirect { .. } | TooManyRedirects(..))
            }
            Self::Failing { .. } | Self::Slow { .. } | Self::Broken { .. } => true,
            _ => false,
        }
    }

    /// What the operator can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Reference(_) => Some("write `oci:HOST/NAME:TAG` or `oci:HOST/NAME@sha256:DIGEST`"),
            Self::NoCredentials(_) | Self::WrongCredentials { .. } => {
                Some("log in with `docker login` or `podman login` as the user who runs the server")
            }
            Self::Status { status, .. } if *status == StatusCode::NOT_FOUND => Some("check the name and the tag"),
            Self::Manifest { source: ManifestError::SeveralManifests(_), .. } => {
                Some("name the one that is meant by its digest: `oci:HOST/NAME@sha256:DIGEST`")
            }
            Self::TooLarge { .. } => Some("raise `module_size` in the limits"),
            _ => None,
        }
    }
}
