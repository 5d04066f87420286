//! How certificate and key files become TLS. Loaded by `Server::bind`, before the port is opened; each connection gets its
//! acceptor here.

use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, ServerConfig};

use crate::config::{Diagnostic, TlsConfig, TlsFiles};
use crate::regular_file;
use crate::server::certificate::Certificate;
use crate::server::error::{CERTIFICATE, Error, KEY};

/// The ALPN name of HTTP/2.
pub(super) const ALPN_H2: &[u8] = b"h2";

/// The certificate, the key and the protocols of the server.
pub(super) struct ServerTls {
    config: Arc<ServerConfig>,
}

impl ServerTls {
    pub(super) fn load(config: &TlsConfig) -> Result<Self, Error> {
        Ok(Self { config: Arc::new(server_config(&config.default)?) })
    }

    /// The acceptor for one connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

/// The problems of the TLS files, as [`Server::bind`](crate::server::Server::bind) would find them, and warnings about files
/// that it takes and clients or the operator may not want.
pub fn check_tls(config: &TlsConfig) -> Vec<Diagnostic> {
    config.certificates().flat_map(check_files).collect()
}

fn check_files(files: &TlsFiles) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    if let Err(error) = server_config(files) {
        let mut problem = Diagnostic::error(error.to_string());
        problem.help = error.help().map(str::to_owned);
        problems.push(match std::error::Error::source(&error) {
            Some(cause) => problem.caused_by(cause),
            None => problem,
        });
    }
    problems.extend(exposed_key(&files.key));
    let now = SystemTime::now();
    for (number, certificate) in (1..).zip(certificates(&files.cert).unwrap_or_default()) {
        let Some(reason) = Certificate::parse(&certificate).and_then(|found| found.invalid_at(now)) else { continue };
        let which = if number == 1 { String::new() } else { format!("number {number} in ") };
        let message = format!("clients will refuse the TLS certificate {which}`{}`: {reason}", files.cert.display());
        problems.push(Diagnostic::warning(message).help("renew it, and look at the clock of this machine"));
    }
    problems
}

/// A warning about a key that other users can read, or replace.
fn exposed_key(key: &Path) -> Option<Diagnostic> {
    const OTHERS: u32 = 0o026;
    let mode = std::fs::metadata(key).ok()?.mode();
    let message = format!("other users can read or change the TLS key `{}`", key.display());
    (mode & OTHERS != 0).then(|| Diagnostic::warning(message).help("take the right from them: `chmod o-rwx,g-w`"))
}

fn server_config(files: &TlsFiles) -> Result<ServerConfig, Error> {
    let chain = certificates(&files.cert)?;
    if let Some(Certificate { version, .. }) =
        chain.first().and_then(|own| Certificate::parse(own)).filter(|own| own.version < 3)
    {
        return Err(Error::OldCertificate { cert: files.cert.clone(), version });
    }
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
        pem::Error::NoItemsFound => match swapped(role, &path) {
            Some(found) => Error::Swapped { role, path, found },
            None => Error::EmptyPem { role, path },
        },
        source => Error::Pem { role, path, source },
    }
}

/// What is in the file, if it is what the other option wants.
fn swapped(role: &str, path: &Path) -> Option<&'static str> {
    match role == KEY {
        true => CertificateDer::from_pem_file(path).is_ok().then_some("a certificate"),
        false => PrivateKeyDer::from_pem_file(path).is_ok().then_some("a private key"),
    }
}
