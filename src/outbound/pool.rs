//! Which connections do the guests of one entry share, and what else do their calls need?

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Semaphore;

use crate::net::connect::{ConnectLimits, Connector};
use crate::net::interim::{InterimResponses, MAX_INTERIM};
use crate::outbound::budget::CallLimits;
use crate::outbound::error::Error;
use crate::outbound::policy::Policy;

/// Connections kept for the next call, per scheme, host and port; as many as could be of use to an entry's guests.
const IDLE_PER_HOST: usize = 64;

/// How long they are kept. Servers rarely keep theirs much longer.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long an HTTP/2 connection may be silent before a ping, and then before it is given up.
const PING_AFTER: Duration = Duration::from_secs(10);

/// The connections of one entry, and how HTTP is spoken on them.
pub(super) type ConnectionPool = HyperClient<Connector, CallRequestBody>;

/// The body of a request: all of it, or piece by piece.
pub(super) type CallRequestBody = UnsyncBoxBody<Bytes, Box<dyn StdError + Send + Sync>>;

/// What the calls of one entry have in common.
pub(super) struct CallContext {
    pub policy: Arc<Policy>,
    pub pool: ConnectionPool,
    pub limits: CallLimits,
    /// Bytes of responses that runs of all entries may still hold.
    pub memory: Arc<Semaphore>,
}

impl CallContext {
    /// Sends a request. Returns the response when its head has come.
    pub async fn request(&self, mut request: Request<CallRequestBody>) -> Result<Response<Incoming>, Error> {
        let interim = InterimResponses::count(&mut request);
        match interim.limit(self.pool.request(request)).await {
            Some(response) => response.map_err(Error::from_exchange),
            None => Err(Error::TooManyInterim(MAX_INTERIM)),
        }
    }
}

impl From<&CallLimits> for ConnectLimits {
    fn from(limits: &CallLimits) -> Self {
        Self { resolve: limits.resolve, connect: limits.connect, connections: limits.connections }
    }
}

pub(super) fn pool(connector: Connector, limits: &CallLimits) -> ConnectionPool {
    HyperClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEEP_ALIVE)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .timer(TokioTimer::new())
        // The size of the HTTP/1 buffer limits the length of a head. The library requires at least 8 KiB.
        .http1_max_buf_size(limits.headers.max(8 * 1024))
        .http2_max_header_list_size(u32::try_from(limits.headers).unwrap_or(u32::MAX))
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PING_AFTER)
        .build(connector)
}
