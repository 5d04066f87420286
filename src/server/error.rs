//! Why can the server not start? `Server::bind` returns the error, and the binary prints it for the operator.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rustls_pki_types::pem;

use crate::server::listener::error::ListenError;

/// What a PEM file of the TLS configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PemRole {
    /// A certificate of the server, with its chain.
    Certificate,
    /// The key of such a certificate.
    Key,
    /// The certificates of the authorities for client certificates.
    ClientCa,
}

impl PemRole {
    /// What the file should hold.
    fn content(self) -> &'static str {
        match self {
            Self::Certificate => "TLS certificate",
            Self::Key => "TLS key",
            Self::ClientCa => "certificate",
        }
    }
}

impl fmt::Display for PemRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate | Self::Key => f.write_str(self.content()),
            Self::ClientCa => f.write_str("`client_ca`"),
        }
    }
}

/// An error before the server listens, or before a configuration replaces another one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server cannot listen on an address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A TLS file cannot be read, or its PEM sections are damaged.
    #[error("cannot read the {role} file `{}`", path.display())]
    Pem {
        /// What it is for.
        role: PemRole,
        /// The file.
        path: PathBuf,
        /// The error of the PEM parser.
        source: pem::Error,
    },
    /// A TLS file has no PEM section of the expected kind.
    #[error("the {role} file `{}` holds no {}", path.display(), role.content())]
    EmptyPem {
        /// What it is for.
        role: PemRole,
        /// The file.
        path: PathBuf,
    },
    /// A TLS file belongs to another option or key: a key where a certificate has to be, or the reverse.
    #[error("the {role} file `{}` holds {found} and no {}", path.display(), role.content())]
    Swapped {
        /// What it is for.
        role: PemRole,
        /// The file.
        path: PathBuf,
        /// What is in it: `a private key` or `a certificate`.
        found: &'static str,
    },
    /// The certificate is of a version that clients refuse.
    #[error("the TLS certificate `{}` is of X.509 version {version}, and clients accept version 3 only", cert.display())]
    OldCertificate {
        /// The certificate file.
        cert: PathBuf,
        /// The version.
        version: u8,
    },
    /// The key is valid but belongs to another certificate.
    #[error("the TLS key `{}` does not belong to the certificate `{}`", key.display(), cert.display())]
    KeyMismatch {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// Certificate and key are readable but the TLS library will not use them.
    #[error("cannot use the TLS certificate `{}` with the key `{}`", cert.display(), key.display())]
    Unusable {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
        /// The error of the TLS library.
        source: tokio_rustls::rustls::Error,
    },
    /// A certificate of `client_ca` cannot be used to verify others.
    #[error("a certificate in the `client_ca` file `{}` cannot be used", path.display())]
    UnusableClientCa {
        /// The file.
        path: PathBuf,
        /// The error of the TLS library.
        source: tokio_rustls::rustls::Error,
    },
    /// Clients are asked for certificates, and there is no authority for them.
    #[error("client certificates cannot be verified")]
    ClientVerifier(#[source] tokio_rustls::rustls::server::VerifierBuilderError),
    /// The TLS library does not offer what is asked of it.
    #[error("cannot set up TLS")]
    Tls(#[source] tokio_rustls::rustls::Error),
    /// The process cannot listen for signals.
    #[error("cannot listen for termination signals")]
    Signals(#[source] io::Error),
}

impl Error {
    /// Whether files that are written one after the other, or are written right now, can be the reason. It is gone when all
    /// of them are there.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::KeyMismatch { .. } | Self::EmptyPem { .. } | Self::Pem { .. })
    }

    /// What the operator can do about it, where that is known.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Listen(error) => error.help(),
            Self::Pem { source: pem::Error::Io(_), .. } => Some("relative paths start from the current directory"),
            Self::Pem { .. } => Some("the file must be PEM text; convert DER with `openssl x509` or `openssl pkey`"),
            Self::EmptyPem { role: PemRole::Key, .. } => Some(
                "expected `BEGIN PRIVATE KEY`, `BEGIN RSA PRIVATE KEY` or `BEGIN EC PRIVATE KEY`; encrypted keys cannot be used",
            ),
            Self::EmptyPem { role: PemRole::ClientCa, .. } => {
                Some("expected one or more `BEGIN CERTIFICATE` sections, those of the authorities")
            }
            Self::EmptyPem { .. } => {
                Some("expected one or more `BEGIN CERTIFICATE` sections, the server's own certificate first")
            }
            Self::Swapped { role: PemRole::ClientCa, .. } => {
                Some("`client_ca` names the certificates of the authorities; nothing needs their keys")
            }
            Self::Swapped { .. } => {
                Some("give the certificate to `--tls-cert` or `cert`, and the key to `--tls-key` or `key`")
            }
            Self::OldCertificate { .. } => {
                Some("issue it again with a `subjectAltName`, which makes it one of version 3")
            }
            Self::KeyMismatch { .. } => Some("the server's own certificate must be the first in its file"),
            Self::ClientVerifier(_) => Some("name the certificates of the authorities with `client_ca`"),
            Self::Unusable { .. } | Self::UnusableClientCa { .. } | Self::Tls(_) | Self::Signals(_) => None,
        }
    }
}
