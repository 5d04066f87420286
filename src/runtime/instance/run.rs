//! What is a guest doing now?
//!
//! A [`Run`] is one call of a guest, from its start to its end. Its holder polls it for output, which makes the guest compute.
//! Dropping the run ends the guest. Only a guest whose response is complete may go on without its run, for a limited time:
//! see [`Run::detach`].

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::runtime::engine::executors::Executors;
use crate::runtime::engine::task::{EndReason, Job, Lane, NextPoll, Step, TaskHandle};
use crate::runtime::engine::watch::{FileGuest, VolumeThreads};
use crate::runtime::instance::client_wait::ClientWaits;
use crate::runtime::instance::cpu_time::CpuTimer;
use crate::runtime::instance::ending::Ending;
use crate::runtime::instance::output::Output;
use crate::runtime::instance::response_state::ResponseState;
use crate::runtime::instance::stderr::Note;
use crate::runtime::instance::stdio::Stdio;

pub(in crate::runtime) type GuestFuture = Pin<Box<dyn Future<Output = Ending> + Send>>;

/// What a run has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunUsage {
    /// The CPU time of the guest.
    pub cpu_time: Duration,
    /// How long ago it began, or how long it took if it has ended; `None` if it has not begun.
    pub took: Option<Duration>,
    /// The most memory that it had, in bytes.
    pub memory_peak: u64,
    /// Whether it has computed for so long that it was moved to the background.
    pub is_in_background: bool,
}

/// How many bytes of a line a note shows.
const MAX_SHOWN: usize = 120;

/// Where the guest is computing.
enum RunStage {
    Foreground(GuestFuture),
    /// On its way to another lane, with the next poll.
    Moving(GuestFuture, Lane),
    Moved(MovedGuest),
    Ended(Option<Ending>),
}

/// One call of a guest.
pub struct Run {
    stage: RunStage,
    stdio: Arc<Stdio>,
    executors: Arc<Executors>,
    /// The threads that operations on its volumes may block; `None` for a guest without volumes.
    volumes: Option<Arc<VolumeThreads>>,
    /// The parts of a component's response that are not bytes.
    response: Option<Arc<ResponseState>>,
    /// Whether the end of the standard output of a module has been reported.
    is_complete: bool,
}

impl Run {
    pub(in crate::runtime) fn new(guest: GuestFuture, stdio: Arc<Stdio>, executors: Arc<Executors>) -> Self {
        Self { stage: RunStage::Foreground(guest), stdio, executors, volumes: None, response: None, is_complete: false }
    }

    /// The same run, of a guest that has volumes.
    pub(in crate::runtime) fn with_volumes(mut self, volumes: Option<Arc<VolumeThreads>>) -> Self {
        self.volumes = volumes;
        self
    }

    /// The same run, which uses files from the start if the guest has volumes.
    pub(in crate::runtime) fn with_files_at_once(mut self) -> Self {
        if self.volumes.is_some()
            && let RunStage::Foreground(guest) = std::mem::replace(&mut self.stage, RunStage::Ended(None))
        {
            self.stdio.cpu_timer.use_files();
            self.stage = RunStage::Moving(guest, Lane::Files);
        }
        self
    }

