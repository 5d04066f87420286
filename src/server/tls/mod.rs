//! How do certificate and key files become TLS, and which of it does a connection get?
//!
//! The files are read before the port is opened, and again at a reload. A reload first prepares all of it, which can fail, and
//! then replaces it. Each connection takes what is in force when it begins.
//!
//! | file | question |
//! | --- | --- |
//! | `check` | what is wrong with the files |
//! | `files` | how they are read |
//! | `certificate`, `distinguished_name`, `der` | what a certificate says |
//! | `server_names` | which certificate a client gets |
//! | `client_identity` | which clients are let in, and what is known of them |

mod certificate;
mod check;
mod client_identity;
mod der;
mod distinguished_name;
mod files;
mod server_names;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};
use tokio_rustls::server::TlsStream;

use crate::config::TlsConfig;
use crate::server::error::Error;
use crate::server::tls::client_identity::ClientTrust;
use crate::server::tls::files::ServerCertificate;
use crate::server::tls::server_names::ServerNames;

pub use crate::server::tls::check::check_tls;
pub use crate::server::tls::client_identity::{ClientIdentity, StatedIdentity};

/// The ALPN name of HTTP/2.
pub(super) const ALPN_H2: &[u8] = b"h2";

/// How many sessions of clients without tickets are kept.
const SESSIONS: usize = 256;

/// A certificate that the server shows to clients.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServedCertificate {
    /// Its file.
    pub path: PathBuf,
    /// Its subject as text (RFC 4514).
    pub subject: String,
    /// When it expires.
    pub not_after: SystemTime,
}

/// The TLS in force; none for plain HTTP.
///
/// A lock and not an atomic pointer: it is taken once for each connection, and a writer holds it for one assignment.
pub(super) struct ServerTls(RwLock<Option<Arc<ActiveTls>>>);

/// TLS that is ready to be used.
pub(super) struct PreparedTls(Option<Arc<ActiveTls>>);

impl ServerTls {
    /// Reads the files.
    pub(super) fn load(config: Option<&TlsConfig>) -> Result<Self, Error> {
        let active = config.map(|config| ActiveTls::load(config, None)).transpose()?;
        Ok(Self(RwLock::new(active.map(Arc::new))))
    }

    /// Reads the files of a configuration that is to replace the one in force. Changes nothing.
    pub(super) fn prepare(&self, config: Option<&TlsConfig>) -> Result<PreparedTls, Error> {
        let current = self.current();
        let next = config.map(|config| ActiveTls::load(config, current.as_deref())).transpose()?;
        Ok(PreparedTls(next.map(Arc::new)))
    }

    /// Lets the connections that begin from now on use `prepared`.
    pub(super) fn replace(&self, prepared: PreparedTls) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = prepared.0;
    }

    /// The TLS of a connection that begins now.
    pub(super) fn current(&self) -> Option<Arc<ActiveTls>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The certificates, the protocols, and what clients have to show.
pub(super) struct ActiveTls {
    config: Arc<ServerConfig>,
    certificates: Vec<ServedCertificate>,
    clients: ClientTrust,
    sessions: Sessions,
}

impl ActiveTls {
    fn load(config: &TlsConfig, current: Option<&Self>) -> Result<Self, Error> {
        let provider = Arc::new(provider());
        let default = ServerCertificate::load(&config.default, &provider)?;
        let others = config.others.iter().map(|files| ServerCertificate::load(files, &provider));
        let others = others.collect::<Result<Vec<_>, _>>()?;
        let clients = ClientTrust::load(config, &provider)?;
        let sessions = match current.filter(|current| current.clients.agrees_with(&clients)) {
            Some(current) => current.sessions.clone(),
            None => Sessions::new()?,
        };
        let certificates = std::iter::once(&default).chain(&others).filter_map(served).collect();
        // The provider is named here, because a second one compiled in by some dependency would make the default
        // ambiguous and the builder panic.
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::Tls)?
            .with_client_cert_verifier(clients.verifier())
            .with_cert_resolver(Arc::new(ServerNames::new(&default, &others)));
        config.alpn_protocols = vec![ALPN_H2.to_vec(), b"http/1.1".to_vec(), b"http/1.0".to_vec()];
        config.ticketer = Arc::clone(&sessions.tickets);
        config.session_storage = Arc::clone(&sessions.store);
        Ok(Self { config: Arc::new(config), certificates, clients, sessions })
    }

    /// Makes a TLS connection of a socket. Fails if the client is not let in.
    pub(super) async fn accept<IO>(&self, io: IO) -> io::Result<(TlsStream<IO>, Option<ClientIdentity>)>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = TlsAcceptor::from(Arc::clone(&self.config)).accept(io).await?;
        let identity = self.clients.identity(stream.get_ref().1);
        let identity = identity.map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))?;
        Ok((stream, identity))
    }

    /// The certificates, the default first.
    pub(super) fn certificates(&self) -> &[ServedCertificate] {
        &self.certificates
    }
}

/// The sessions that clients may resume. A session is not resumed where its client would not be let in, so they are those of
/// one `ClientTrust`.
#[derive(Clone)]
struct Sessions {
    tickets: Arc<dyn ProducesTickets>,
    store: Arc<dyn StoresServerSessions>,
}

impl Sessions {
    fn new() -> Result<Self, Error> {
        let tickets = ring::Ticketer::new().map_err(Error::Tls)?;
        Ok(Self { tickets, store: ServerSessionMemoryCache::new(SESSIONS) })
    }
}

fn served(own: &ServerCertificate) -> Option<ServedCertificate> {
    let certificate = own.certificate.as_ref()?;
    let (path, subject) = (own.path.clone(), certificate.subject.clone());
    Some(ServedCertificate { path, subject, not_after: certificate.not_after })
}

fn provider() -> CryptoProvider {
    ring::default_provider()
}
