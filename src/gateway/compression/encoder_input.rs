//! How does a body reach its encoder?
//!
//! The encoder of tower-http reads until its source is pending, and flushes then. It drops what it has not flushed when its
//! source fails, as does the connection. So a source is pending before it fails, and once in a while if there is no end of what it has: then
//! neither the encoder nor its thread is busy for long with a body that gets very short.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

/// The most that is encoded at once: about a millisecond of work.
const MAX_PIECE: usize = 64 << 10;
/// How much is encoded without a pause, which costs a few bytes.
const MAX_TAKEN: usize = 256 << 10;

/// A body for an encoder.
pub(in crate::gateway) struct EncoderInput<B: Body> {
    body: B,
    piece: Bytes,
    taken: usize,
    failure: Option<Deferred<B::Error>>,
}

/// A failure that is told after some pauses.
struct Deferred<E> {
    failure: E,
    pauses: u8,
}

impl<B: Body> EncoderInput<B> {
    /// The same body, in pieces.
    pub fn new(body: B) -> Self {
        Self { body, piece: Bytes::new(), taken: 0, failure: None }
    }

    /// The body itself.
    pub fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// Is pending once, so that the encoder flushes.
    fn pause<T>(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        self.taken = 0;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<B: Body<Data = Bytes, Error: Unpin> + Unpin> Body for EncoderInput<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        if let Some(deferred) = this.failure.as_mut().filter(|deferred| deferred.pauses > 0) {
            deferred.pauses -= 1;
            return this.pause(cx);
        }
        if let Some(Deferred { failure, .. }) = this.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        if this.taken >= MAX_TAKEN {
            return this.pause(cx);
        }
        while this.piece.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => this.piece = bytes,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(failure)) => {
                    // In the first pause the encoder flushes, in the second the connection.
                    this.failure = Some(Deferred { failure, pauses: 1 });
                    return this.pause(cx);
                }
            }
        }
        let piece = this.piece.split_to(this.piece.len().min(MAX_PIECE));
        this.taken += piece.len();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}
