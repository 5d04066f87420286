//! Whose certificates are believed when a script calls out?
//!
//! Asked once, by `Network::new`: those of the system's store, and those of a file the operator names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// The name under which a client and a server agree on HTTP/2.
pub(super) const ALPN_H2: &[u8] = b"h2";

/// Why calls over TLS cannot be set up.
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
pub(super) fn roots(file: Option<&Path>) -> Result<RootCertStore, TrustError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = file {
        add_file(&mut roots, file)?;
    }
    Ok(roots)
}

/// How TLS is spoken with those who show one of these.
pub(super) fn tls(roots: RootCertStore) -> Result<ClientConfig, TrustError> {
    // Named, because a second provider compiled in by some dependency would make the default ambiguous.
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_H2.to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Adds the certificates of a PEM file.
pub(super) fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), TrustError> {
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
