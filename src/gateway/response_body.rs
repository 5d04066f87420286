//! How does the body of a response reach the client, and what is recorded at its end?
//!
//! A body whose guest has ended is bytes. One whose guest still prints is driven by the connection that sends it: a client
//! that does not read holds its guest back, and one that leaves ends it. A guest that fails after its head is committed
//! can only be reported by cutting the transfer; the response must never look complete.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::cgi::keep_allowed_trailers;
use crate::observe::Record;
use crate::runtime::{Output, Run};

use crate::gateway::failure::Failure;
use crate::gateway::guest_timer::{GuestTimer, TimeUp};

/// The body of a response. Its record goes to the log when the body is dropped.
pub struct ResponseBody {
    content: Content,
    record: Option<Box<Record>>,
}

/// The transfer was cut because the guest failed after its head; the log says how.
#[derive(Debug, thiserror::Error)]
#[error("the response was aborted")]
pub struct ResponseAborted;

enum Content {
    Full(Bytes),
    FullWithTrailers(Bytes, Option<HeaderMap>),
    Streaming(Box<StreamingBody>),
}

/// A body that a guest is still printing.
pub(super) struct StreamingBody {
    printed: Bytes,
    /// How much of a body of announced length is still to come.
    remaining: Option<u64>,
    run: Option<Run>,
    time_between_outputs: Duration,
    silence: GuestTimer,
}

type PolledFrame = Poll<Option<Result<Frame<Bytes>, Failure>>>;

impl StreamingBody {
    /// A body that begins with `printed` and is continued by `run`, which may be silent for `time_between_outputs`.
    pub fn new(printed: Bytes, run: Run, time_between_outputs: Duration) -> Self {
        let silence = GuestTimer::new(time_between_outputs);
        Self { printed, remaining: None, run: Some(run), time_between_outputs, silence }
    }

    /// The same body, which fails if it has another length than this.
    pub fn with_length(self, length: Option<u64>) -> Self {
        Self { remaining: length, ..self }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        if !self.printed.is_empty() {
            let printed = std::mem::take(&mut self.printed);
            return Poll::Ready(Some(self.data(printed)));
        }
        let Some(run) = &mut self.run else { return Poll::Ready(None) };
        match run.poll_output(cx) {
            Poll::Ready(Output::Bytes(bytes)) => {
                self.silence.reset();
                Poll::Ready(Some(self.data(bytes)))
            }
            Poll::Ready(Output::Trailers(trailers)) => {
                let trailers = self.check_end().map(|()| Frame::trailers(allowed(trailers)));
                Poll::Ready(Some(trailers))
            }
            Poll::Ready(Output::Ended(ending)) => {
                let failure = Failure::from_ending(ending).or_else(|| self.check_end().err());
                Poll::Ready(failure.map(Err))
            }
            Poll::Ready(Output::Complete) => Poll::Ready(self.check_end().err().map(Err)),
            Poll::Ready(Output::Head(_)) => Poll::Ready(Some(Err(Failure::SecondHead))),
            Poll::Pending => Poll::Ready(Some(Err(match ready!(self.silence.poll(run, cx)) {
                TimeUp::Guest => Failure::OutputTimeout(self.time_between_outputs),
                TimeUp::Client => Failure::BodyTimeout,
            }))),
        }
    }

    /// A frame of data, which must not exceed the announced length.
    fn data(&mut self, bytes: Bytes) -> Result<Frame<Bytes>, Failure> {
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.checked_sub(bytes.len() as u64).ok_or(Failure::WrongLength)?;
        }
        Ok(Frame::data(bytes))
    }

    /// Fails if the body ends before the announced length.
    fn check_end(&self) -> Result<(), Failure> {
        if self.remaining.is_some_and(|remaining| remaining > 0) { Err(Failure::WrongLength) } else { Ok(()) }
    }
}

fn allowed(mut trailers: HeaderMap) -> HeaderMap {
    keep_allowed_trailers(&mut trailers);
    trailers
}

impl ResponseBody {
    /// A body that is complete.
    pub(super) fn full(bytes: Bytes, trailers: Option<HeaderMap>, record: Box<Record>) -> Self {
        let content = match trailers {
            None => Content::Full(bytes),
            Some(trailers) => Content::FullWithTrailers(bytes, Some(allowed(trailers))),
        };
        Self { content, record: Some(record) }
    }

    /// A body that a guest is still printing.
    pub(super) fn streaming(body: StreamingBody, record: Box<Record>) -> Self {
        Self { content: Content::Streaming(Box::new(body)), record: Some(record) }
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        match &mut self.content {
            Content::Full(bytes) | Content::FullWithTrailers(bytes, _) if !bytes.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Content::Full(_) => Poll::Ready(None),
            Content::FullWithTrailers(_, trailers) => Poll::Ready(trailers.take().map(Frame::trailers).map(Ok)),
            Content::Streaming(body) => {
                let polled = ready!(body.poll(cx));
                // Nothing comes after trailers, and hyper does not poll again once it has got them.
                let is_end = !matches!(&polled, Some(Ok(frame)) if frame.is_data());
                let time_between_outputs = body.time_between_outputs;
                if let Some(run) = body.run.take_if(|_| is_end) {
                    let failure = polled.as_ref().and_then(|polled| polled.as_ref().err());
                    self.record_end(&run, failure);
                    // A guest may run on after a complete response; there is nothing left of one that has ended.
                    if failure.is_none() {
                        run.detach(time_between_outputs);
                    }
                }
                Poll::Ready(polled)
            }
        }
    }

    fn record_end(&mut self, run: &Run, failure: Option<&Failure>) {
        let Some(record) = &mut self.record else { return };
        record.cpu_time = run.cpu_time();
        record.end = failure.map_or("ok", Failure::end);
        record.reason = failure.map(|failure| format!("cut after the head: {failure}"));
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseAborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseAborted>>> {
        let this = &mut *self;
        let polled = ready!(this.poll_content(cx));
        if let (Some(record), Some(Ok(frame))) = (&mut this.record, &polled)
            && let Some(bytes) = frame.data_ref()
        {
            record.bytes += bytes.len() as u64;
        }
        Poll::Ready(polled.map(|frame| frame.map_err(|_| ResponseAborted)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Full(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            // HTTP/1.1 has trailers only after a body that was not announced with its length (RFC 9112 §7.1.2).
            Content::FullWithTrailers(..) => SizeHint::default(),
            Content::Streaming(body) => body.remaining.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Content::Streaming(body) = &mut self.content
            && let Some(run) = body.run.take()
            && let Some(record) = &mut self.record
        {
            record.cpu_time = run.cpu_time();
            record.end = "client-gone";
            record.reason = Some("the client left, or stopped reading, before the guest was done".into());
        }
    }
}
