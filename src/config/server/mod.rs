//! How does the server listen, and what does it believe of its peers?
//!
//! `manifest` reads the tables `[server]` and `[tls]`, `Config::load` adds the options of the command line, `server` and
//! `gateway` apply the result.

mod check;
mod listen;
mod trusted_proxies;

use std::path::PathBuf;
use std::time::Duration;

pub(in crate::config) use crate::config::server::check::{
    oversized_scratch, redirect_without_tls, repeated_addresses, unknown_groups, untrusted_addresses,
    untrusted_web_servers,
};
pub use crate::config::server::listen::{
    ListenAddress, ListenAddressError, UnixAddress, UnknownGroup, WebServerProtocol,
};
pub use crate::config::server::trusted_proxies::{TrustedProxies, TrustedProxyError};

use crate::config::{ConnectionLimits, SourceLocation, TlsFiles};

/// How the server listens, and what it believes of its peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerConfig {
    /// The addresses, in the order in which the ready line names them. Default: inherited sockets if there are any, else
    /// `127.0.0.1:3000`.
    pub listen: Vec<ListenAddress>,
    /// TLS for the TCP listeners; `None` for plain HTTP.
    pub tls: Option<TlsConfig>,
    /// The peers whose word about the client counts. Default: none.
    pub trusted_proxies: TrustedProxies,
    /// The header fields in which trusted proxies say it.
    pub forwarded: ForwardedFields,
    /// Whether connections of trusted proxies begin with a PROXY header. Default: no.
    pub proxy_protocol: bool,
    /// Whether plain TCP listeners send clients to the same URL with https. Default: no.
    pub redirect_https: bool,
    /// Whether responses carry the id of their request. Default: no.
    pub request_id_header: bool,
    /// How long connections are accepted after the signal to stop. Default: not at all.
    pub shutdown_delay: Duration,
    /// Below which directory scratch directories lie. Default: below the system's temporary directory.
    pub scratch_directory: Option<PathBuf>,
    /// How many bytes all scratch directories may hold together.
    pub scratch_total: ScratchTotal,
    /// How long the server may be idle before it ends. Default: for ever.
    pub idle_exit: Option<Duration>,
    /// The limits of connections.
    pub limits: ConnectionLimits,
    /// Which connections end when there are as many as there may be. Default: idle ones.
    pub when_full: WhenFull,
}

/// Which connections end when there are as many as there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Those that were idle for a second.
    #[default]
    CloseIdle,
    /// The oldest without an open request.
    CloseOldest,
}

/// A number of bytes that all scratch directories may hold together. Default: 256 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScratchTotal(pub u64);

impl Default for ScratchTotal {
    fn default() -> Self {
        Self(256 << 20)
    }
}

/// The certificates of the server, and what it asks of clients.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// The first certificate. Clients that name no server, or one that no certificate is for, get it.
    pub default: TlsFiles,
    /// Certificates for the names in them.
    pub others: Vec<TlsFiles>,
    /// The PEM certificates of the authorities for client certificates. Default: none.
    pub client_ca: Option<PathBuf>,
    /// Where `client_ca` is written, if it is in a file.
    pub client_ca_location: Option<SourceLocation>,
    /// Whether clients have to show a certificate. Default: they are not asked.
    pub client_auth: ClientAuth,
}

impl TlsConfig {
    /// TLS with one certificate, for clients without certificates.
    pub fn new(files: TlsFiles) -> Self {
        Self {
            default: files,
            others: Vec::new(),
            client_ca: None,
            client_ca_location: None,
            client_auth: ClientAuth::None,
        }
    }

    /// All certificates, the default first.
    pub fn certificates(&self) -> impl Iterator<Item = &TlsFiles> {
        std::iter::once(&self.default).chain(&self.others)
    }
}

/// Compares all settings, but not where they are written.
impl PartialEq for TlsConfig {
    fn eq(&self, other: &Self) -> bool {
        // Without `..`, so that no setting is left out.
        let Self { default, others, client_ca, client_ca_location: _, client_auth } = self;
        (default, others) == (&other.default, &other.others)
            && (client_ca, client_auth) == (&other.client_ca, &other.client_auth)
    }
}

impl Eq for TlsConfig {}

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// They are not asked for one.
    #[default]
    None,
    /// They are asked for one. Those without any are served.
    Request,
    /// Only those with a valid certificate are served.
    Require,
}

/// The family of header fields in which a proxy says for which client it sends a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedFields {
    /// `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}
