//! Whose certificates are believed when the server or a script calls somebody?
//!
//! Those of the system's store, and those of a file the operator names. Asked by `outbound` for scripts and by `fetch` for
//! the modules they are made of.

use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{self, RootCertStore};

/// Why TLS towards others cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read, or is not PEM.
    #[error("cannot read certificates from `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The file has no certificate.
    #[error("there is no certificate in `{}`", .0.display())]
    Nothing(PathBuf),
    /// A certificate cannot be used to check others with.
    #[error("a certificate in `{}` cannot be used", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The TLS library does not offer what is asked of it.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
}

/// The certificates to believe. What is wrong with one in the system's store is not the operator's to mend.
pub(crate) fn roots(file: Option<&Path>) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = file {
        add_file(&mut roots, file)?;
    }
    Ok(roots)
}

/// Adds the certificates of a PEM file.
pub(crate) fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), TrustError> {
    let unreadable = |source| TrustError::Unreadable { path: file.to_owned(), source };
    let sections = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
    let certificates = sections.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(TrustError::Nothing(file.to_owned()));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|source| TrustError::Unusable { path: file.to_owned(), source })?;
    }
    Ok(())
}
