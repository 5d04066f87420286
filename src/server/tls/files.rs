//! How are the PEM files of TLS read, and what is wrong with them?

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::config::{SourceLocation, TlsFiles};
use crate::regular_file;
use crate::server::error::{Error, PemRole};
use crate::server::tls::certificate::Certificate;

/// A certificate of the server with its chain and its key.
#[derive(Debug)]
pub(super) struct ServerCertificate {
    /// The file of the certificate.
    pub path: PathBuf,
    /// Where it is named, unless on the command line.
    pub location: Option<SourceLocation>,
    /// What the certificate says; `None` if only the TLS library can read it.
    pub certificate: Option<Certificate>,
    pub key: Arc<CertifiedKey>,
}

impl ServerCertificate {
    /// Reads both files. The key must belong to the certificate, which comes first in its file.
    pub fn load(files: &TlsFiles, provider: &CryptoProvider) -> Result<Self, Error> {
        let chain = certificates(&files.cert, PemRole::Certificate)?;
        let certificate = chain.first().and_then(|own| Certificate::parse(own));
        if let Some(Certificate { version, .. }) = certificate.as_ref().filter(|own| own.version < 3) {
            return Err(Error::OldCertificate { cert: files.cert.clone(), version: *version });
        }
        let key = private_key(&files.key)?;
        let unusable = |source| match source {
            rustls::Error::InconsistentKeys(_) => {
                Error::KeyMismatch { cert: files.cert.clone(), key: files.key.clone() }
            }
            source => Error::Unusable { cert: files.cert.clone(), key: files.key.clone(), source },
        };
        let key = Arc::new(CertifiedKey::from_der(chain, key, provider).map_err(unusable)?);
        Ok(Self { path: files.cert.clone(), location: files.location.clone(), certificate, key })
    }
}

/// The certificates of the authorities for client certificates.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, PemRole::ClientCa)? {
        roots.add(certificate).map_err(|source| Error::UnusableClientCa { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

/// The certificates of a PEM file, at least one.
pub(super) fn certificates(path: &Path, role: PemRole) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain = open(path)
        .and_then(|file| CertificateDer::pem_reader_iter(file).collect::<Result<Vec<_>, _>>())
        .map_err(|source| unreadable(role, path, source))?;
    if chain.is_empty() {
        return Err(unreadable(role, path, pem::Error::NoItemsFound));
    }
    Ok(chain)
}

/// Accepts a key in any of the usual forms: PKCS#8, PKCS#1 (RSA) and SEC1 (EC).
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    open(path).and_then(PrivateKeyDer::from_pem_reader).map_err(|source| unreadable(PemRole::Key, path, source))
}

fn open(path: &Path) -> Result<BufReader<File>, pem::Error> {
    regular_file::open(path).map(BufReader::new).map_err(pem::Error::Io)
}

fn unreadable(role: PemRole, path: &Path, source: pem::Error) -> Error {
    let path = path.to_owned();
    match source {
        pem::Error::NoItemsFound => match swapped(role, &path) {
            Some(found) => Error::Swapped { role, path, found },
            None => Error::EmptyPem { role, path },
        },
        source => Error::Pem { role, path, source },
    }
}

/// What is in the file, if it is what another key or option wants.
fn swapped(role: PemRole, path: &Path) -> Option<&'static str> {
    match role {
        PemRole::Key => CertificateDer::from_pem_file(path).is_ok().then_some("a certificate"),
        _ => PrivateKeyDer::from_pem_file(path).is_ok().then_some("a private key"),
    }
}
