//! How is TLS spoken when something is fetched, with care or without? Asked by `http`, once for each server.

use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider, ring};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::net::roots;
use crate::net::roots::TrustError;

/// The name under which a client and a server agree on HTTP/2.
pub(crate) const ALPN_H2: &[u8] = b"h2";

/// The configuration of a client that trusts these roots and offers HTTP/2 and HTTP/1.1.
pub(crate) fn with_roots(roots: RootCertStore) -> Result<ClientConfig, TrustError> {
    let mut config = builder(provider())?.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![ALPN_H2.to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// TLS with servers whose certificate leads to the system's roots or to those in `file`.
pub(crate) fn verified(file: Option<&Path>) -> Result<ClientConfig, TrustError> {
    let roots = roots::roots(file)?;
    Ok(builder(provider())?.with_root_certificates(roots).with_no_client_auth())
}

/// TLS with whoever answers.
pub(crate) fn insecure() -> Result<ClientConfig, TrustError> {
    let provider = provider();
    let anyone = Arc::new(NoVerification(Arc::clone(&provider)));
    Ok(builder(provider)?.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth())
}

// Named, because a second provider compiled in by some dependency would make the default ambiguous.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder(provider: Arc<CryptoProvider>) -> Result<Builder, TrustError> {
    Ok(ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?)
}

/// Believes every certificate. That the server has the key of the one it shows is still looked at.
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
