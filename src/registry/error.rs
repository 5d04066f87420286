//! Why does a registry not do what is asked, and why is a module not here? Made by `registry`, `pull` and `push`, shown to
//! the operator by `mod`.

use std::io;
use std::path::PathBuf;

use http::StatusCode;

use crate::cache::store::StoreError;
use crate::config::Sha256;
use crate::net::client::ClientError;
use crate::net::connect::ConnectError;

use crate::registry::api::RESPONSE_TIMEOUT;
use crate::registry::login::challenge::AuthError;
use crate::registry::login::credentials::CredentialsError;
use crate::registry::manifest::ManifestError;
use crate::registry::reference::ReferenceError;

/// Why a registry does not do what is asked.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum RegistryError {
    #[error("registry `{registry}` cannot be reached")]
    Unreachable { registry: String, source: ClientError },
    #[error("registry `{registry}` has not answered in full within {} s", RESPONSE_TIMEOUT.as_secs())]
    Slow { registry: String },
    #[error("registry `{registry}` fails with {status}{said}")]
    Failing { registry: String, status: StatusCode, said: RegistryMessage },
    #[error("registry `{registry}` answers {status} when it is asked {what}{said}")]
    Status { registry: String, is_local: bool, status: StatusCode, what: &'static str, said: RegistryMessage },
    #[error("registry `{registry}` wants credentials, and there are none for it: they are missing{said}")]
    NoCredentials { registry: String, said: RegistryMessage },
    #[error(
        "registry `{registry}` refuses the credentials of {whose}: they are wrong, or not good for this artifact{said}"
    )]
    WrongCredentials { registry: String, whose: String, said: RegistryMessage },
    #[error("cannot log in to registry `{registry}`")]
    Credentials { registry: String, source: CredentialsError },
    #[error("cannot log in to registry `{registry}`")]
    Auth { registry: String, source: AuthError },
    #[error("`{0}` is not the address of a registry")]
    Address(String),
    #[error("it is not in the module cache, and registries are not to be asked")]
    NotAsked,
}

/// What a registry says about its refusal, if it says something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::registry) struct RegistryMessage(pub Option<String>);

impl std::fmt::Display for RegistryMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_deref().map_or(Ok(()), |said| write!(f, "; it says `{said}`"))
    }
}

impl RegistryError {
    /// Whether the registry is out of order, so that what it has said before may stand in. One that refuses, or that sends
    /// what is wrong, is not.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => !source.is_rejection(),
            Self::Failing { .. } | Self::Slow { .. } => true,
            _ => false,
        }
    }

    /// What the operator can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoCredentials { registry, .. } | Self::WrongCredentials { registry, .. } => {
                Some(format!("log in with `wagi login {registry}` as the user who runs this"))
            }
            Self::Status { status, .. } if *status == StatusCode::NOT_FOUND => {
                Some("check the name and the tag".to_owned())
            }
            Self::Status { status, is_local: true, .. } if *status == StatusCode::BAD_REQUEST => Some(
                "registries on this machine are spoken to without TLS; name one that wants it by another name of \
                 the machine"
                    .to_owned(),
            ),
            Self::Unreachable { registry, source: ClientError::Connect { source: ConnectError::Tls { .. }, .. } } => {
                Some(format!(
                    "if its certificate is from an authority of your own, name that with `--registry-ca FILE`; if it \
                 speaks plain HTTP, say so with `--plain-http {registry}`"
                ))
            }
            Self::NotAsked => Some("leave out `--pull never`, or run `wagi pull` with what is missing".to_owned()),
            _ => None,
        }
    }
}

/// Why a module was not pulled.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum PullError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
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

    /// Whether the registry is out of order, so that what it has said before may stand in.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_outage(),
            Self::Broken { .. } => true,
            _ => false,
        }
    }

    /// What the operator can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Registry(error) => error.help(),
            Self::Reference(_) => Some("write `oci:HOST/NAME:TAG` or `oci:HOST/NAME@sha256:DIGEST`".to_owned()),
            Self::Manifest { source: ManifestError::SeveralManifests(_), .. } => {
                Some("name the one that is meant by its digest: `oci:HOST/NAME@sha256:DIGEST`".to_owned())
            }
            Self::TooLarge { .. } => Some("raise `module_size` in the limits".to_owned()),
            _ => None,
        }
    }
}
