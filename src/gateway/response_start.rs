//! When is an answer committed, and what becomes of it until then?
//!
//! A guest is driven until its head is complete. If it ends soon after, its whole output is known: the answer goes out in
//! one piece, with its length, and a guest that failed gets an error status however much it had printed. Otherwise the
//! head is committed, and the rest follows as the guest prints it. A component that is asked over HTTP says its head at
//! once and may go on when its answer is complete; the rest is the same.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use tokio::time::{Instant, Sleep};

use crate::cgi::{HeadError, HeadReader, ResponseHead};
use crate::runtime::{Output, PIPE_CAPACITY, Run};

use crate::gateway::failure::Failure;

/// How long a complete head waits for the end of its guest: too short to be noticed, long enough for most guests that do
/// a little more than print, such as reading a small file.
const HOLD_BACK: Duration = Duration::from_millis(10);

/// An answer that can be sent.
pub(super) struct Opened {
    pub head: ResponseHead,
    /// The body as far as it has been printed.
    pub body: Bytes,
    /// What comes behind the body.
    pub trailers: Option<HeaderMap>,
    /// The guest, if its answer is not complete yet and the body is wanted.
    pub more: Option<Run>,
    /// The guest, if its answer is complete and it goes on.
    pub goes_on: Option<Run>,
    /// Whether the guest was stopped because nobody waits for what it still has to print.
    pub stopped: bool,
}

/// Whether the body will be sent. For HEAD, 204 and 304 it is not, and the guest is let run to its end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyUse {
    Sent,
    Discarded,
}

/// Drives a guest until its answer can be sent.
pub(super) struct Opening<'a> {
    run: &'a mut Option<Run>,
    longest_head: usize,
    /// What looks for the end of the head, until it is found.
    reader: Option<HeadReader>,
    head: Option<ResponseHead>,
    body: Pieces,
    trailers: Option<HeaderMap>,
    body_use: BodyUse,
    time_to_head: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    held_back: bool,
}

impl<'a> Opening<'a> {
    /// The run is taken out when it goes on behind the head, and left otherwise.
    pub fn new(run: &'a mut Option<Run>, longest_head: usize, time_to_head: Duration, body_use: BodyUse) -> Self {
        Self {
            run,
            longest_head,
            reader: Some(HeadReader::new(longest_head)),
            head: None,
            body: Pieces::default(),
            trailers: None,
            body_use,
            time_to_head,
            timer: None,
            held_back: false,
        }
    }

    fn take(&mut self, mut bytes: Bytes) -> Result<(), Failure> {
        let Some(reader) = &mut self.reader else {
            self.add_to_body(bytes);
            return Ok(());
        };
        if let Some(body_start) = reader.read(&bytes)? {
            self.read_head()?;
            bytes.advance(body_start.min(bytes.len()));
            self.add_to_body(bytes);
        }
        Ok(())
    }

    fn read_head(&mut self) -> Result<(), Failure> {
        let Some(reader) = self.reader.take() else { return Ok(()) };
        self.begin(reader.finish()?);
        Ok(())
    }

    /// Takes the head of a component, which needs no looking for.
    fn take_head(&mut self, head: http::response::Parts) -> Result<(), Failure> {
        self.reader = None;
        self.begin(ResponseHead::of_http(head.status, head.headers, self.longest_head)?);
        Ok(())
    }

    fn begin(&mut self, head: ResponseHead) {
        if has_no_body(&head) {
            self.body_use = BodyUse::Discarded;
        }
        self.head = Some(head);
    }

    fn add_to_body(&mut self, bytes: Bytes) {
        match self.body_use {
            BodyUse::Sent => self.body.push(bytes),
            BodyUse::Discarded => {
                self.body.count(&bytes);
                // Taking output nobody wants would keep this thread busy at the guest's pace.
                self.run.as_ref().inspect(|run| run.discard_output());
            }
        }
    }

