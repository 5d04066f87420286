//! When is the head of a response committed, and what happens until then?
//!
//! A guest is polled until its head is complete. If it ends soon after that, its whole output is known. Then the response is
//! sent in one piece, with its length; if the guest failed, the client gets an error status, whatever the guest has printed.
//! If the guest does not end soon, the head is committed, and the rest follows as the guest prints it. A component of
//! `wasi:http` hands over its head as a value, and may go on when its response is complete. Everything else is the same.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::HeaderMap;
use tokio::time::Sleep;

use crate::cgi::{HeadError, HeadReader, ResponseHead};
use crate::config::Limits;
use crate::content::status::has_no_content;
use crate::runtime::{Output, Run, STDOUT_CAPACITY};

use crate::gateway::admission::cancellation::Cancellation;
use crate::gateway::failure::Failure;
use crate::gateway::guest_timer::{GuestTimer, TimeUp};
use crate::gateway::printed_body::PrintedBody;

/// How long a complete head is held back for the end of its guest. The client does not notice it, and most guests end in this
/// time, even if they read a small file.
const HOLD_BACK: Duration = Duration::from_millis(10);

/// A response whose head can be sent.
pub(super) struct StartedResponse {
    pub head: ResponseHead,
    /// The body as far as the guest has printed it.
    pub printed: Bytes,
    pub guest: GuestState,
}

/// What the guest does once the head of its response is sent. Boxed is what most responses do not have, and would have to carry.
pub(super) enum GuestState {
    /// It has ended. The response is complete.
    Ended { trailers: Option<Box<HeaderMap>> },
    /// It runs on although its response is complete.
    RunsOn { run: Box<Run>, trailers: Option<Box<HeaderMap>> },
    /// It prints the rest of the body.
    Streams(Box<Run>),
    /// It is stopped before its end, because its body is not sent.
    Stopped,
}

/// Whether the body will be sent. For HEAD, 204 and 304 it is not, and the guest runs to its end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyUse {
    Sent,
    Discarded,
}

/// Drives a guest until the head of its response can be sent.
pub(super) struct ResponseStart<'a> {
    run: &'a mut Option<Run>,
    head_limit: usize,
    time_to_head: Duration,
    /// Looks for the end of the head, until it is found.
    reader: Option<HeadReader>,
    head: Option<ResponseHead>,
    body: PrintedBody,
    trailers: Option<Box<HeaderMap>>,
    body_use: BodyUse,
    timer: GuestTimer,
    /// Ends the time for which a complete head is held back.
    held_back: Option<Pin<Box<Sleep>>>,
    cancellation: Cancellation<'a>,
}

impl<'a> ResponseStart<'a> {
    /// Takes `run` out of its option if it goes on after the head. Otherwise the run stays there.
    pub fn new(run: &'a mut Option<Run>, limits: &Limits, body_use: BodyUse, cancellation: Cancellation<'a>) -> Self {
        Self {
            run,
            head_limit: limits.response_head,
            time_to_head: limits.time_to_head,
            reader: Some(HeadReader::new(limits.response_head)),
            head: None,
            body: PrintedBody::default(),
            trailers: None,
            body_use,
            timer: GuestTimer::new(limits.time_to_head),
            held_back: None,
            cancellation,
        }
    }

    /// Takes the next output of the guest. Returns the response if it can be sent.
    fn on_output(&mut self, output: Output) -> Result<Option<StartedResponse>, Failure> {
        match output {
            Output::Head(head) => {
                self.reader = None;
                self.set_head(ResponseHead::from_http(head.status, head.headers, self.head_limit)?);
            }
            Output::Bytes(bytes) => {
                self.on_bytes(bytes)?;
                if self.body.kept >= STDOUT_CAPACITY {
                    return Ok(self.commit());
                }
            }
            Output::Trailers(trailers) => self.trailers = Some(Box::new(trailers)),
            Output::Complete => {
                let (head, printed, trailers) = (self.complete_head()?, self.body.take(), self.trailers.take());
                let guest = match self.run.take() {
                    Some(run) => GuestState::RunsOn { run: Box::new(run), trailers },
                    None => GuestState::Ended { trailers },
                };
                return Ok(Some(StartedResponse { head, printed, guest }));
            }
            Output::Ended(ending) => match Failure::from_ending(ending) {
                None => return self.complete().map(Some),
                Some(failure) => return Err(failure),
            },
        }
        Ok(None)
    }