    /// Notes in the log of the guest how its output begins, if that is no head.
    pub fn note_bad_head(&self, printed: &[u8]) {
        let line = printed.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty());
        self.stdio.stderr().note(Note::Head, || match line {
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
        if self.is_failing() {
            // The end wakes the reader: what was printed goes before it.
            return Poll::Pending;
        }
        if let Some(response) = &self.response
            && let Some(next) = response.poll_next(&self.stdio, cx, matches!(self.stage, RunStage::Ended(_)))
        {
            return next;
        }
        match &mut self.stage {
            RunStage::Ended(ending) => {
                let rest = self.stdio.stdout().take_remaining();
                if !rest.is_empty() {
                    return Poll::Ready(Output::Bytes(rest));
                }
                let ending = ending.take().unwrap_or(Ending::Succeeded);
                Poll::Ready(Output::Ended(ending))
            }
            _ if self.is_complete => Poll::Pending,
            _ => Poll::Ready(match ready!(self.stdio.poll_stdout(cx)) {
                Some(bytes) => Output::Bytes(bytes),
                None => {
                    self.is_complete = true;
                    Output::Complete
                }
            }),
        }
    }

    /// Whether the guest has ended: what it has printed is all that comes.
    pub fn has_ended(&self) -> bool {
        match &self.stage {
            RunStage::Foreground(_) | RunStage::Moving(..) => false,
            RunStage::Moved(guest) => guest.ending.is_terminated() || !guest.ending.is_empty(),
            RunStage::Ended(_) => true,
        }
    }

    /// Whether the guest has trapped, and its end is still being explained: its response is not complete.
    pub fn is_failing(&self) -> bool {
        self.stdio.is_failing() && !matches!(self.stage, RunStage::Ended(_))
    }

    /// Whether the guest is a component that responds to the request itself, perhaps with trailers.
    pub fn is_http_component(&self) -> bool {
        self.response.is_some()
    }

    /// Takes the failure of the request body that a component has read, if there was one. For the time before the head is sent.
    pub fn take_input_failure(&self) -> Option<io::Error> {
        self.response.as_ref()?.take_input_failure()
    }

    /// Lets a guest whose response is complete continue in the background, for at most `timeout`.
    pub fn detach(mut self, timeout: Duration) {
        let guest = match std::mem::replace(&mut self.stage, RunStage::Ended(None)) {
            RunStage::Foreground(guest) | RunStage::Moving(guest, _) => self.start_in(Lane::Background, guest),
            RunStage::Moved(guest) => {
                let _ = self.stdio.cpu_timer.poll_background();
                guest
            }
            RunStage::Ended(_) => return,
        };
        self.executors.spawn(reap(guest, self.stdio.clone(), timeout));
    }

    fn poll_guest(&mut self, cx: &mut Context<'_>) {
        if let RunStage::Foreground(guest) = &mut self.stage {
            match poll_counting_waits(guest, &self.stdio, cx, poll_in_foreground) {
                Poll::Ready(ending) => self.stage = RunStage::Ended(Some(ending)),
                Poll::Pending => match self.stdio.cpu_timer.next_lane() {
                    Some(lane) => self.move_to(lane),
                    None => return,
                },
            }
        }
        if let RunStage::Moving(_, lane) = &self.stage {
            self.move_to(*lane);
        }
        if let RunStage::Moved(guest) = &mut self.stage
            && let Poll::Ready(ended) = Pin::new(&mut guest.ending).poll(cx)
        {
            let ending = ended.unwrap_or_else(|_| Ending::NotStarted("the server is shutting down".into()));
            self.stage = RunStage::Ended(Some(ending));
        }
    }

    fn move_to(&mut self, lane: Lane) {
        if let RunStage::Foreground(guest) | RunStage::Moving(guest, _) =
            std::mem::replace(&mut self.stage, RunStage::Ended(None))
        {
            self.stage = RunStage::Moved(self.start_in(lane, guest));
        }
    }

    fn start_in(&self, lane: Lane, guest: GuestFuture) -> MovedGuest {
        self.stdio.cpu_timer.move_to(lane);
        let (sender, ending) = oneshot::channel();
        let files = self.volumes.clone().map(|threads| FileGuest { threads, file_use: self.stdio.clone() });
        let job = GuestJob { guest: Some(guest), stdio: self.stdio.clone(), ending: Some(sender) };
        MovedGuest { ending, _task: self.executors.run(Box::new(job), lane, files) }
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
        self.stdio.discard_output();
    }

    /// The number of bytes that were discarded.
    pub fn discarded(&self) -> u64 {
        self.stdio.discarded()
    }

    /// How long the guest has waited for the client to send more of the request. `None` if the request has no body.
    pub fn client_waits(&self) -> Option<ClientWaits> {
        self.stdio.has_request_body.then(|| self.stdio.stdin().wait.waits())
    }

    /// What the guest has used so far.
    pub fn usage(&self) -> RunUsage {
        let timer = &self.stdio.cpu_timer;
        RunUsage {
            cpu_time: timer.used(),
            took: timer.elapsed(matches!(self.stage, RunStage::Ended(_))),
            memory_peak: self.stdio.memory_peak.load(Relaxed),
            is_in_background: timer.is_in_background(),
        }
    }

    /// What others may see of the run.
    pub fn view(&self) -> RunView {
        RunView(self.stdio.clone())
    }
}

/// What others may see of a run, from any thread and after its end.
#[derive(Clone)]
pub struct RunView(Arc<Stdio>);

/// What a guest is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It computes, or is about to.
    Computes,
    /// It waits for its client to send more of the request body.
    Reads,
    /// It waits for something else: a timer, a file, an upstream, or room for its output.
    Waits,
}

impl RunView {
    /// What the guest is doing.
    pub fn activity(&self) -> Activity {
        match self.0.cpu_timer.waits() {
            false => Activity::Computes,
            true if self.0.has_request_body && self.0.stdin().wait.waits().waits => Activity::Reads,
            true => Activity::Waits,
        }
    }

    /// The CPU time the guest has used so far.
    pub fn cpu_time(&self) -> Duration {
        self.0.cpu_timer.used()
    }

    /// The memory that the guest was granted so far, in bytes. It gives none back.
    pub fn memory(&self) -> u64 {
        self.0.memory_peak.load(Relaxed)
    }

