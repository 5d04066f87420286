//! What is a guest doing now?
//!
//! A [`Run`] is one call of a guest in progress. Its holder polls it for output, and that drives the guest; dropping it ends
//! the guest. A guest never outlives its run, except one that is detached, which has a deadline.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::runtime::engine::executors::Executors;
use crate::runtime::instance::client_wait::ClientWaits;
use crate::runtime::instance::cpu_time::CpuTimer;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::output::Output;
use crate::runtime::instance::response_state::ResponseState;
use crate::runtime::instance::stderr::Note;
use crate::runtime::instance::stdio::Pipes;

pub(in crate::runtime) type GuestFuture = Pin<Box<dyn Future<Output = Ending> + Send>>;

/// The bytes of a line in a note.
const MAX_SHOWN: usize = 120;

/// Where the guest is computing.
enum Stage {
    Foreground(GuestFuture),
    Background(JoinHandle<Ending>),
    Ended(Option<Ending>),
}

/// One call of a guest in progress.
pub struct Run {
    stage: Stage,
    pipes: Arc<Pipes>,
    executors: Arc<Executors>,
    /// The parts of a component's response that are not bytes.
    response: Option<Arc<ResponseState>>,
}

impl Run {
    pub(in crate::runtime) fn new(guest: GuestFuture, pipes: Arc<Pipes>, executors: Arc<Executors>) -> Self {
        Self { stage: Stage::Foreground(guest), pipes, executors, response: None }
    }

    /// Notes in the log of the guest how its output begins, which is no head.
    pub fn note_bad_head(&self, printed: &[u8]) {
        let line = printed.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty());
        self.pipes.stderr().note(Note::Head, || match line {
            None if printed.is_empty() => "no head: nothing was printed".to_owned(),
            None => "no head: only blank lines were printed".to_owned(),
            Some(line) => {
                let start = line.get(..MAX_SHOWN).unwrap_or(line);
                format!("no head: the first line that was printed is `{}`", String::from_utf8_lossy(start))
            }
        });
    }

    /// The same run, of a component whose response has this state.
    pub(in crate::runtime) fn with_response(mut self, response: Arc<ResponseState>) -> Self {
        self.response = Some(response);
        self
    }

    /// Polls the guest, and takes what it has printed.
    pub fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Output> {
        self.poll_guest(cx);
        if let Some(response) = &self.response
            && let Some(next) = response.poll_next(&self.pipes, cx, matches!(self.stage, Stage::Ended(_)))
        {
            return next;
        }
        match &mut self.stage {
            Stage::Ended(ending) => {
                let rest = self.pipes.stdout().take_remaining();
                if !rest.is_empty() {
                    return Poll::Ready(Output::Bytes(rest));
                }
                let ending = ending.take().unwrap_or(Ending::Succeeded);
                Poll::Ready(Output::Ended(ending))
            }
            _ => match self.pipes.poll_stdout(cx) {
                Some(bytes) => Poll::Ready(Output::Bytes(bytes)),
                None => Poll::Pending,
            },
        }
    }

    /// Takes the failure of the request body that a component has met. It matters as long as no head was sent.
    pub fn take_input_failure(&self) -> Option<io::Error> {
        self.response.as_ref()?.take_input_failure()
    }

    /// Lets a guest whose response is complete continue in the background, for at most `timeout`.
    pub fn detach(mut self, timeout: Duration) {
        let guest = match std::mem::replace(&mut self.stage, Stage::Ended(None)) {
            Stage::Foreground(guest) => self.spawn(guest),
            Stage::Background(guest) => Some(guest),
            Stage::Ended(_) => None,
        };
        if let Some(guest) = guest {
            drop(self.executors.spawn(reap(guest, self.pipes.clone(), timeout)));
        }
    }

    fn poll_guest(&mut self, cx: &mut Context<'_>) {
        if let Stage::Foreground(guest) = &mut self.stage {
            match poll_timed(guest, &self.pipes, cx) {
                Poll::Ready(ending) => self.stage = Stage::Ended(Some(ending)),
                Poll::Pending if self.pipes.cpu_timer.take_slice_over() => self.move_to_background(),
                Poll::Pending => return,
            }
        }
        if let Stage::Background(guest) = &mut self.stage
            && let Poll::Ready(ended) = Pin::new(guest).poll(cx)
        {
            let ending = ended.unwrap_or_else(|error| Ending::NotStarted(format!("the host failed: {error}")));
            self.stage = Stage::Ended(Some(ending));
        }
    }

    fn move_to_background(&mut self) {
        if let Stage::Foreground(guest) = std::mem::replace(&mut self.stage, Stage::Ended(None)) {
            self.stage = match self.spawn(guest) {
                Some(moved) => Stage::Background(moved),
                None => Stage::Ended(Some(Ending::NotStarted("the server is shutting down".into()))),
            };
        }
    }

    fn spawn(&self, guest: GuestFuture) -> Option<JoinHandle<Ending>> {
        self.pipes.cpu_timer.move_to_background();
        self.executors.spawn(TimedGuest { guest, pipes: self.pipes.clone() })
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

    /// Discards what the guest prints from now on, and counts it. The guest no longer waits for a reader.
    pub fn discard_output(&self) {
        self.pipes.discard_output();
    }

    /// The number of bytes that were discarded.
    pub fn discarded(&self) -> u64 {
        self.pipes.discarded()
    }

    /// How long the guest has waited for the client to send more of the request. `None` if the request has no body.
    pub fn client_waits(&self) -> Option<ClientWaits> {
        self.pipes.has_request_body.then(|| self.pipes.stdin().wait.waits())
    }

    /// The CPU time the guest has used so far.
    pub fn cpu_time(&self) -> Duration {
        self.pipes.cpu_timer.used()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.pipes.close_output();
        if let Stage::Background(guest) = &self.stage {
            guest.abort();
        }
    }
}

