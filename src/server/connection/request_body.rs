//! How does a service read the body of a request? As the client sends it, with a timeout. `ConnectionService` makes a
//! [`RequestBody`] for each request.

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
use crate::server::connection::expectation::{Expectation, UNANSWERED_LIMIT};
use crate::server::connection::state::ConnectionState;

/// How much of an unread body is discarded to keep its connection open, and how long that may take.
const MAX_DISCARD: u64 = 256 * 1024;
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// The body of a request, as the client sends it.
#[derive(Debug)]
pub struct RequestBody {
    /// `None` while the client waits for 100 (Continue), and when the body is being dropped.
    incoming: Option<Incoming>,
    /// If the client waits for 100 (Continue), the body is here until it is read.
    expectation: Option<Arc<Expectation>>,
    /// How long the client may keep the reader waiting.
    timeout: IdleTimeout,
    /// The timeout after the first frame, if the client waits for a 100 that cannot be sent.
    timeout_after_silence: Option<Duration>,
    /// Where it is recorded that the body is dropped before its end; `None` when there is nothing left to read.
    state: Option<Arc<ConnectionState>>,
}

/// Why a request body ended too early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The client sent nothing for too long.
    #[error("the client sent no part of the request body for too long")]
    TimedOut,
    /// The client waits for 100 (Continue), which cannot be sent over HTTP/2.
    #[error("the client waits for 100 (Continue), which is not sent over HTTP/2")]
    ContinueNotSent,
    /// The connection ended, or what came over it is not HTTP.
    #[error("the request body is broken off or malformed")]
    Broken(#[source] hyper::Error),
}

impl RequestBody {
    pub(in crate::server) fn new(incoming: Incoming, limit: Duration, state: &Arc<ConnectionState>) -> Self {
        let state = (!incoming.is_end_stream()).then(|| Arc::clone(state));
        let timeout = IdleTimeout::new(limit);
        Self { incoming: Some(incoming), expectation: None, timeout, timeout_after_silence: None, state }
    }

    /// The body of a request over HTTP/1 whose client waits for 100 (Continue).
    pub(in crate::server) fn expect(&mut self) -> Option<Arc<Expectation>> {
        self.expectation = self.incoming.take().map(|incoming| Arc::new(Expectation::new(incoming)));
        self.expectation.clone()
    }

    /// The body of a request over HTTP/2 whose client waits for 100 (Continue), which wagi cannot send. So the client may be silent
    /// without a fault of its own.
    pub(in crate::server) fn expect_in_vain(&mut self, limit: Duration) {
        self.timeout = IdleTimeout::new(UNANSWERED_LIMIT.min(limit));
        self.timeout_after_silence = Some(limit);
    }

    /// The next frame, without any timeout.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(unread) = self.expectation.take().and_then(|expectation| expectation.take()) {
            self.incoming = Some(unread.incoming);
            if let Some(frame) = unread.first {
                return Poll::Ready(frame);
            }
        }
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        Pin::new(incoming).poll_frame(cx)
    }

    fn timed_out(&self) -> BodyError {
        match self.timeout_after_silence {
            Some(_) => BodyError::ContinueNotSent,
            None => BodyError::TimedOut,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = self.poll_incoming(cx) else {
            return self.timeout.poll_elapsed(cx).map(|()| Some(Err(self.timed_out())));
        };
        self.timeout.reset();
        if let Some(limit) = self.timeout_after_silence.take() {
            self.timeout = IdleTimeout::new(limit);
        }
        if frame.is_none() || self.is_end_stream() {
            self.state = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)))
    }

    fn is_end_stream(&self) -> bool {
        // A client that waits for 100 (Continue) has something to send.
        self.expectation.is_none() && self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.incoming, &self.expectation) {
            (Some(incoming), _) => incoming.size_hint(),
            (None, Some(expectation)) => expectation.size_hint(),
            (None, None) => SizeHint::with_exact(0),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(state) = self.state.take() else { return };
        if let Some(unread) = self.expectation.take().and_then(|expectation| expectation.take()) {
            self.incoming = Some(unread.incoming);
        }
        let rest = self.size_hint().upper().unwrap_or(MAX_DISCARD);
        match Handle::try_current() {
            // The next request on the connection comes behind the rest of this one, which the client still sends
            // (RFC 9112 §9.3).
            Ok(runtime) if rest <= MAX_DISCARD => drop(runtime.spawn(discard(self.incoming.take(), state))),
            _ => state.record_unread_body(),
        }
    }
}

/// Reads and discards the rest of a body, within the limits on its length and its time.
async fn discard(incoming: Option<Incoming>, state: Arc<ConnectionState>) {
    let Some(mut incoming) = incoming else { return };
    let mut left = MAX_DISCARD;
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
    if !matches!(tokio::time::timeout(DISCARD_TIMEOUT, reading).await, Ok(true)) {
        state.record_unread_body();
    }
}
