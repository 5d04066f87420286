//! Why can the server not start? `Server::bind` returns the error, and the binary prints it for the operator.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use rustls_pki_types::pem;

/// What a PEM file of the TLS configuration is for.
pub(super) const CERTIFICATE: &str = "TLS certificate";
pub(super) const KEY: &str = "TLS key";

/// An error before the first connection is accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another program listens on the address already.
    #[error("address {address} is already in use")]
    AddressInUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address cannot be listened on for another reason.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// A TLS file cannot be read, or its PEM sections are damaged.
    #[error("cannot read the {role} file `{}`", path.display())]
    Pem {
        /// `TLS certificate` or `TLS key`.
        role: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the PEM parser.
        source: pem::Error,
    },
    /// A TLS file has no PEM section of the expected kind.
    #[error("the {role} file `{}` holds no {role}", path.display())]
    EmptyPem {
        /// `TLS certificate` or `TLS key`.
        role: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A TLS file belongs to the other option: a key where a certificate has to be, or the reverse.
    #[error("the {role} file `{}` holds {found} and no {role}", path.display())]
    Swapped {
        /// `TLS certificate` or `TLS key`.
        role: &'static str,
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
    /// The process cannot listen for signals.
    #[error("cannot listen for termination signals")]
    Signals(#[source] io::Error),
}

impl Error {
    /// What the operator can do about it, where that is known.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::AddressInUse { .. } => {
                Some("stop the other program, choose another port, or use port 0 for any free one")
            }
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Some("ports below 1024 need a privilege; choose a higher one"),
                io::ErrorKind::AddrNotAvailable => Some("no network interface of this machine has that address"),
                _ => None,
            },
            Self::Pem { source: pem::Error::Io(_), .. } => Some("relative paths start from the current directory"),
            Self::Pem { .. } => Some("the file must be PEM text; convert DER with `openssl x509` or `openssl pkey`"),
            Self::EmptyPem { role, .. } if *role == KEY => Some(
                "expected `BEGIN PRIVATE KEY`, `BEGIN RSA PRIVATE KEY` or `BEGIN EC PRIVATE KEY`; encrypted keys cannot be used",
            ),
            Self::EmptyPem { .. } => {
                Some("expected one or more `BEGIN CERTIFICATE` sections, the server's own certificate first")
            }
            Self::Swapped { .. } => Some("give the certificate to --tls-cert, and the key to --tls-key"),
            Self::OldCertificate { .. } => {
                Some("issue it again with a `subjectAltName`, which makes it one of version 3")
            }
            Self::KeyMismatch { .. } => Some("the server's own certificate must be the first in its file"),
            Self::Unusable { .. } | Self::Signals(_) => None,
        }
    }
}
