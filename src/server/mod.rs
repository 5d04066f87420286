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
//! | `connection/proxy_header` | which connection a trusted proxy forwards |
//! | `connection/protocol` | which protocol it speaks |
//! | `connection/service`, `connection/request_body` | what one request and its response look like |
//! | `connection/expectation` | what a client gets that waits for 100 (Continue) |
//! | `connection/frames` | what of an HTTP/2 connection is not requests and responses |
//! | `connection/driver` | how long it may take, whether its client is still there, and when it ends |
//! | `connection/disconnect` | how a disconnect is noticed, and how a connection is closed |
//! | `web_server` | how web servers hand over requests by FastCGI and SCGI |
//! | `date` | which Date a response has while the clock is behind |
//! | `connection/state`, `connection/io` | the socket and what is known about it |
//! | `redirect` | what a plain port answers if clients are to use HTTPS |
//! | `idle` | when the server has been idle for too long |
//! | `shutdown` | how the server and its connections are told to stop |

mod accept;
mod connection;
mod counters;
mod date;
mod error;
mod handle;
mod idle;
mod limiter;
mod listener;
mod peer;
mod redirect;
mod service;
mod shutdown;
#[cfg(test)]
mod tests;
mod tls;
mod web_server;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{ServerConfig, WhenFull};
use crate::server::accept::Acceptor;
use crate::server::connection::ServerParts;
use crate::server::date::watch_clock;
use crate::server::idle::IdleWatch;
use crate::server::limiter::ConnectionQueue;
use crate::server::listener::inherited::InheritedSockets;
use crate::server::listener::set;
use crate::server::shutdown::ShutdownStage;
use crate::server::tls::ServerTls;

pub use crate::remote_address::RemoteAddress;
pub use crate::server::connection::request_body::{BodyError, RequestBody};
pub use crate::server::counters::{Counters, ListenerFigures};
pub use crate::server::error::{Error, PemRole};
pub use crate::server::handle::{Prepared, ServerHandle, WeakServerHandle};
pub(crate) use crate::server::limiter::spare_descriptors;
pub use crate::server::listener::error::ListenError;
pub use crate::server::listener::inherited::{InheritedListener, InheritedSocket};
pub use crate::server::peer::{Peer, RequestScheme};
pub use crate::server::service::HttpService;
pub use crate::server::shutdown::{Signals, shutdown_signal};
pub use crate::server::tls::{ClientIdentity, ServedCertificate, StatedIdentity, check_tls};

/// How long connections are still accepted when no new client can connect: the time for handshakes under way in one network.
const HANDSHAKES: Duration = Duration::from_millis(20);

/// Open listeners, not yet served.
pub struct Server {
    acceptor: Arc<Acceptor>,
}

impl Server {
    /// Reads the TLS files, if any, then opens the listeners.
    pub async fn bind(config: &ServerConfig) -> Result<Self, Error> {
        Self::bind_inheriting(config, Vec::new()).await
    }

    /// The same in a process that inherits sockets. They are used where the configuration says so, and if it names no address.
    pub async fn bind_inheriting(config: &ServerConfig, inherited: Vec<InheritedSocket>) -> Result<Self, Error> {
        let inherited = InheritedSockets::new(inherited).map_err(ListenError::Inherited)?;
        let oldest_first = match config.when_full {
            WhenFull::CloseIdle => None,
            WhenFull::CloseOldest => Some(Arc::new(ConnectionQueue::new(limiter::fit_descriptors(config)))),
        };
        let parts = ServerParts {
            counters: Arc::default(),
            tls: Arc::new(ServerTls::load(config.tls.as_ref())?),
            idle: config.idle_exit.map(IdleWatch::new).map(Arc::new),
            oldest_first,
        };
        let listeners = set::open(&config.listen, &[], &inherited)?;
        if parts.idle.is_some() && !listeners.iter().any(|listener| listener.is_inherited()) {
            tracing::warn!("the server ends when it is idle, and nothing starts it again: no socket is inherited");
        }
        Ok(Self { acceptor: Arc::new(Acceptor::new(config, listeners, inherited, parts)) })
    }

    /// The open ports, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.acceptor.listeners.tcp_addresses()
    }

    /// The listeners in the order of the configuration, for example `http://127.0.0.1:3000` and `unix:/run/wagi.sock`.
    pub fn urls(&self) -> Vec<String> {
        self.acceptor.urls()
    }

    /// The certificates that it shows to clients, the default first.
    pub fn certificates(&self) -> Vec<ServedCertificate> {
        self.acceptor.certificates()
    }

    /// The server's counters, which stay readable while it serves.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.acceptor.parts().counters)
    }

    /// What changes the server while it serves.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle(Arc::clone(&self.acceptor))
    }

    /// Answers requests with `service` until `shutdown` resolves. Then connections are accepted as long as the shutdown delay
    /// lasts, and requests finished as long as the grace period lasts. With `idle_exit` it also ends when it is idle.
    ///
    /// When a client disconnects, the future of its request and its response body are dropped.
    pub async fn serve<S: HttpService>(self, mut service: S, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => {
                    self.leave(service.clone()).await;
                    break;
                }
                () = self.accept(service.clone()) => {}
                () = self.acceptor.idle() => {
                    if self.acceptor.is_still_idle(&mut service) {
                        tracing::info!(idle_for = ?self.acceptor.connections().config().idle_exit, "stopping: the server is idle");
                        break;
                    }
                }
            }
        }
        self.acceptor.hide();
        let _ = tokio::time::timeout(HANDSHAKES, self.accept(service.clone())).await;
        self.acceptor.close(&mut service);
        self.acceptor.drain().await;
    }

    /// Accepts connections for as long as the shutdown is delayed.
    async fn leave<S: HttpService>(&self, service: S) {
        self.acceptor.listeners.announce(ShutdownStage::Leaving);
        let delay = self.acceptor.connections().config().shutdown_delay;
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.accept(service) => {}
        }
    }

    /// Accepts connections until dropped.
    async fn accept<S: HttpService>(&self, service: S) {
        tokio::select! {
            () = self.acceptor.accept(service) => {}
            () = watch_clock() => {}
        }
    }
}
