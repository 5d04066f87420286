//! How a service reads what the client uploads: as it comes, but not for ever. Made by `exchange` for each request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;

use crate::idle_timeout::IdleTimeout;
use crate::server::connection::state::ConnectionState;

/// How much of a body that nobody wants is read away to keep its connection, and for how long.
const WORTH_READING: u64 = 256 * 1024;
const LONGEST_READING: Duration = Duration::from_secs(5);

/// The body of a request, as the client sends it.
#[derive(Debug)]
pub struct RequestBody {
    /// Gone only when the body is dropped.
    incoming: Option<Incoming>,
    /// How long the client may keep the reader waiting.
    silence: IdleTimeout,
    /// Told when the body is dropped early; `None` once there is nothing left to read.
    line: Option<Arc<ConnectionState>>,
}

/// Why a request body ended too early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The client sent nothing for too long.
    #[error("the client sent no part of the request body for too long")]
    TimedOut,
    /// The connection ended, or what came over it is not HTTP.
    #[error("the request body is broken off or malformed")]
    Broken(#[source] hyper::Error),
}

impl RequestBody {
    pub(in crate::server) fn new(incoming: Incoming, limit: Duration, line: &Arc<ConnectionState>) -> Self {
        let line = (!incoming.is_end_stream()).then(|| Arc::clone(line));
        Self { incoming: Some(incoming), silence: IdleTimeout::new(limit), line }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) else {
            return self.silence.poll_elapsed(cx).map(|()| Some(Err(BodyError::TimedOut)));
        };
        self.silence.reset();
        if frame.is_none() || self.is_end_stream() {
            self.line = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(line) = self.line.take() else { return };
        let rest = self.size_hint().upper().unwrap_or(WORTH_READING);
        match Handle::try_current() {
            // The next request on the connection comes behind the rest of this one; a client cannot know that nobody
            // wants it (RFC 9112 §9.3).
            Ok(runtime) if rest <= WORTH_READING => drop(runtime.spawn(read_away(self.incoming.take(), line))),
            _ => line.note_unread(),
        }
    }
}

/// Reads what is left of a body, as long as it is little and comes soon.
async fn read_away(incoming: Option<Incoming>, line: Arc<ConnectionState>) {
    let Some(mut incoming) = incoming else { return };
    let mut left = WORTH_READING;
    let reading = async {
        while let Some(Ok(frame)) = incoming.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    if !matches!(tokio::time::timeout(LONGEST_READING, reading).await, Ok(true)) {
        line.note_unread();
    }
}
