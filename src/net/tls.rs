//! Which certificates are trusted when wagi or a guest calls a server, and how is TLS set up?
//!
//! Trusted are those of the system's store and those of a file that the operator names. Asked by `client` for registries
//! and bindle servers and by `outbound` for guests.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider, ring};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::regular_file;

/// The name under which a client and a server agree on HTTP/2.
pub(crate) const ALPN_H2: &[u8] = b"h2";

/// Why TLS towards servers cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
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
    /// A certificate cannot be used to verify others.
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

/// The certificates of the system and of `file`. Those of the system that cannot be used are left out: the operator
/// cannot mend them.
pub(crate) fn roots(file: Option<&Path>) -> Result<RootCertStore, ClientTlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = file {
        add_file(&mut roots, file)?;
    }
    Ok(roots)
}

/// Adds the certificates of a PEM file.
pub(crate) fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), ClientTlsError> {
    let unreadable = |source| ClientTlsError::Unreadable { path: file.to_owned(), source };
    let reader = regular_file::open(file).map_err(|error| unreadable(pem::Error::Io(error)))?;
    let sections = CertificateDer::pem_reader_iter(BufReader::new(reader));
    let certificates = sections.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(ClientTlsError::Nothing(file.to_owned()));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|source| ClientTlsError::Unusable { path: file.to_owned(), source })?;
    }
    Ok(())
}

/// Fails if the certificates of a PEM file cannot be used.
pub(crate) fn check_file(file: &Path) -> Result<(), ClientTlsError> {
    add_file(&mut RootCertStore::empty(), file)
}

/// TLS with servers whose certificate leads to one of `roots`.
pub(crate) fn verified(roots: RootCertStore) -> Result<ClientConfig, ClientTlsError> {
    Ok(builder(provider())?.with_root_certificates(roots).with_no_client_auth())
}

/// TLS with any server: its certificate is not verified.
pub(crate) fn insecure() -> Result<ClientConfig, ClientTlsError> {
    let provider = provider();
    let verifier = Arc::new(NoVerification(Arc::clone(&provider)));
    Ok(builder(provider)?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// The same configuration, which offers servers HTTP/2 beside HTTP/1.1.
pub(crate) fn offering_http2(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![ALPN_H2.to_vec(), b"http/1.1".to_vec()];
    config
}

// Named, because a second provider compiled in by some dependency would make the default ambiguous.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder(provider: Arc<CryptoProvider>) -> Result<Builder, ClientTlsError> {
    Ok(ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?)
}

/// Accepts every certificate. The server still has to prove that it has the key of its certificate.
#[derive(Debug)]
struct NoVerification(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerification {
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
