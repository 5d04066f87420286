//! How a service reads what the client uploads: as it comes, but not for ever. Made by `exchange` for each request.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::line::Line;

/// The body of a request, as the client sends it.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    limit: Duration,
    /// Made when the client first keeps the reader waiting.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    /// Told when the body is dropped early; `None` once there is nothing left to read.
    line: Option<Arc<Line>>,
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
    pub(super) fn new(incoming: Incoming, limit: Duration, line: &Arc<Line>) -> Self {
        let line = (!incoming.is_end_stream()).then(|| Arc::clone(line));
        Self { incoming, limit, timer: None, waiting: false, line }
    }

    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = match &mut self.timer {
            Some(timer) => {
                if !self.waiting {
                    timer.as_mut().reset(Instant::now() + self.limit);
                }
                timer
            }
            empty => empty.insert(Box::pin(tokio::time::sleep(self.limit))),
        };
        self.waiting = true;
        timer.as_mut().poll(cx)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            return self.poll_late(cx).map(|()| Some(Err(BodyError::TimedOut)));
        };
        self.waiting = false;
        if frame.is_none() || self.incoming.is_end_stream() {
            self.line = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.note_unread();
        }
    }
}
