//! What is the body of a request to a registry? Bytes, piece by piece, so that their progress can be shown.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::net::progress::Transfer;

/// The bytes of one piece.
const PIECE: usize = 64 << 10;

/// The body of a request; by default empty.
#[derive(Default)]
pub(crate) struct Upload {
    rest: Bytes,
    step: Option<Box<dyn Transfer>>,
}

impl Upload {
    /// A body of `bytes`, whose progress goes to `step`.
    pub fn watched(bytes: Bytes, step: Box<dyn Transfer>) -> Self {
        Self { rest: bytes, step: Some(step) }
    }

    /// The bytes that are left to send.
    pub fn len(&self) -> u64 {
        self.rest.len() as u64
    }
}

impl From<Bytes> for Upload {
    fn from(rest: Bytes) -> Self {
        Self { rest, step: None }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        if let Some(step) = &mut self.step {
            step.advance(length as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}
