//! Whose certificates are believed when something is fetched? Asked by `http`, once for each server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider, ring};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("cannot read certificates from `{}`", path.display())]
    Unreadable { path: PathBuf, source: pem::Error },
    #[error("there is no certificate in `{}`", .0.display())]
    Nothing(PathBuf),
    #[error("a certificate in `{}` cannot be used", path.display())]
    Unusable { path: PathBuf, source: rustls::Error },
    #[error("cannot set up TLS")]
    Library(#[from] rustls::Error),
}

/// TLS with servers whose certificate leads to the system's roots or to those in `file`.
pub(super) fn careful(file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    // What is wrong with one in the system's store is not the operator's to mend.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = file {
        add_file(&mut roots, file)?;
    }
    Ok(builder(provider())?.with_root_certificates(roots).with_no_client_auth())
}

/// TLS with whoever answers.
pub(super) fn careless() -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let anyone = Arc::new(Anyone(Arc::clone(&provider)));
    Ok(builder(provider)?.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth())
}

// Named, because a second provider compiled in by some dependency would make the default ambiguous.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder(provider: Arc<CryptoProvider>) -> Result<Builder, TlsError> {
    Ok(ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?)
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), TlsError> {
    let unreadable = |source| TlsError::Unreadable { path: file.to_owned(), source };
    let sections = CertificateDer::pem_file_iter(file).map_err(unreadable)?;
    let certificates = sections.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(TlsError::Nothing(file.to_owned()));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|source| TlsError::Unusable { path: file.to_owned(), source })?;
    }
    Ok(())
}

/// Believes every certificate. That the server has the key of the one it shows is still looked at.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
