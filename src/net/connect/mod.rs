//! How does a host name become a connection?
//!
//! The pool of `exchange` calls [`Dialer`] for every connection it lacks. A name is resolved once, each of its addresses
//! is put to `policy`, and only those that pass are connected to: nobody resolves the name a second time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tower_service::Service;
use url::{Host, Url};

use crate::net::connection::Connection;
use crate::net::resolve::Lookups;
use crate::net::transport::Transport;
use crate::outbound::policy::Policy;
use crate::outbound::{Error, Limits};

/// Addresses tried for one connection; with more, each had too little of the time.
const ADDRESSES: usize = 4;

tokio::task_local! {
    /// How long the call that is under way waits for a connection, if less than any call may.
    static PATIENCE: Option<Duration>;
}

/// A call that waits no longer for a connection than this.
pub(super) fn within<F: Future>(timeouts: Option<Duration>, call: F) -> impl Future<Output = F::Output> {
    PATIENCE.scope(timeouts, call)
}

/// Makes the connections of one script.
#[derive(Clone)]
pub(super) struct Dialer(Arc<Inner>);

struct Inner {
    internet: Arc<dyn Transport>,
    tls: TlsConnector,
    policy: Arc<Policy>,
    resolve: Duration,
    connect: Duration,
    lookups: Lookups,
    connections: Arc<Semaphore>,
}

impl Dialer {
    pub fn new(internet: Arc<dyn Transport>, tls: Arc<ClientConfig>, policy: Arc<Policy>, limits: &Limits) -> Self {
        let lookups = Lookups::new(internet.clone());
        let connections = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
        let (resolve, connect) = (limits.resolve, limits.connect);
        Self(Arc::new(Inner { internet, tls: tls.into(), policy, resolve, connect, lookups, connections }))
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<Connection>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let inner = self.0.clone();
        let timeouts = PATIENCE.try_with(|timeouts| *timeouts).ok().flatten();
        Box::pin(async move {
            let Some(timeouts) = timeouts else { return inner.dial(&uri).await.map(TokioIo::new) };
            match timeout(timeouts, inner.dial(&uri)).await {
                Ok(dialled) => dialled.map(TokioIo::new),
                Err(_elapsed) => Err(late(&uri)),
            }
        })
    }
}

impl Inner {
    async fn dial(&self, uri: &Uri) -> Result<Connection, Error> {
        // Back to a URL, so that the policy sees what it saw before.
        let url = Url::parse(&uri.to_string()).map_err(|_| Error::InvalidUrl)?;
        self.policy.admits_host(&url)?;
        let seat = async { self.connections.clone().acquire_owned().await.map_err(io::Error::other) };
        let seat = self.in_time(&url, seat).await?;
        let addresses = self.addresses(&url).await?;
        let stream = self.connect(&addresses).await.map_err(|source| unconnected(&url, source))?;
        // What is sent is sent in one piece; waiting for more of it only costs time.
        stream.set_nodelay(true).map_err(|source| unconnected(&url, source))?;
        if url.scheme() != "https" {
            return Ok(Connection::plain(stream, seat));
        }
        let name = server_name(&url).ok_or(Error::InvalidUrl)?;
        let stream = self.in_time(&url, self.tls.connect(name, stream)).await?;
        Ok(Connection::tls(stream, seat))
    }

    /// Where the host is, as far as it may be called there.
    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, Error> {
        let port = url.port_or_known_default().ok_or(Error::InvalidUrl)?;
        let found = match url.host().ok_or(Error::InvalidUrl)? {
            Host::Ipv4(address) => vec![SocketAddr::new(address.into(), port)],
            Host::Ipv6(address) => vec![SocketAddr::new(address.into(), port)],
            Host::Domain(name) => self.lookup(name, port).await.map_err(|source| unresolved(name, source))?,
        };
        let nowhere = Arc::new(io::ErrorKind::NotFound.into());
        let mut refusal = unresolved(url.host_str().unwrap_or_default(), nowhere);
        let mut admitted = Vec::new();
        for address in found {
            match self.policy.admits_address(url, address.ip()) {
                Ok(()) => admitted.push(bare(address)),
                Err(refused) => refusal = refused,
            }
        }
        admitted.truncate(ADDRESSES);
        if admitted.is_empty() { Err(refusal) } else { Ok(admitted) }
    }

    async fn lookup(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Arc<io::Error>> {
        let found = timeout(self.resolve, self.lookups.addresses(name, port)).await;
        found.unwrap_or_else(|_| Err(Arc::new(io::ErrorKind::TimedOut.into())))
    }

    /// Tries one address after the other; each has an equal share of the time that is left.
    async fn connect(&self, addresses: &[SocketAddr]) -> io::Result<TcpStream> {
        let deadline = Instant::now() + self.connect;
        let mut failure = io::ErrorKind::NotFound.into();
        for (left, &address) in (1..=addresses.len() as u32).rev().zip(addresses) {
            let share = deadline.saturating_duration_since(Instant::now()) / left;
            match timeout(share, self.internet.connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = error,
                Err(_elapsed) => failure = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failure)
    }

    /// What takes part in connecting has as long as connecting.
    async fn in_time<T>(&self, url: &Url, step: impl Future<Output = io::Result<T>>) -> Result<T, Error> {
        let done = timeout(self.connect, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        done.map_err(|source| unconnected(url, source))
    }
}

/// An address without what resolvers may add to it, such as the interface of a link.
fn bare(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

fn server_name(url: &Url) -> Option<ServerName<'static>> {
    match url.host()? {
        Host::Domain(name) => ServerName::try_from(name.to_owned()).ok(),
        Host::Ipv4(address) => Some(ServerName::from(IpAddr::V4(address))),
        Host::Ipv6(address) => Some(ServerName::from(IpAddr::V6(address))),
    }
}

fn unresolved(host: &str, source: Arc<io::Error>) -> Error {
    Error::Resolve { host: host.to_owned(), source }
}

fn late(uri: &Uri) -> Error {
    let host = uri.host().unwrap_or_default().to_owned();
    Error::Connect { host, source: Arc::new(io::ErrorKind::TimedOut.into()) }
}

fn unconnected(url: &Url, source: io::Error) -> Error {
    Error::Connect { host: url.host_str().unwrap_or_default().to_owned(), source: Arc::new(source) }
}
