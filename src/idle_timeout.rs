//! A timeout for silence: it starts again with every sign of progress. For bodies that are read frame by frame, of clients,
//! guests and upstreams.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// The longest wait for the next frame. Without a wait there is no timer.
#[derive(Debug)]
pub(crate) struct IdleTimeout {
    limit: Duration,
    /// Made at the first wait, reused by the others.
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl IdleTimeout {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, timer: None, waiting: false }
    }

    /// Ends the current wait. The next one has the whole limit again.
    pub(crate) fn reset(&mut self) {
        self.waiting = false;
    }

    /// Ready when the wait that the first poll after `reset` began has lasted as long as the limit.
    pub(crate) fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let was_waiting = std::mem::replace(&mut self.waiting, true);
        let timer = match &mut self.timer {
            Some(timer) => {
                if !was_waiting {
                    timer.as_mut().reset(Instant::now() + self.limit);
                }
                timer
            }
            empty => empty.insert(Box::pin(tokio::time::sleep(self.limit))),
        };
        timer.as_mut().poll(cx)
    }
}
