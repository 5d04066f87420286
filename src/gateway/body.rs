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
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::observe::Record;
use crate::wasm::{Output, Run};

use super::failure::Failure;

/// The body of an answer. Its record goes to the log when the body is dropped.
pub struct AnswerBody {
    content: Content,
    record: Option<Box<Record>>,
}

/// The transfer was cut because the guest failed behind its head; the log says how.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
pub struct BrokenOff;

enum Content {
    Known(Bytes),
    Running(Box<Running>),
}

struct Running {
    printed: Bytes,
    run: Option<Run>,
    longest_pause: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl AnswerBody {
    pub(super) fn known(bytes: Bytes, record: Box<Record>) -> Self {
        Self { content: Content::Known(bytes), record: Some(record) }
    }

    pub(super) fn running(printed: Bytes, run: Run, longest_pause: Duration, record: Box<Record>) -> Self {
        let running = Running { printed, run: Some(run), longest_pause, timer: None, waiting: false };
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

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        if !self.printed.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.printed))));
        }
        let Some(run) = &mut self.run else { return Poll::Ready(None) };
        match run.poll_output(cx) {
            Poll::Ready(Output::Bytes(bytes)) => {
                self.waiting = false;
                Poll::Ready(Some(Ok(bytes)))
            }
            Poll::Ready(Output::Ended(ending)) => Poll::Ready(Failure::of(ending).map(Err)),
            Poll::Pending => {
                std::task::ready!(self.poll_late(cx));
                Poll::Ready(Some(Err(Failure::OutputLate(self.longest_pause))))
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = &mut *self;
        let polled = match &mut this.content {
            Content::Known(bytes) if bytes.is_empty() => None,
            Content::Known(bytes) => Some(Ok(std::mem::take(bytes))),
            Content::Running(running) => {
                let polled = std::task::ready!(running.poll(cx));
                if !matches!(polled, Some(Ok(_)))
                    && let Some(run) = running.run.take()
                {
                    this.note_end(&run, polled.as_ref().and_then(|polled| polled.as_ref().err()));
                }
                polled
            }
        };
        Poll::Ready(match polled {
            None => None,
            Some(Err(_)) => Some(Err(BrokenOff)),
            Some(Ok(bytes)) => {
                if let Some(record) = &mut this.record {
                    record.bytes += bytes.len() as u64;
                }
                Some(Ok(Frame::data(bytes)))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Known(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Known(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Running(_) => SizeHint::default(),
        }
    }
}

impl AnswerBody {
    fn note_end(&mut self, run: &Run, failure: Option<&Failure>) {
        let Some(record) = &mut self.record else { return };
        record.cpu_time = run.cpu_time();
        record.ending = failure.map_or("ok", Failure::ending);
        record.reason = failure.map(|failure| format!("cut after the head: {failure}"));
    }
}

impl Drop for AnswerBody {
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
