//! How does a URL become a connection?
//!
//! | file | question |
//! | --- | --- |
//! | `target` | which server is that? |
//! | `policy` | may a connection be made to that host, at that address? |
//! | `address` | what kind of address is that? |
//! | `own_addresses` | does this process itself listen there? |
//! | `resolve` | how is a name resolved once for many calls? |
//! | `transport` | which system calls does that take? |
//! | `connection` | what is a connection? |
//! | `error` | why is there none? |
//!
//! The pools of both HTTP clients call a [`Connector`] for every new connection. It resolves the name once, asks the policy about
//! each address, and connects only to an address that the policy allows.

pub(crate) mod address;
mod connection;
mod error;
pub(crate) mod own_addresses;
pub(crate) mod policy;
mod resolve;
mod target;
pub(crate) mod transport;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tower_service::Service;
use url::Position;

use crate::net::connect::connection::Connection;
use crate::net::connect::policy::ConnectPolicy;
use crate::net::connect::resolve::Lookups;
use crate::net::connect::target::Target;
use crate::net::connect::transport::Transport;
use crate::net::url::host_address;

pub(crate) use crate::net::connect::error::ConnectError;

/// The most addresses that are tried for one connection. Each gets an equal share of the time that is left. So each gets at least a
/// quarter of the whole time, and an address that does not answer leaves time for the others.
const MAX_ADDRESSES: usize = 4;

tokio::task_local! {
    /// How long the call that is under way waits for a connection, if less than any call may.
    static CONNECT_TIMEOUT: Option<Duration>;
}

/// A call that waits no longer for a connection than `limit`.
pub(crate) fn with_timeout<F: Future>(limit: Option<Duration>, call: F) -> impl Future<Output = F::Output> {
    CONNECT_TIMEOUT.scope(limit, call)
}

/// What making connections may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectLimits {
    /// The time to resolve a name.
    pub resolve: Duration,
    /// The time to connect to the addresses of a name; once more as much for TLS.
    pub connect: Duration,
    /// Connections at a time, idle ones included.
    pub connections: usize,
}

/// Makes connections, plain or with TLS as the scheme of the URL says.
#[derive(Clone)]
pub(crate) struct Connector(Arc<ConnectorInner>);

struct ConnectorInner {
    transport: Arc<dyn Transport>,
    tls: TlsConnector,
    policy: Arc<dyn ConnectPolicy>,
    limits: ConnectLimits,
    lookups: Lookups,
    connections: Arc<Semaphore>,
}

impl Connector {
    pub fn new(
        transport: Arc<dyn Transport>,
        tls: Arc<ClientConfig>,
        policy: Arc<dyn ConnectPolicy>,
        limits: ConnectLimits,
    ) -> Self {
        let lookups = Lookups::new(transport.clone());
        let connections = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
        Self(Arc::new(ConnectorInner { transport, tls: tls.into(), policy, limits, lookups, connections }))
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let inner = self.0.clone();
        let limit = CONNECT_TIMEOUT.try_with(|limit| *limit).ok().flatten();
        Box::pin(async move {
            let target = Target::new(&uri)?;
            let Some(limit) = limit else { return inner.connect(&target).await.map(TokioIo::new) };
            match timeout(limit, inner.connect(&target)).await {
                Ok(connected) => connected.map(TokioIo::new),
                Err(_elapsed) => Err(target.unconnected(io::ErrorKind::TimedOut.into())),
            }
        })
    }
}

impl ConnectorInner {
    async fn connect(&self, target: &Target) -> Result<Connection, ConnectError> {
        if !self.policy.allows_host(&target.url) {
            return Err(ConnectError::HostDenied(target.url[..Position::BeforePath].to_owned()));
        }
        let permit = async { self.connections.clone().acquire_owned().await.map_err(io::Error::other) };
        let permit = self.in_time(permit).await.map_err(|source| target.unconnected(source))?;
        let addresses = self.allowed_addresses(target).await?;
        let stream = self.connect_to_one(&addresses).await.map_err(|source| target.unconnected(source))?;
        // What is sent is sent in one piece; waiting for more of it only costs time.
        stream.set_nodelay(true).map_err(|source| target.unconnected(source))?;
        if target.url.scheme() != "https" {
            return Ok(Connection::plain(stream, permit));
        }
        let stream = self.in_time(self.tls.connect(target.server_name()?, stream)).await;
        let stream = stream.map_err(|source| ConnectError::Tls { host: target.host(), source: Arc::new(source) })?;
        Ok(Connection::tls(stream, permit))
    }

    /// The first addresses of the host that the policy allows.
    async fn allowed_addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, ConnectError> {
        let found = match host_address(&target.url) {
            Some(address) => vec![SocketAddr::new(address, target.port)],
            None => self.resolve(target).await.map_err(|source| target.unresolved(source))?,
        };
        let mut error = target.unresolved(Arc::new(io::ErrorKind::NotFound.into()));
        let mut allowed = Vec::new();
        for address in found.iter().map(SocketAddr::ip) {
            match self.policy.check_address(&target.url, address) {
                // Without what resolvers may add, such as the interface of a link.
                Ok(()) => allowed.push(SocketAddr::new(address, target.port)),
                Err(denial) => error = ConnectError::AddressDenied { host: target.host(), address, denial },
            }
        }
        let mut allowed = interleaved(allowed);
        allowed.truncate(MAX_ADDRESSES);
        if allowed.is_empty() { Err(error) } else { Ok(allowed) }
    }

    async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, Arc<io::Error>> {
        let host = target.host();
        let found = timeout(self.limits.resolve, self.lookups.addresses(&host, target.port)).await;
        found.unwrap_or_else(|_| Err(Arc::new(io::ErrorKind::TimedOut.into())))
    }

    /// Tries one address after the other. Each has an equal share of the time that is left.
    async fn connect_to_one(&self, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
        let deadline = Instant::now() + self.limits.connect;
        let mut failure = io::ErrorKind::NotFound.into();
        for (left, &address) in (1..=addresses.len() as u32).rev().zip(addresses) {
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            match timeout(share, self.transport.connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = error,
                Err(_elapsed) => failure = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failure)
    }

    /// Gives a step the same time as connecting has.
    async fn in_time<T>(&self, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        timeout(self.limits.connect, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// The same addresses with both families in turn, so that the first few are not all of a family that leads nowhere here
/// (RFC 8305 §4). The resolver's choice stays the first.
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == is_v6);
    let (mut preferred, mut others) = (preferred.into_iter(), others.into_iter());
    let mut interleaved = Vec::with_capacity(preferred.len() + others.len());
    while preferred.len() + others.len() > 0 {
        interleaved.extend(preferred.next());
        interleaved.extend(others.next());
    }
    interleaved
}
