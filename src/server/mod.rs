//! How sockets become requests: one port for HTTP/1.0, HTTP/1.1 and HTTP/2, plain or with TLS, and the limits that keep
//! one client from harming the others. Generic over the service. Opened and run by the binary.
//!
//! | file | question |
//! | --- | --- |
//! | `listener`, `peer` | where connections come from, and the client at the other end |
//! | `accept`, `limiter` | how connections are accepted, and how many |
//! | `tls` | which certificate and protocols a TLS connection gets, and which clients are let in |
//! | `connection` | how a socket is served, from its first byte to its close |
//! | `connection/protocol` | which protocol it speaks |
//! | `connection/service`, `connection/request_body` | what one request and its response look like |
//! | `connection/expectation` | what a client gets that waits for 100 (Continue) |
//! | `connection/frames` | what of an HTTP/2 connection is not requests and responses |
//! | `connection/driver` | how long it may take, whether its client is still there, and when it ends |
//! | `connection/disconnect` | how a disconnect is noticed, and how a connection is closed |
//! | `date` | which Date a response has while the clock is behind |
//! | `connection/state`, `connection/io` | the socket and what is known about it |
//! | `shutdown` | how the server and its connections are told to stop |

mod accept;
mod connection;
mod counters;
mod date;
mod error;
mod limiter;
mod listener;
mod peer;
mod service;
mod shutdown;
#[cfg(test)]
mod tests;
mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{ConnectionLimits, ListenAddress, ServerConfig};
use crate::server::accept::Acceptor;
use crate::server::date::watch_clock;
use crate::server::listener::Listener;
use crate::server::tls::ServerTls;

pub use crate::server::connection::request_body::{BodyError, RequestBody};
pub use crate::server::counters::Counters;
pub use crate::server::error::{Error, PemRole};
pub use crate::server::peer::Peer;
pub use crate::server::service::HttpService;
pub use crate::server::shutdown::{Signals, shutdown_signal};
pub use crate::server::tls::{ClientIdentity, ServedCertificate, check_tls};

/// An open port, not yet served.
pub struct Server {
    listener: Listener,
    tls: Arc<ServerTls>,
    limits: ConnectionLimits,
    counters: Arc<Counters>,
}

impl Server {
    /// Reads the TLS files, if any, then opens the port.
    pub async fn bind(config: &ServerConfig) -> Result<Self, Error> {
        let tls = Arc::new(ServerTls::load(config.tls.as_ref())?);
        let address = match config.listen.first() {
            Some(ListenAddress::Tcp(address)) => *address,
            _ => (std::net::Ipv4Addr::LOCALHOST, 3000).into(),
        };
        let listener = Listener::bind(address).await?;
        let connections = limiter::fit_descriptors(config.limits.connections);
        let limits = ConnectionLimits { connections, ..config.limits.clone() };
        Ok(Self { listener, tls, limits, counters: Arc::default() })
    }

    /// The address of the open port.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The URL of the server, for example `http://127.0.0.1:3000`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.current().is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address())
    }

    /// The certificates that it shows to clients, the default first.
    pub fn certificates(&self) -> Vec<ServedCertificate> {
        self.tls.current().map_or_else(Vec::new, |tls| tls.certificates().to_vec())
    }

    /// The server's counters, which stay readable while it serves.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Answers requests with `service` until `shutdown` resolves; then finishes those under way, as long as the grace
    /// period lasts.
    ///
    /// When a client disconnects, the future of its request and its response body are dropped.
    pub async fn serve<S: HttpService>(self, service: S, shutdown: impl Future<Output = ()>) {
        let grace = self.limits.shutdown_grace;
        let acceptor = Acceptor::new(self.limits, self.tls, self.counters);
        tokio::select! {
            biased;
            () = shutdown => {}
            () = acceptor.accept_from(&self.listener, service) => {}
            () = watch_clock() => {}
        }
        drop(self.listener);
        acceptor.drain(grace).await;
    }
}
