//! Which parts of a component's response are not bytes, and how do they reach the client?
//!
//! The body of a response goes through the same buffer as the output of other guests. Its head, its trailers and its end go
//! through here, and so does the failure of the request body on the way in.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use crate::runtime::instance::output::{Head, Output, Trailers};
use crate::runtime::instance::stdio::Stdio;

/// The state of one response: what the guest has given, and what the reader has taken.
#[derive(Default)]
pub(in crate::runtime) struct ResponseState(Mutex<ResponseParts>);

#[derive(Default)]
struct ResponseParts {
    head: Option<Box<Head>>,
    head_taken: bool,
    trailers: Option<Trailers>,
    is_complete: bool,
    input_failure: Option<io::Error>,
}

impl ResponseState {
    fn lock(&self) -> MutexGuard<'_, ResponseParts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the head, and wakes the reader.
    pub fn set_head(&self, head: Head, stdio: &Stdio) {
        self.lock().head = Some(Box::new(head));
        stdio.wake_reader();
    }

    /// Sets the trailers. They are read after the body.
    pub fn set_trailers(&self, trailers: Trailers) {
        self.lock().trailers = Some(trailers);
    }

    /// Marks the response as complete, and wakes the reader.
    pub fn set_complete(&self, stdio: &Stdio) {
        self.lock().is_complete = true;
        stdio.wake_reader();
    }

    /// Sets why the request body broke off.
    pub fn set_input_failure(&self, failure: io::Error) {
        self.lock().input_failure = Some(failure);
    }

    /// Takes why the request body broke off, if it did.
    pub fn take_input_failure(&self) -> Option<io::Error> {
        self.lock().input_failure.take()
    }

    /// Takes the next part of the response. `None` when only the end of the guest is left.
    pub fn poll_next(&self, stdio: &Stdio, cx: &mut Context<'_>, has_ended: bool) -> Option<Poll<Output>> {
        // The guest may be writing on another thread right now: first register to be woken, then look.
        stdio.register_reader(cx);
        let mut inner = self.lock();
        if let Some(head) = inner.head.take() {
            inner.head_taken = true;
            return Some(Poll::Ready(Output::Head(head)));
        }
        if !inner.head_taken {
            return if has_ended { None } else { Some(Poll::Pending) };
        }
        // `is_complete` is read before the bytes are: when the response became complete, all bytes were in the buffer.
        let is_complete = inner.is_complete;
        let trailers = inner.trailers.take_if(|_| is_complete);
        drop(inner);
        if let Poll::Ready(Some(bytes)) = stdio.poll_stdout(cx) {
            self.lock().trailers = trailers;
            return Some(Poll::Ready(Output::Bytes(bytes)));
        }
        match trailers {
            Some(trailers) => Some(Poll::Ready(Output::Trailers(trailers))),
            None if has_ended => None,
            None if is_complete => Some(Poll::Ready(Output::Complete)),
            None => Some(Poll::Pending),
        }
    }
}