    /// Notes in the log of the guest what has caused its failure, and what helps.
    pub fn note_help(&self, cause: &str, cure: &str) {
        self.0.stderr().note(Note::Help, || format!("help: {cause}; {cure}"));
    }

    /// The last 4 KiB that the guest has printed on standard error, with the notes of the host.
    pub fn stderr_end(&self) -> Vec<u8> {
        self.0.stderr().end().to_vec()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stdio.close_output();
    }
}

/// Waits for a detached guest, stops it after `timeout`, counts its CPU time, and logs a failure. What it used before is counted
/// with its request.
async fn reap(guest: MovedGuest, stdio: Arc<Stdio>, timeout: Duration) {
    let MovedGuest { ending, _task: task } = guest;
    let counted = stdio.cpu_timer.used();
    let ended = tokio::time::timeout(timeout, ending).await;
    drop(task);
    stdio.stderr().count_cpu_time(stdio.cpu_timer.used().saturating_sub(counted));
    let reason = match ended {
        Ok(Ok(Ending::Succeeded)) => return,
        Ok(Ok(ending)) => format!("{ending:?}"),
        Ok(Err(_)) => return,
        Err(_) => "it took too long and was stopped".to_owned(),
    };
    stdio.stderr().write(format!("[the guest went on behind its answer: {reason}]\n").as_bytes());
}

/// A guest on another thread. Dropping it ends the guest.
struct MovedGuest {
    ending: oneshot::Receiver<Ending>,
    _task: TaskHandle,
}

/// A guest as the threads of a lane poll it.
struct GuestJob {
    guest: Option<GuestFuture>,
    stdio: Arc<Stdio>,
    ending: Option<oneshot::Sender<Ending>>,
}

impl GuestJob {
    fn end_with(&mut self, ending: Ending) {
        // What the guest holds is free before its end is reported.
        self.guest = None;
        if let Some(sender) = self.ending.take() {
            let _ = sender.send(ending);
        }
    }
}

impl Job for GuestJob {
    fn poll(&mut self, cx: &mut Context<'_>, clock: &mut u64) -> Step {
        let Some(guest) = &mut self.guest else { return Step::Done };
        let timer = &self.stdio.cpu_timer;
        timer.enter_lane(*clock);
        let polled = poll_counting_waits(guest, &self.stdio, cx, |guest, _, cx| guest.as_mut().poll(cx));
        *clock = timer.leave_lane();
        if let Poll::Ready(ending) = polled {
            self.end_with(ending);
            return Step::Done;
        }
        let is_moved = timer.next_lane().inspect(|lane| timer.move_to(*lane)).is_some();
        if is_moved {
            // It may be waiting for just that.
            cx.waker().wake_by_ref();
        }
        Step::Wait
    }

    fn lane(&mut self, next: NextPoll) -> Lane {
        let timer = &self.stdio.cpu_timer;
        if next == NextPoll::WhenWoken {
            timer.end_burst();
        }
        timer.lane()
    }

    fn end(&mut self, reason: EndReason) {
        self.end_with(match reason {
            EndReason::VolumesHang => Ending::VolumesHang,
            EndReason::Panicked(message) => Ending::NotStarted(format!("the host failed: {message}")),
        });
    }
}

type PollOnce = fn(&mut GuestFuture, &CpuTimer, &mut Context<'_>) -> Poll<Ending>;

/// Polls a guest, and counts the time that it then waits for its client.
fn poll_counting_waits(
    guest: &mut GuestFuture,
    stdio: &Stdio,
    cx: &mut Context<'_>,
    poll_once: PollOnce,
) -> Poll<Ending> {
    let timer = &stdio.cpu_timer;
    if !stdio.has_request_body {
        return poll_once(guest, timer, cx);
    }
    stdio.stdin().wait.begin_poll();
    timer.take_yielded();
    let mut polled = poll_once(guest, timer, cx);
    let mut yielded = timer.take_yielded();
    // A guest that is blocked in a read polls it again. One that only looked for bytes and went on to something else does not.
    if polled.is_pending() && !yielded && stdio.stdin().wait.take_claim() {
        polled = poll_once(guest, timer, cx);
        yielded = timer.take_yielded();
    }
    let moves = timer.next_lane().is_some();
    stdio.stdin().wait.end_poll(yielded || moves || polled.is_ready());
    polled
}

/// Polls a guest in the foreground and counts the time that it computes.
fn poll_in_foreground(guest: &mut GuestFuture, timer: &CpuTimer, cx: &mut Context<'_>) -> Poll<Ending> {
    timer.enter();
    let polled = guest.as_mut().poll(cx);
    timer.leave();
    polled
}