    fn on_bytes(&mut self, mut bytes: Bytes) -> Result<(), Failure> {
        let Some(reader) = &mut self.reader else {
            self.add_to_body(bytes);
            return Ok(());
        };
        let end = reader.read(&bytes);
        if (end.is_err() || reader.is_invalid())
            && let Some(run) = &self.run
        {
            run.note_bad_head(reader.printed(&bytes));
        }
        if let Some(body_start) = end? {
            self.finish_head()?;
            bytes.advance(body_start.min(bytes.len()));
            self.add_to_body(bytes);
        }
        Ok(())
    }

    fn finish_head(&mut self) -> Result<(), Failure> {
        let Some(reader) = self.reader.take() else { return Ok(()) };
        self.set_head(reader.finish()?);
        Ok(())
    }

    fn set_head(&mut self, head: ResponseHead) {
        if has_no_content(head.status) {
            self.body_use = BodyUse::Discarded;
        }
        self.head = Some(head);
    }

    fn add_to_body(&mut self, bytes: Bytes) {
        match self.body_use {
            BodyUse::Sent => self.body.push(bytes),
            BodyUse::Discarded => {
                self.body.count(&bytes);
                // This thread would be busy for as long as the guest prints if it took output that is not sent.
                self.run.as_ref().inspect(|run| run.discard_output());
            }
        }
    }

    /// The response of a guest that has ended.
    fn complete(&mut self) -> Result<StartedResponse, Failure> {
        let head = self.complete_head()?;
        let guest = GuestState::Ended { trailers: self.trailers.take() };
        Ok(StartedResponse { head, printed: self.body.take(), guest })
    }

    /// The head of a complete response, whose length is counted. For a response without its body, a length that the guest
    /// claims counts for more: only the guest can know the length of a body that it did not print.
    fn complete_head(&mut self) -> Result<ResponseHead, Failure> {
        // This is an error if the output has no blank line.
        if let (Some(reader), Some(run)) = (&self.reader, &self.run) {
            run.note_bad_head(reader.printed(&[]));
        }
        self.finish_head()?;
        let mut head = self.head.take().ok_or(HeadError::NoBlankLine)?;
        let length = self.body.length + self.run.as_ref().map_or(0, Run::discarded);
        match (self.body_use, head.content_length) {
            (BodyUse::Discarded, None) if length > 0 => head.content_length = Some(length),
            (BodyUse::Sent, Some(claimed)) if claimed != length => head.drop_wrong_length(),
            _ => {}
        }
        Ok(head)
    }

    /// The response as far as it is known, with the guest still running; `None` without a head.
    fn commit(&mut self) -> Option<StartedResponse> {
        let head = self.head.take()?;
        let guest = match self.body_use {
            BodyUse::Discarded => GuestState::Stopped,
            BodyUse::Sent => GuestState::Streams(Box::new(self.run.take()?)),
        };
        Some(StartedResponse { head, printed: self.body.take(), guest })
    }

    /// Ready when the response no longer waits for output: with the response as far as it is known, or with the failure. The head
    /// of a guest that has trapped is held back until its end is known.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Result<StartedResponse, Failure>> {
        let is_failing = self.run.as_ref().is_some_and(Run::is_failing);
        let failure = if self.head.is_some() && self.body_use == BodyUse::Sent && !is_failing {
            let timer = self.held_back.get_or_insert_with(|| Box::pin(tokio::time::sleep(HOLD_BACK)));
            ready!(timer.as_mut().poll(cx));
            Failure::HeadTimeout(self.time_to_head)
        } else {
            let Some(run) = self.run.as_ref() else { return Poll::Pending };
            match ready!(self.timer.poll(run, cx)) {
                TimeUp::Guest => Failure::HeadTimeout(self.time_to_head),
                TimeUp::Client => return Poll::Ready(Err(Failure::BodyTimeout)),
            }
        };
        Poll::Ready(if is_failing { Err(failure) } else { self.commit().ok_or(failure) })
    }
}

impl Future for ResponseStart<'_> {
    type Output = Result<StartedResponse, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let Some(run) = this.run.as_mut() else { return Poll::Ready(this.complete()) };
            let polled = run.poll_output(cx);
            // A request whose body failed gets an error status, even if the guest has printed a response.
            if let Some(failure) = run.take_input_failure() {
                return Poll::Ready(Err(Failure::from_body_error(&failure)));
            }
            match polled {
                Poll::Ready(output) => {
                    if let Some(started) = this.on_output(output)? {
                        return Poll::Ready(Ok(started));
                    }
                }
                Poll::Pending => {
                    if this.cancellation.poll(cx, || this.run.as_ref().map(Run::view)).is_ready() {
                        return Poll::Ready(Err(Failure::Cancelled));
                    }
                    return this.poll_timer(cx);
                }
            }
        }
    }
}