/// Waits for a detached guest, stops it after `timeout`, and logs if it did not succeed.
async fn reap(mut guest: JoinHandle<Ending>, pipes: Arc<Pipes>, timeout: Duration) {
    let reason = match tokio::time::timeout(timeout, &mut guest).await {
        Ok(Ok(Ending::Succeeded)) => return,
        Ok(Ok(ending)) => format!("{ending:?}"),
        Ok(Err(error)) => error.to_string(),
        Err(_) => {
            guest.abort();
            "it took too long and was stopped".to_owned()
        }
    };
    pipes.stderr().write(format!("[the guest went on behind its answer: {reason}]\n").as_bytes());
}

/// A guest in the background.
struct TimedGuest {
    guest: GuestFuture,
    pipes: Arc<Pipes>,
}

impl Future for TimedGuest {
    type Output = Ending;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ending> {
        let Self { guest, pipes } = &mut *self;
        poll_timed(guest, pipes, cx)
    }
}

/// Polls a guest, and counts the time that it computes and the time that it then waits for its client.
fn poll_timed(guest: &mut GuestFuture, pipes: &Pipes, cx: &mut Context<'_>) -> Poll<Ending> {
    let timer = &pipes.cpu_timer;
    if !pipes.has_request_body {
        return poll_metered(guest, timer, cx);
    }
    pipes.stdin().wait.begin_poll();
    timer.take_yielded();
    let mut polled = poll_metered(guest, timer, cx);
    let mut yielded = timer.take_yielded();
    // A guest that is blocked in a read polls it again. One that only looked for bytes and went on to something else does not.
    if polled.is_pending() && !yielded && pipes.stdin().wait.take_claim() {
        polled = poll_metered(guest, timer, cx);
        yielded = timer.take_yielded();
    }
    pipes.stdin().wait.end_poll(yielded || polled.is_ready());
    polled
}

/// Polls a guest and counts the time that it computes.
fn poll_metered(guest: &mut GuestFuture, timer: &CpuTimer, cx: &mut Context<'_>) -> Poll<Ending> {
    timer.enter();
    let polled = guest.as_mut().poll(cx);
    timer.leave();
    polled
}
