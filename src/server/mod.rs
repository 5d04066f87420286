//! How sockets become requests: ports and Unix sockets for HTTP/1.0, HTTP/1.1 and HTTP/2, plain or with TLS, and the limits
//! that keep one client from harming the others. Generic over the service. Opened and run by the binary.
//!
//! | file | question |
//! | --- | --- |
//! | `listener`, `peer` | where connections come from, and the client at the other end |
//! | `handle` | how the server is changed while it serves |
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
mod handle;
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

use crate::config::ServerConfig;
use crate::server::accept::Acceptor;
use crate::server::connection::ConnectionBuilder;
use crate::server::date::watch_clock;
use crate::server::listener::set;
use crate::server::tls::ServerTls;

pub use crate::remote_address::RemoteAddress;
pub use crate::server::connection::request_body::{BodyError, RequestBody};
pub use crate::server::counters::Counters;
pub use crate::server::error::{Error, PemRole};
pub use crate::server::handle::{Prepared, ServerHandle};
pub use crate::server::listener::error::ListenError;
pub use crate::server::peer::{Peer, RequestScheme};
pub use crate::server::service::HttpService;
pub use crate::server::shutdown::{Signals, shutdown_signal};
pub use crate::server::tls::{ClientIdentity, ServedCertificate, check_tls};

/// Open listeners, not yet served.
pub struct Server {
    acceptor: Arc<Acceptor>,
}

impl Server {
    /// Reads the TLS files, if any, then opens the listeners.
    pub async fn bind(config: &ServerConfig) -> Result<Self, Error> {
        let counters = Arc::default();
        let tls = Arc::new(ServerTls::load(config.tls.as_ref())?);
        let connections = ConnectionBuilder::new(config, tls, &counters);
        let listeners = set::open(&config.listen, &[])?;
        Ok(Self { acceptor: Arc::new(Acceptor::new(listeners, connections, counters)) })
    }

    /// The open ports, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.acceptor.listeners.tcp_addresses()
    }

    /// The listeners in the order of the configuration, for example `http://127.0.0.1:3000` and `unix:/run/wagi.sock`.
    pub fn urls(&self) -> Vec<String> {
        let has_tls = self.acceptor.connections().tls().current().is_some();
        self.acceptor.listeners.current().iter().map(|listener| listener.url(has_tls)).collect()
    }

    /// The certificates that it shows to clients, the default first.
    pub fn certificates(&self) -> Vec<ServedCertificate> {
        self.acceptor.certificates()
    }

    /// The server's counters, which stay readable while it serves.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(self.acceptor.counters())
    }

    /// What changes the server while it serves.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle(Arc::clone(&self.acceptor))
    }

    /// Answers requests with `service` until `shutdown` resolves; then finishes those under way, as long as the grace
    /// period lasts.
    ///
    /// When a client disconnects, the future of its request and its response body are dropped.
    pub async fn serve<S: HttpService>(self, service: S, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = shutdown => {}
            () = self.acceptor.accept(service) => {}
            () = watch_clock() => {}
        }
        self.acceptor.drain().await;
    }
}
