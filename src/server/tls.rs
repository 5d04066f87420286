//! How certificate and key files become TLS. Loaded by `Server::bind`, before the port is opened; each connection gets its
//! acceptor here.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config::TlsFiles;
use crate::regular_file;
use crate::server::error::{CERTIFICATE, Error, KEY};

/// The ALPN name of HTTP/2.
pub(super) const ALPN_H2: &[u8] = b"h2";

/// The certificate, the key and the protocols of the server.
pub(super) struct ServerTls {
    config: Arc<ServerConfig>,
}

impl ServerTls {
    pub(super) fn load(files: &TlsFiles) -> Result<Self, Error> {
        Ok(Self { config: Arc::new(server_config(files)?) })
    }

    /// The acceptor for one connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn server_config(files: &TlsFiles) -> Result<ServerConfig, Error> {
    let chain = certificates(&files.cert)?;
    let key = private_key(&files.key)?;
    let unusable = |source| match source {
        rustls::Error::InconsistentKeys(_) => Error::KeyMismatch { cert: files.cert.clone(), key: files.key.clone() },
        source => Error::Unusable { cert: files.cert.clone(), key: files.key.clone(), source },
    };
    // The provider is named here, because a second one compiled in by some dependency would make the default
    // ambiguous and the builder panic.
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN_H2.to_vec(), b"http/1.1".to_vec(), b"http/1.0".to_vec()];
    config.ticketer = ring::Ticketer::new().map_err(unusable)?;
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain = open(path)
        .and_then(|file| CertificateDer::pem_reader_iter(file).collect::<Result<Vec<_>, _>>())
        .map_err(|source| unreadable(CERTIFICATE, path, source))?;
    if chain.is_empty() {
        return Err(unreadable(CERTIFICATE, path, pem::Error::NoItemsFound));
    }
    Ok(chain)
}

/// Accepts a key in any of the usual forms: PKCS#8, PKCS#1 (RSA) and SEC1 (EC).
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    open(path).and_then(PrivateKeyDer::from_pem_reader).map_err(|source| unreadable(KEY, path, source))
}

fn open(path: &Path) -> Result<BufReader<File>, pem::Error> {
    regular_file::open(path).map(BufReader::new).map_err(pem::Error::Io)
}

fn unreadable(role: &'static str, path: &Path, source: pem::Error) -> Error {
    let path = path.to_owned();
    match source {
        pem::Error::NoItemsFound => Error::EmptyPem { role, path },
        source => Error::Pem { role, path, source },
    }
}
