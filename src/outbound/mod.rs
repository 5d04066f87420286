//! How does a script call somebody else's server?
//!
//! | file | question |
//! | --- | --- |
//! | `policy` | may this script call that host, at that address? |
//! | `address` | what kind of address is that? |
//! | `call` | what does the guest's request mean, and what of it is sent? |
//! | `exchange` | which requests lead to the answer? |
//! | `redirect` | where does an answer send the caller? |
//! | `response` | how does an answer come into memory? |
//! | `streaming` | how do a request and its answer pass as they come? |
//! | `budget` | how much may a run pass like that? |
//! | `dial` | how does a host name become a connection? |
//! | `lookups` | who resolves a name that many ask for at once? |
//! | `internet` | which system calls does that take? |
//! | `link` | what is a connection? |
//! | `sessions` | which answers does a run hold? |
//! | `error` | what went wrong, and with which code? |
//!
//! `startup` makes one [`Network`] and of it one [`Client`] per script; the imports of `wasi_experimental_http` hold
//! the [`Sessions`] of their run and call the client, those of `wasi:http` hold its [`CallBudget`]. The proxies in the server's environment are not used.

mod budget;
mod call;
mod dial;
mod error;
mod exchange;
mod policy;
mod redirect;
mod response;
mod sessions;
mod streaming;

use std::error::Error as StdError;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;

use crate::config::AllowedHosts;
use crate::net::roots::TrustError;
use crate::net::transport::{SystemTransport, Transport};
use crate::outbound::dial::Dialer;
use crate::outbound::exchange::Pool;
use crate::outbound::policy::Policy;

pub use crate::outbound::budget::CallBudget;
pub use crate::outbound::call::{Request, headers, method};
pub use crate::outbound::error::{Error, ErrorKind};
pub use crate::outbound::policy::Destination;
pub use crate::outbound::response::Response;
pub use crate::outbound::sessions::Sessions;
pub use crate::outbound::streaming::{Download, StreamingRequest, Timeouts};

/// What all answers that runs hold may take together. Each is bounded, but not how many guests there are.
const MEMORY: usize = 256 * 1024 * 1024;

/// What a script's calls may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The time of a whole call, redirects and body included.
    pub total: Duration,
    /// The longest silence within the body of an answer.
    pub idle: Duration,
    /// The time to connect; once more as much for the TLS handshake.
    pub connect: Duration,
    /// The time to resolve a name.
    pub resolve: Duration,
    /// Bytes of an answer's body.
    pub body: usize,
    /// Bytes of an answer's header block.
    pub headers: usize,
    /// Redirects followed in one call.
    pub redirects: usize,
    /// Calls of one run.
    pub calls: u32,
    /// Bytes of all bodies that one run holds.
    pub held: usize,
    /// Bytes of all bodies that one run sends and gets as they come, none of which is held.
    pub passed: u64,
    /// Connections of one script, idle ones included.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(30),
            idle: Duration::from_secs(15),
            connect: Duration::from_secs(5),
            resolve: Duration::from_secs(5),
            body: 16 * 1024 * 1024,
            headers: 64 * 1024,
            redirects: 10,
            calls: 256,
            held: 64 * 1024 * 1024,
            passed: 1024 * 1024 * 1024,
            connections: 1024,
        }
    }
}

/// What all scripts share: the way out, whom to trust on it, and room for answers.
#[derive(Clone)]
pub struct Network {
    home: Handle,
    tls: Arc<ClientConfig>,
    internet: Arc<dyn Transport>,
    room: Arc<Semaphore>,
    roots: usize,
}

impl Network {
    /// Reads the certificates of the system and those of `roots`, a PEM file. Connections live in the runtime `home`,
    /// whichever runtime a guest computes on.
    pub fn new(home: Handle, roots: Option<&Path>) -> Result<Self, TrustError> {
        let store = crate::net::roots::roots(roots)?;
        let roots = store.len();
        Ok(Self { roots, ..Self::with(home, crate::net::tls::with_roots(store)?, Arc::new(SystemTransport)) })
    }

    fn with(home: Handle, tls: ClientConfig, internet: Arc<dyn Transport>) -> Self {
        Self { home, tls: Arc::new(tls), internet, room: Arc::new(Semaphore::new(MEMORY)), roots: 0 }
    }

    /// How many certificates are believed. With none, every call over TLS fails.
    pub fn roots(&self) -> usize {
        self.roots
    }

    /// The client of one script. Scripts do not share connections: what one may reach another perhaps may not, and an
    /// answer that a server slipped in behind another is nobody else's.
    pub fn client(&self, allowed: AllowedHosts, limits: Limits) -> Client {
        let policy = Arc::new(Policy::new(allowed));
        let dialer = Dialer::new(self.internet.clone(), self.tls.clone(), policy.clone(), &limits);
        let pool = exchange::pool(dialer, &limits);
        Client { home: self.home.clone(), calls: Arc::new(Calls { policy, pool, limits, room: self.room.clone() }) }
    }
}

/// The way out for one script. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    home: Handle,
    calls: Arc<Calls>,
}

/// What a call needs while it is under way.
struct Calls {
    policy: Arc<Policy>,
    pool: Pool,
    limits: Limits,
    room: Arc<Semaphore>,
}

impl Client {
    /// Whom the guest wants to call, if it may. Fails with [`Error::NotUtf8`], [`Error::InvalidUrl`] or one for a
    /// destination that is not allowed, in this order.
    pub fn destination(&self, url: &[u8]) -> Result<Destination, Error> {
        self.calls.policy.destination(url)
    }

    /// Sends a request and reads the whole answer. Takes no longer than the limit allows, nor than `time_left`;
    /// dropping the future ends the call.
    pub async fn send(&self, request: Request, time_left: Duration) -> Result<Response, Error> {
        let calls = self.calls.clone();
        let limit = calls.limits.total.min(time_left);
        let call = async move { timeout(limit, exchange::follow(&calls, request)).await };
        match Task(self.home.spawn(call)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_elapsed)) => Err(Error::TimedOut),
            Err(_stopped) => Err(Error::Stopped),
        }
    }

    /// Sends a request and gives the answer, either body passing as it comes. Redirects are answers like others. Dropping
    /// the future, or else the answer, ends the call.
    pub async fn pass<B>(&self, request: StreamingRequest<B>) -> Result<http::Response<Download>, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let calls = self.calls.clone();
        match Task(self.home.spawn(async move { streaming::pass(&calls, request).await })).await {
            Ok(answer) => answer,
            Err(_stopped) => Err(Error::Stopped),
        }
    }

    /// What one run may pass, with so many calls under way at a time.
    pub fn budget(&self, most: Option<u32>) -> Arc<CallBudget> {
        Arc::new(CallBudget::new(&self.calls.limits, most))
    }

    /// The answers of one run, of which it may hold `most` open.
    pub fn sessions(&self, most: Option<u32>) -> Sessions {
        Sessions::new(&self.calls.limits, most)
    }
}

/// A task that ends with whoever waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Future for Task<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
