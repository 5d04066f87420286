//! How sockets become requests: one port for HTTP/1.0, HTTP/1.1 and HTTP/2, plain or with TLS, and the limits that keep
//! one client from harming the others. Generic over the service that answers. Opened and run by the binary.
//!
//! | file | question |
//! | --- | --- |
//! | `accept` | who is let in, and when all have left |
//! | `connection` | which protocol a socket speaks |
//! | `pace` | how long it may take, and whether its client is still there |
//! | `departure` | how the end of a connection is noticed and performed |
//! | `exchange`, `body` | what one request and its answer look like |
//! | `line`, `stream` | the socket and what is known about it |

mod accept;
mod connection;
mod counters;
mod error;
mod shutdown;
#[cfg(test)]
mod tests;
mod tls;

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::config::{ConnectionLimits, ServerConfig};

pub use crate::server::connection::request_body::{BodyError, RequestBody};
pub use crate::server::counters::Counters;
pub use crate::server::error::Error;
pub use crate::server::shutdown::{Signals, shutdown_signal};

/// Who sent a request. Found among the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The remote end of the connection. An IPv4 client is always an IPv4 address, whatever the listening socket is.
    pub address: SocketAddr,
}

/// An open port, not yet served.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    limits: ConnectionLimits,
    counters: Arc<Counters>,
}

impl Server {
    /// Reads the TLS files, if any, then opens the port.
    pub async fn bind(config: &ServerConfig) -> Result<Self, Error> {
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let address = config.listen;
        let refused = |source: std::io::Error| match source.kind() {
            ErrorKind::AddrInUse => Error::AddressInUse { address },
            _ => Error::Listen { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address, tls, limits: config.limits.clone(), counters: Arc::default() })
    }

    /// The address of the open port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where clients find the server, for example `http://127.0.0.1:3000`.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// What the server counts; stays readable while it serves.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Answers requests with `service` until `shutdown` resolves; then finishes those under way, as long as the grace
    /// period lasts.
    ///
    /// When a client leaves, the future of its request and its response body are dropped.
    pub async fn serve<S, B>(self, service: S, shutdown: impl Future<Output = ()>)
    where
        S: tower_service::Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let doors = accept::ConnectionLimiter::new(self.limits.connections, self.limits.connections_per_address);
        let grace = self.limits.shutdown_grace;
        let terms = Arc::new(connection::ConnectionBuilder::new(self.limits, self.tls, self.counters));
        accept::run(self.listener, doors, terms, service, (shutdown, grace)).await;
    }
}
