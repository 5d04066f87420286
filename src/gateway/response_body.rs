//! How does the body of an answer reach the client, and what is noted when it is over?
//!
//! A body whose guest is done is bytes. One whose guest goes on is driven by whoever sends it: a client that does not read
//! holds its guest back, and one that leaves ends it. A guest that fails behind a committed head can only be reported by
//! cutting the transfer; the answer must never look complete.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::cgi::keep_allowed_trailers;
use crate::observe::Record;
use crate::runtime::{Output, Run};

use crate::gateway::failure::Failure;

/// The body of an answer. Its record goes to the log when the body is dropped.
pub struct ResponseBody {
    content: Content,
    record: Option<Box<Record>>,
}

/// The transfer was cut because the guest failed behind its head; the log says how.
#[derive(Debug, thiserror::Error)]
#[error("the response was aborted")]
pub struct ResponseAborted;

enum Content {
    Known(Bytes),
    /// Known as well, with trailers behind it.
    Ending(Bytes, Option<HeaderMap>),
    Running(Box<Running>),
}

/// A guest that goes on with its answer.
pub(super) struct Rest {
    /// What of the body is there already.
    pub printed: Bytes,
    /// How long the whole body will be, if the guest has said so in a way that holds.
    pub length: Option<u64>,
    /// The guest.
    pub run: Run,
    /// How long it may be silent.
    pub longest_pause: Duration,
}

struct Running {
    printed: Bytes,
    /// How much of a body is still to come whose length was announced.
    left: Option<u64>,
    run: Option<Run>,
    longest_pause: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl ResponseBody {
    pub(super) fn known(bytes: Bytes, record: Box<Record>) -> Self {
        Self { content: Content::Known(bytes), record: Some(record) }
    }

    /// The same body with trailers behind it, if there are any.
    pub(super) fn with_trailers(mut self, trailers: Option<HeaderMap>) -> Self {
        if let (Content::Known(bytes), Some(trailers)) = (&mut self.content, trailers) {
            self.content = Content::Ending(std::mem::take(bytes), Some(allowed(trailers)));
        }
        self
    }

    pub(super) fn running(rest: Rest, record: Box<Record>) -> Self {
        let Rest { printed, length: left, run, longest_pause } = rest;
        let running = Running { printed, left, run: Some(run), longest_pause, timer: None, waiting: false };
        Self { content: Content::Running(Box::new(running)), record: Some(record) }
    }
}

impl Running {
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let longest_pause = self.longest_pause;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(longest_pause)));
        let client_is_slow = self.run.as_ref().is_some_and(Run::waits_for_input);
        if !std::mem::replace(&mut self.waiting, true) || client_is_slow {
            timer.as_mut().reset(Instant::now() + longest_pause);
        }
        timer.as_mut().poll(cx)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if !self.printed.is_empty() {
            let printed = std::mem::take(&mut self.printed);
            return Poll::Ready(Some(self.within_length(printed)));
        }
        let Some(run) = &mut self.run else { return Poll::Ready(None) };
        match run.poll_output(cx) {
            Poll::Ready(Output::Bytes(bytes)) => {
                self.waiting = false;
                Poll::Ready(Some(self.within_length(bytes)))
            }
            Poll::Ready(Output::Trailers(trailers)) => Poll::Ready(Some(match self.ended(None) {
                Some(failure) => Err(failure),
                None => Ok(Frame::trailers(allowed(trailers))),
            })),
            Poll::Ready(Output::Ended(ending)) => Poll::Ready(self.ended(Failure::of(ending)).map(Err)),
            Poll::Ready(Output::Complete) => Poll::Ready(self.ended(None).map(Err)),
            // A second head cannot be sent.
            Poll::Ready(Output::Head(_)) => Poll::Ready(self.ended(Some(Failure::TwoHeads)).map(Err)),
            Poll::Pending => {
                std::task::ready!(self.poll_late(cx));
                Poll::Ready(Some(Err(Failure::OutputLate(self.longest_pause))))
            }
        }
    }

    /// A body that was announced to have a length is no longer than that ...
    fn within_length(&mut self, bytes: Bytes) -> Result<Frame<Bytes>, Failure> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(bytes.len() as u64).ok_or(Failure::WrongLength)?;
        }
        Ok(Frame::data(bytes))
    }

    /// ... and no shorter.
    fn ended(&self, failure: Option<Failure>) -> Option<Failure> {
        failure.or_else(|| self.left.is_some_and(|left| left > 0).then_some(Failure::WrongLength))
    }
}

fn allowed(mut trailers: HeaderMap) -> HeaderMap {
    keep_allowed_trailers(&mut trailers);
    trailers
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseAborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseAborted>>> {
        let this = &mut *self;
        let polled = match &mut this.content {
            Content::Known(bytes) | Content::Ending(bytes, _) if !bytes.is_empty() => {
                Some(Ok(Frame::data(std::mem::take(bytes))))
            }
            Content::Known(_) => None,
            Content::Ending(_, trailers) => trailers.take().map(|trailers| Ok(Frame::trailers(trailers))),
            Content::Running(running) => {
                let polled = std::task::ready!(running.poll(cx));
                // Nothing comes behind trailers, and who has got them does not ask again.
                let is_over = !matches!(&polled, Some(Ok(frame)) if frame.is_data());
                let longest_pause = running.longest_pause;
                if let Some(run) = running.run.take_if(|_| is_over) {
                    let failure = polled.as_ref().and_then(|polled| polled.as_ref().err());
                    this.note_end(&run, failure);
                    // A guest that goes on behind a complete answer may; there is nothing left of one that has ended.
                    if failure.is_none() {
                        run.detach(longest_pause);
                    }
                }
                polled
            }
        };
        Poll::Ready(match polled {
            None => None,
            Some(Err(_)) => Some(Err(ResponseAborted)),
            Some(Ok(frame)) => {
                if let (Some(record), Some(bytes)) = (&mut this.record, frame.data_ref()) {
                    record.bytes += bytes.len() as u64;
                }
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Known(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Known(bytes) => SizeHint::with_exact(bytes.len() as u64),
            // HTTP/1.1 has trailers only behind a body that was not announced with its length (RFC 9112 §7.1.2).
            Content::Ending(..) => SizeHint::default(),
            Content::Running(running) => running.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl ResponseBody {
    fn note_end(&mut self, run: &Run, failure: Option<&Failure>) {
        let Some(record) = &mut self.record else { return };
        record.cpu_time = run.cpu_time();
        record.ending = failure.map_or("ok", Failure::ending);
        record.reason = failure.map(|failure| format!("cut after the head: {failure}"));
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Content::Running(running) = &mut self.content
            && let Some(run) = running.run.take()
            && let Some(record) = &mut self.record
        {
            record.cpu_time = run.cpu_time();
            record.ending = "client-gone";
            record.reason = Some("the client left, or stopped reading, before the guest was done".into());
        }
    }
}
