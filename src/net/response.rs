//! What does a registry or a bindle server answer, and how long may that take?

use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Frame, Incoming};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::net::error::ClientError;
use crate::net::url::redacted;

/// The slowest speed at which a body may pass on average.
const MIN_BYTES_PER_SECOND: u64 = 16 << 10;

/// How long a server may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::net) struct FetchTimeouts {
    /// For the head of a response, connecting and redirects included; with a body to send, by its size, more.
    pub head: Duration,
    /// For the next piece of a body.
    pub idle: Duration,
    /// For a whole fetch, besides the time for its bytes at the slowest speed.
    pub total: Duration,
}

/// The start of a fetch, which may be several requests: redirects and retries do not give it more time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetch {
    started: Instant,
    /// The bytes that are known to pass.
    size: u64,
}

impl Fetch {
    /// Starts a fetch of something whose size is not known.
    pub fn start() -> Self {
        Self::start_sized(0)
    }

    /// Starts a fetch, or an upload, of `size` bytes.
    pub fn start_sized(size: u64) -> Self {
        Self { started: Instant::now(), size }
    }

    /// How long it may take, after `received` bytes.
    fn limit(&self, received: u64, timeouts: &FetchTimeouts) -> Duration {
        timeouts.total + time_for(self.size.max(received))
    }

    /// How much of that time is left.
    pub(in crate::net) fn time_left(&self, received: u64, timeouts: &FetchTimeouts) -> Duration {
        self.limit(received, timeouts).saturating_sub(self.started.elapsed())
    }
}

/// The time for `bytes` at the slowest speed.
pub(in crate::net) fn time_for(bytes: u64) -> Duration {
    Duration::from_secs(bytes / MIN_BYTES_PER_SECOND)
}

/// The response of a server.
pub(crate) struct FetchResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Where it is from, after all redirects.
    pub url: Url,
    pub(in crate::net) body: FetchBody,
}

/// The body of a response.
pub(in crate::net) struct FetchBody {
    pub incoming: Incoming,
    pub fetch: Fetch,
    pub timeouts: FetchTimeouts,
    pub received: u64,
}

impl FetchResponse {
    /// The next piece of the body; `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let FetchBody { incoming, fetch, timeouts, received } = &mut self.body;
        let url = || redacted(&self.url);
        let left = fetch.time_left(*received, timeouts);
        let too_slow = || ClientError::TooSlow { url: url(), seconds: fetch.limit(*received, timeouts).as_secs() };
        if left.is_zero() {
            return Err(too_slow());
        }
        let next =
            timeout(left.min(timeouts.idle), next_data(incoming)).await.map_err(|_| match left < timeouts.idle {
                true => too_slow(),
                false => ClientError::BodyStalled { url: url(), seconds: timeouts.idle.as_secs() },
            })?;
        let next = next.map_err(|source| ClientError::Body { url: url(), source })?;
        *received = received.saturating_add(next.as_ref().map_or(0, |piece| piece.len() as u64));
        Ok(next)
    }

    /// The whole body, which may have up to `limit` bytes.
    pub async fn bytes(&mut self, limit: u64) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.chunk().await? {
            if (bytes.len() + piece.len()) as u64 > limit {
                return Err(ClientError::TooLarge { url: redacted(&self.url), limit });
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// The body, to be read on a thread that may block. The I/O is done on `runtime`.
    pub fn into_reader(self, runtime: Handle) -> BodyReader {
        BodyReader { response: self, runtime, chunk: Bytes::new() }
    }
}

async fn next_data(body: &mut Incoming) -> hyper::Result<Option<Bytes>> {
    loop {
        match body.frame().await.transpose()?.map(Frame::into_data) {
            None => return Ok(None),
            Some(Ok(piece)) if !piece.is_empty() => return Ok(Some(piece)),
            // Trailers say nothing that matters.
            Some(_) => {}
        }
    }
}

/// The body of a response, read outside of the runtime.
pub(crate) struct BodyReader {
    response: FetchResponse,
    runtime: Handle,
    chunk: Bytes,
}

impl Read for BodyReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.runtime.block_on(self.response.chunk())? {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.chunk.len());
        self.chunk.copy_to_slice(into.get_mut(..length).unwrap_or_default());
        Ok(length)
    }
}
