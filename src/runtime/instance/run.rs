//! What is a guest doing, and how did it end?
//!
//! A [`Run`] is one call of a script in progress. Whoever holds it polls it for output, and that is what drives the guest;
//! dropping it ends the guest. Nothing of a guest outlives its run.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::runtime::engine::executors::Executors;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::output::Output;
use crate::runtime::instance::response_state::Answer;
use crate::runtime::instance::stdio::Pipes;

pub(in crate::runtime) type GuestFuture = Pin<Box<dyn Future<Output = Ending> + Send>>;

enum Stage {
    InPlace(GuestFuture),
    SlowLane(JoinHandle<Ending>),
    Ended(Option<Ending>),
}

/// One call of a script in progress.
pub struct Run {
    stage: Stage,
    pipes: Arc<Pipes>,
    executors: Arc<Executors>,
    /// What a component says of its answer that is not bytes.
    answer: Option<Arc<Answer>>,
}

impl Run {
    pub(in crate::runtime) fn new(guest: GuestFuture, pipes: Arc<Pipes>, executors: Arc<Executors>) -> Self {
        Self { stage: Stage::InPlace(guest), pipes, executors, answer: None }
    }

    /// The same run, of a component whose answer is noted here.
    pub(in crate::runtime) fn answering(mut self, answer: Arc<Answer>) -> Self {
        self.answer = Some(answer);
        self
    }

    /// Lets the guest go on, and takes what it has printed.
    pub fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Output> {
        self.poll_guest(cx);
        if let Some(answer) = &self.answer
            && let Some(said) = answer.poll_said(&self.pipes, cx, matches!(self.stage, Stage::Ended(_)))
        {
            return said;
        }
        match &mut self.stage {
            Stage::Ended(ending) => {
                let rest = self.pipes.stdout().take_rest();
                if !rest.is_empty() {
                    return Poll::Ready(Output::Bytes(rest));
                }
                let ending = ending.take().unwrap_or(Ending::Succeeded);
                Poll::Ready(Output::Ended(ending))
            }
            _ => match self.pipes.poll_printed(cx) {
                Some(bytes) => Poll::Ready(Output::Bytes(bytes)),
                None => Poll::Pending,
            },
        }
    }

    /// The failure of the request body that a component has met, which matters as long as nothing has been answered.
    pub fn take_input_failure(&self) -> Option<io::Error> {
        self.answer.as_ref()?.take_input_failure()
    }

    /// Lets a guest whose answer is complete come to its end, for so long and on the slow lane.
    pub fn detach(mut self, patience: Duration) {
        let guest = match std::mem::replace(&mut self.stage, Stage::Ended(None)) {
            Stage::InPlace(guest) => self.executors.take_over(guest, self.pipes.clone()),
            Stage::SlowLane(guest) => Some(guest),
            Stage::Ended(_) => None,
        };
        if let Some(guest) = guest {
            self.executors.see_off(guest, self.pipes.clone(), patience);
        }
    }

    fn poll_guest(&mut self, cx: &mut Context<'_>) {
        if let Stage::InPlace(guest) = &mut self.stage {
            self.pipes.cpu_timer.enter();
            let polled = guest.as_mut().poll(cx);
            self.pipes.cpu_timer.leave();
            match polled {
                Poll::Ready(ending) => self.stage = Stage::Ended(Some(ending)),
                Poll::Pending if self.pipes.cpu_timer.take_slice_over() => self.move_to_background(),
                Poll::Pending => return,
            }
        }
        if let Stage::SlowLane(guest) = &mut self.stage
            && let Poll::Ready(ended) = Pin::new(guest).poll(cx)
        {
            let ending = ended.unwrap_or_else(|error| Ending::NotStarted(format!("the host failed: {error}")));
            self.stage = Stage::Ended(Some(ending));
        }
    }

    fn move_to_background(&mut self) {
        if let Stage::InPlace(guest) = std::mem::replace(&mut self.stage, Stage::Ended(None)) {
            self.stage = match self.executors.take_over(guest, self.pipes.clone()) {
                Some(moved) => Stage::SlowLane(moved),
                None => Stage::Ended(Some(Ending::NotStarted("the server is shutting down".into()))),
            };
        }
    }

    /// Collects everything the guest prints until it ends.
    pub async fn collect(mut self) -> (Vec<u8>, Ending) {
        let mut printed = Vec::new();
        let ending = std::future::poll_fn(|cx| {
            loop {
                match ready!(self.poll_output(cx)) {
                    Output::Bytes(bytes) => printed.extend_from_slice(&bytes),
                    Output::Ended(ending) => return Poll::Ready(ending),
                    Output::Head(_) | Output::Trailers(_) | Output::Complete => {}
                }
            }
        })
        .await;
        (printed, ending)
    }

    /// From now on what the guest prints is counted and forgotten, and it is not held up by it.
    pub fn discard_output(&self) {
        self.pipes.discard_output();
    }

    /// How many bytes were forgotten.
    pub fn discarded(&self) -> u64 {
        self.pipes.discarded()
    }

    /// Whether the guest waits for its client to send more of the request.
    pub fn waits_for_input(&self) -> bool {
        self.pipes.stdin().waits()
    }

    /// The CPU time the guest has used so far.
    pub fn cpu_time(&self) -> Duration {
        self.pipes.cpu_timer.used()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.pipes.close_output();
        if let Stage::SlowLane(guest) = &self.stage {
            guest.abort();
        }
    }
}
