//! Which clients are let in, and what is known of the client of a connection?
//!
//! With `client_auth` clients are asked for a certificate, which an authority of `client_ca` must have signed. What it says
//! goes into the extensions of each request of the connection.

use std::sync::Arc;

use rustls_pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, HandshakeKind, RootCertStore, ServerConnection};

use crate::config::{ClientAuth, TlsConfig};
use crate::server::error::Error;
use crate::server::tls::certificate::Certificate;
use crate::server::tls::files;

/// The longest subject of a client in bytes. It becomes two variables, and the bounds of RFC 5280 are far below.
const MAX_SUBJECT: usize = 8 << 10;

/// The client of a connection on which clients are asked for a certificate. Found among the extensions of its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientIdentity {
    /// It has shown no certificate.
    Anonymous,
    /// It has proven that it has the key of a certificate, which is valid.
    Verified {
        /// The subject of the certificate as text (RFC 4514): visible ASCII.
        subject: Arc<str>,
    },
    /// The web server in front, which speaks FastCGI or SCGI, says who it is.
    Stated(Arc<StatedIdentity>),
}

/// What a web server says about its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatedIdentity {
    /// How the client was authenticated, or empty.
    pub auth_type: String,
    /// The name of the user, or empty.
    pub user: String,
    /// Whether the certificate of the client was verified.
    pub verify: Option<String>,
    /// The subject of that certificate.
    pub subject: Option<String>,
}

/// What clients have to show.
#[derive(Clone, Debug)]
pub(super) struct ClientTrust {
    auth: ClientAuth,
    /// Whose certificates are valid; empty if clients are not asked.
    authorities: Arc<RootCertStore>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientTrust {
    /// Reads the certificates of the authorities, which are checked even if clients are not asked.
    pub fn load(config: &TlsConfig, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let auth = config.client_auth;
        let authorities =
            config.client_ca.as_deref().map(files::authorities).transpose()?.unwrap_or_else(RootCertStore::empty);
        if auth == ClientAuth::None {
            return Ok(Self { auth, authorities: Arc::new(RootCertStore::empty()), verifier: Arc::new(NoClientAuth) });
        }
        let authorities = Arc::new(authorities);
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&authorities), Arc::clone(provider));
        let builder = if auth == ClientAuth::Request { builder.allow_unauthenticated() } else { builder };
        let verifier = builder.build().map_err(Error::ClientVerifier)?;
        Ok(Self { auth, authorities, verifier })
    }

    pub fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier)
    }

    /// Whether a client that one of them has let in is let in by the other, too.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.auth == other.auth && self.authorities.roots == other.authorities.roots
    }

    /// The client of a connection; `None` if it was not asked.
    pub fn identity(&self, connection: &ServerConnection) -> Result<Option<ClientIdentity>, rustls::Error> {
        if self.auth == ClientAuth::None {
            return Ok(None);
        }
        match connection.peer_certificates().and_then(<[_]>::split_first) {
            None if self.verifier.client_auth_mandatory() => Err(rustls::Error::NoCertificatesPresented),
            None => Ok(Some(ClientIdentity::Anonymous)),
            Some((own, chain)) => {
                // A session that goes on was verified when it began, and its certificate may have expired since then.
                if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
                    self.verifier.verify_client_cert(own, chain, UnixTime::now())?;
                }
                verified(own).map(Some)
            }
        }
    }
}

/// The client with a certificate that is valid. One whose subject cannot be told is not let in.
fn verified(certificate: &CertificateDer<'_>) -> Result<ClientIdentity, rustls::Error> {
    let subject = Certificate::parse(certificate).map(|own| own.subject).filter(|subject| subject.len() <= MAX_SUBJECT);
    let refused =
        || rustls::Error::General("the subject of the client's certificate is damaged or too long".to_owned());
    Ok(ClientIdentity::Verified { subject: subject.ok_or_else(refused)?.into() })
}
