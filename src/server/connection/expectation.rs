//! The body of a request whose client waits for 100 (Continue) before it sends it (RFC 9110 §10.1.1).
//!
//! The HTTP/1 library sends the 100 when the body is first read, but not after the head of the response. So if the head comes
//! first and the guest may still read, the body is polled once, just before the head is sent. The HTTP/2 library cannot send a
//! 100.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{EXPECT, HeaderMap};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// How long a client may wait for a 100 that cannot be sent. Most send their body after one to three seconds anyway.
pub(in crate::server) const UNANSWERED_LIMIT: Duration = Duration::from_secs(5);

/// Whether the client waits for 100 (Continue), as the HTTP library reads the field.
pub(in crate::server) fn awaits_continue(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

type BodyFrame = Option<Result<Frame<Bytes>, hyper::Error>>;

/// A body that was not read yet, shared by its reader and the future of the response.
#[derive(Debug)]
pub(in crate::server) struct Expectation(Mutex<Option<UnreadBody>>);

#[derive(Debug)]
pub(in crate::server) struct UnreadBody {
    pub(in crate::server) incoming: Incoming,
    /// What came when the body was polled for the 100.
    pub(in crate::server) first: Option<BodyFrame>,
}

impl Expectation {
    pub(in crate::server) fn new(incoming: Incoming) -> Self {
        Self(Mutex::new(Some(UnreadBody { incoming, first: None })))
    }

    /// The length of the body, as far as it is known.
    pub(in crate::server) fn size_hint(&self) -> SizeHint {
        let unread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unread.as_ref().map_or_else(|| SizeHint::with_exact(0), |unread| unread.incoming.size_hint())
    }

    /// Takes the body out to read or drop it.
    pub(in crate::server) fn take(&self) -> Option<UnreadBody> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Makes the HTTP/1 library send 100 (Continue) when it is polled next. Returns `false` if it will not, because the body was
    /// read or dropped.
    pub(in crate::server) fn ask(&self, cx: &mut Context<'_>) -> bool {
        let mut unread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(unread) = unread.as_mut() else { return false };
        if let Poll::Ready(frame) = Pin::new(&mut unread.incoming).poll_frame(cx) {
            unread.first = Some(frame);
        }
        true
    }
}
