//! A client that speaks TLS: it names a server, may show a certificate, and takes whatever certificate it gets.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme, StreamOwned,
};

use super::LONG;

/// A file of `tests/fixtures`.
pub fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The certificates of a fixture, in their order.
pub fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    let sections = CertificateDer::pem_file_iter(fixture(name)).expect("a file");
    sections.collect::<Result<_, _>>().expect("certificates")
}

/// A client, which remembers its sessions.
pub struct TlsClient(Arc<ClientConfig>);

/// What came of a connection.
pub struct TlsAnswer {
    /// The certificate of the server.
    pub certificate: CertificateDer<'static>,
    /// Whether an earlier session went on.
    pub is_resumed: bool,
    /// Head and body.
    pub text: String,
}

impl TlsClient {
    /// A client without a certificate, or with that of a fixture and the key of all clients.
    pub fn new(certificate: Option<&str>) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the versions are known")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(TakesAll(provider)));
        Self(Arc::new(match certificate {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let key = PathBuf::from(fixture("client.key.pem"));
                let key = PrivateKeyDer::from_pem_file(key).expect("a key");
                builder.with_client_auth_cert(certificates(name), key).expect("they belong together")
            }
        }))
    }

    /// Sends a GET for `path` with these lines in its head, and reads to the end. `server` is a name, or an address: then no
    /// name is sent.
    pub fn get(&self, address: SocketAddr, server: &str, path: &str, lines: &str) -> io::Result<TlsAnswer> {
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(LONG))?;
        let server = ServerName::try_from(server.to_owned()).expect("a name or an address");
        let client = ClientConnection::new(Arc::clone(&self.0), server).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(client, socket);
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}Connection: close\r\n\r\n")?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text)?;
        let certificate = stream.conn.peer_certificates().and_then(|chain| chain.first()).expect("it is there").clone();
        let is_resumed = stream.conn.handshake_kind() == Some(HandshakeKind::Resumed);
        Ok(TlsAnswer {
            certificate: certificate.into_owned(),
            is_resumed,
            text: String::from_utf8_lossy(&text).into_owned(),
        })
    }
}

/// Takes every certificate. The server still has to prove that it has the key.
#[derive(Debug)]
struct TakesAll(Arc<CryptoProvider>);

impl ServerCertVerifier for TakesAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
