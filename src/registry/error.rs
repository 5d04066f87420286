//! Why does a request to a registry fail, and why was a module not pulled?

use std::fmt;
use std::io;
use std::path::PathBuf;

use http::StatusCode;
use serde_json::Value;

use crate::cache::store::StoreError;
use crate::config::{Diagnostic, Sha256};
use crate::format::counted;
use crate::net::client::ClientError;
use crate::net::connect::ConnectError;

use crate::registry::credentials::CredentialsError;
use crate::registry::credentials::challenge::AuthError;
use crate::registry::manifest::{ManifestError, shortened};
use crate::registry::reference::ReferenceError;

/// Why a request to a registry fails.
#[derive(Debug, thiserror::Error)]
pub(in crate::registry) enum RegistryError {
    #[error("registry `{registry}` cannot be reached")]
    Unreachable { registry: String, source: ClientError },
    #[error("registry `{registry}` fails with {status}{message}")]
    Failing { registry: String, status: StatusCode, message: RegistryMessage },
    #[error("registry `{registry}` answers {status} when it is asked {what}{message}")]
    Status { registry: String, is_local: bool, status: StatusCode, what: &'static str, message: RegistryMessage },
    #[error("registry `{registry}` wants credentials, and there are none for it{message}")]
    NoCredentials { registry: String, message: RegistryMessage },
    #[error(
        "registry `{registry}` refuses the credentials of {login}: they are wrong, or not good for this artifact{message}"
    )]
    WrongCredentials { registry: String, login: String, message: RegistryMessage },
    #[error("cannot log in to registry `{registry}`")]
    Credentials { registry: String, source: CredentialsError },
    #[error("cannot log in to registry `{registry}`")]
    Auth { registry: String, source: AuthError },
    #[error("`{0}` is not the address of a registry")]
    Address(String),
    #[error("it is not in the module cache, and registries are not to be asked")]
    NotAsked,
}

/// What a registry or token server says about an error, if it says anything. Displayed as the end of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::registry) struct RegistryMessage(Option<String>);

impl RegistryMessage {
    /// Reads the body of a response: the first of the errors that a registry lists, or what a token server says.
    pub fn parse(body: &[u8]) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let error = json.pointer("/errors/0").unwrap_or(&json);
        let texts = ["code", "error", "message", "details", "error_description"].map(|name| error.get(name)?.as_str());
        let text = texts.into_iter().flatten().collect::<Vec<_>>().join(": ");
        Self(Some(shortened(&text)).filter(|text| !text.is_empty()))
    }
}

impl fmt::Display for RegistryMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_deref().map_or(Ok(()), |message| write!(f, "; it says `{message}`"))
    }
}

impl RegistryError {
    /// Whether the registry is down, so that what it said before may be used. A registry that rejects a request
    /// or sends something wrong is not.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => !source.is_rejection(),
            Self::Failing { .. } => true,
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
    #[error("a signature is not what it should be: its SHA-256 is `{found}`, not `{expected}`")]
    SignatureDigest { found: String, expected: Sha256 },
    #[error("the list of what refers to it {0}")]
    Referrers(&'static str),
    #[error("the manifest has {}, but the index says {expected}", counted(*found, "byte", "bytes"))]
    ManifestSize { found: u64, expected: u64 },
    #[error("the module has {size} bytes, more than the {limit} that modules may have")]
    TooLarge { size: u64, limit: u64 },
    #[error("the module is not what the manifest says: its SHA-256 is `{found}`, not `{expected}`")]
    Digest { found: String, expected: Sha256 },
    #[error("the module is not what the manifest says: it has {}, not {expected}", counted(*found, "byte", "bytes"))]
    Size { found: u64, expected: u64 },
    #[error("the module is not what the manifest says: it has more than {}", counted(*.0, "byte", "bytes"))]
    LongerThanStated(u64),
    #[error("the module does not arrive whole from registry `{registry}`")]
    Broken { registry: String, source: io::Error },
    #[error("cannot write `{}` in the module cache", path.display())]
    Write { path: PathBuf, source: io::Error },
}

fn sent_as(content_type: Option<&str>) -> String {
    content_type.map(|name| format!(" (it was sent as `{name}`)")).unwrap_or_default()
}

impl PullError {
    /// The error for a module of `registry` that is not in the store.
    pub fn from_store(error: StoreError, registry: &str) -> Self {
        match error {
            StoreError::Fetch(source) => Self::Broken { registry: registry.to_owned(), source },
            StoreError::Write { path, source } => Self::Write { path, source },
            StoreError::Digest { found, expected } => Self::Digest { found, expected },
            StoreError::Size { found, expected } => Self::Size { found, expected },
            StoreError::TooLarge(size) => Self::LongerThanStated(size),
        }
    }

    /// Whether the registry is down, so that what it said before may be used.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Registry(error) => error.is_outage(),
            Self::Broken { .. } => true,
            _ => false,
        }
    }

    /// The problem that the module with a reference was not pulled.
    pub fn report(&self, reference: &str) -> Diagnostic {
        with_help(Diagnostic::error(format!("cannot pull `{reference}`")).caused_by(self), self.help())
    }

    /// What the operator can do about it.
    fn help(&self) -> Option<String> {
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

pub(in crate::registry) fn with_help(problem: Diagnostic, help: Option<String>) -> Diagnostic {
    match help {
        Some(help) => problem.help(help),
        None => problem,
    }
}