    /// The answer of a guest that is done.
    fn finished(&mut self) -> Result<Opened, Failure> {
        // Without a blank line this is where the output turns out to have no head.
        self.read_head()?;
        let mut head = self.head.take().ok_or(HeadError::NoBlankLine)?;
        let length = self.body.length + self.run.as_ref().map_or(0, Run::discarded);
        if self.body_use == BodyUse::Discarded && length > 0 {
            head.content_length = Some(length);
        }
        Ok(self.opened(head))
    }

    fn opened(&mut self, head: ResponseHead) -> Opened {
        let body = std::mem::take(&mut self.body).into_bytes();
        Opened { head, body, trailers: self.trailers.take(), more: None, goes_on: None, stopped: false }
    }

    /// The answer as far as it is known, the guest still running.
    fn committed(&mut self) -> Option<Opened> {
        let head = self.head.take()?;
        let stopped = self.body_use == BodyUse::Discarded;
        let more = if stopped { None } else { self.run.take() };
        Some(Opened { more, stopped, ..self.opened(head) })
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let hold_back = self.head.is_some() && self.body_use == BodyUse::Sent;
        let time_to_head = self.time_to_head;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(time_to_head)));
        if self.head.is_none() && self.run.as_ref().is_some_and(Run::waits_for_input) {
            // The client is slow, not the guest; how slow it may be is the server's to decide.
            timer.as_mut().reset(Instant::now() + time_to_head);
        }
        if hold_back && !self.held_back {
            self.held_back = true;
            timer.as_mut().reset(Instant::now() + HOLD_BACK);
        }
        timer.as_mut().poll(cx)
    }
}

/// RFC 9110 §15.3.5 and §15.4.5: these answers end with the head.
fn has_no_body(head: &ResponseHead) -> bool {
    head.status == http::StatusCode::NO_CONTENT || head.status == http::StatusCode::NOT_MODIFIED
}

impl Opening<'_> {
    /// Takes what the guest says next; the answer when it can be sent.
    fn hear(&mut self, output: Output) -> Result<Option<Opened>, Failure> {
        match output {
            Output::Head(head) => self.take_head(*head)?,
            Output::Bytes(bytes) => {
                self.take(bytes)?;
                if self.body.kept >= PIPE_CAPACITY {
                    return Ok(self.committed());
                }
            }
            Output::Trailers(trailers) => self.trailers = Some(trailers),
            Output::Complete => {
                let opened = self.finished()?;
                return Ok(Some(Opened { goes_on: self.run.take(), ..opened }));
            }
            Output::Ended(ending) => match Failure::of(ending) {
                None => return self.finished().map(Some),
                Some(failure) => return Err(failure),
            },
        }
        Ok(None)
    }
}

impl Future for Opening<'_> {
    type Output = Result<Opened, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            let Some(run) = this.run.as_mut() else { return Poll::Ready(this.finished()) };
            let polled = run.poll_output(cx);
            // Whatever the guest makes of it, a request that is not whole has no answer of its own.
            if let Some(failure) = run.take_input_failure() {
                return Poll::Ready(Err(Failure::of_body(&failure)));
            }
            match polled {
                Poll::Ready(output) => {
                    if let Some(opened) = this.hear(output)? {
                        return Poll::Ready(Ok(opened));
                    }
                }
                Poll::Pending => {
                    std::task::ready!(this.poll_timer(cx));
                    let late = Failure::HeadLate(this.time_to_head);
                    return Poll::Ready(this.committed().ok_or(late));
                }
            }
        }
    }
}

/// A body in the pieces it was printed in; one piece, the usual case, is not copied.
#[derive(Default)]
struct Pieces {
    first: Bytes,
    joined: BytesMut,
    kept: usize,
    length: u64,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        self.kept += piece.len();
        self.count(&piece);
        if self.first.is_empty() && self.joined.is_empty() {
            self.first = piece;
        } else {
            if self.joined.is_empty() {
                self.joined.extend_from_slice(&self.first);
            }
            self.joined.extend_from_slice(&piece);
        }
    }

    fn count(&mut self, piece: &Bytes) {
        self.length += piece.len() as u64;
    }

    fn into_bytes(self) -> Bytes {
        if self.joined.is_empty() { self.first } else { self.joined.freeze() }
    }
}
