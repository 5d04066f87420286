//! What has a component said of its answer that is not bytes?
//!
//! The body of an answer goes through the same pipe as what other guests print. Its head, its trailers and its end go
//! through here, and so does the failure of the request's body on the way in.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::runtime::instance::output::{Head, Output, Trailers};
use crate::runtime::instance::stdio::Pipes;

/// What is said about one answer, and how far that has been heard.
#[derive(Default)]
pub(in crate::runtime) struct Answer(Mutex<Said>);

#[derive(Default)]
struct Said {
    head: Option<Box<Head>>,
    head_heard: bool,
    trailers: Option<Trailers>,
    complete: bool,
    input_failure: Option<io::Error>,
}

impl Answer {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer begins like this.
    pub fn begin(&self, head: Head, pipes: &Pipes) {
        self.said().head = Some(Box::new(head));
        pipes.wake_reader();
    }

    /// The answer ends with these.
    pub fn add_trailers(&self, trailers: Trailers) {
        self.said().trailers = Some(trailers);
    }

    /// All of the answer has been said.
    pub fn complete(&self, pipes: &Pipes) {
        self.said().complete = true;
        pipes.wake_reader();
    }

    /// The request body broke off like this.
    pub fn note_input_failure(&self, failure: io::Error) {
        self.said().input_failure = Some(failure);
    }

    pub fn take_input_failure(&self) -> Option<io::Error> {
        self.said().input_failure.take()
    }

    /// What is next to be heard; `None` when only the end of the guest is left.
    pub fn poll_said(&self, pipes: &Pipes, cx: &mut Context<'_>, ended: bool) -> Option<Poll<Output>> {
        // The guest may be speaking on another thread right now: first the promise to be woken, then the look.
        pipes.register_reader(cx);
        let mut said = self.said();
        if let Some(head) = said.head.take() {
            said.head_heard = true;
            return Some(Poll::Ready(Output::Head(head)));
        }
        if !said.head_heard {
            return if ended { None } else { Some(Poll::Pending) };
        }
        // Looked at before the bytes, all of which were there before it was said.
        let complete = said.complete;
        let trailers = said.trailers.take_if(|_| complete);
        drop(said);
        if let Some(bytes) = pipes.poll_stdout(cx) {
            self.said().trailers = trailers;
            return Some(Poll::Ready(Output::Bytes(bytes)));
        }
        match trailers {
            Some(trailers) => Some(Poll::Ready(Output::Trailers(trailers))),
            None if ended => None,
            None if complete => Some(Poll::Ready(Output::Complete)),
            None => Some(Poll::Pending),
        }
    }
}
