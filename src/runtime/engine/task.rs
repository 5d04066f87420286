//! What runs on the executors' own threads, and how is it woken?

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use tokio::runtime::Handle;

use crate::runtime::engine::watch::FileGuest;

/// A set of threads of the executors, for guests that have left the foreground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Lane {
    /// For guests that use files and have not computed for long.
    Files,
    /// For guests that compute for long, with or without files.
    Background,
    /// For guests that compute there for long without a wait: they get the time that everything else leaves (`SCHED_IDLE`).
    Idle,
}

impl Lane {
    /// All of them. Each stands at its number.
    pub const ALL: [Self; 3] = [Self::Files, Self::Background, Self::Idle];

    /// Its place among all.
    pub fn number(self) -> usize {
        self as usize
    }
}

/// Work that is polled like a future, on threads that it may block.
pub(in crate::runtime) trait Job: Send + 'static {
    /// Polls it. All CPU time of this thread since `clock` is its own; `clock` is set to the CPU time at the end.
    fn poll(&mut self, cx: &mut Context<'_>, clock: &mut u64) -> Step;

    /// The lane whose threads poll it next.
    fn lane(&mut self, next: NextPoll) -> Lane;

    /// Ends it without another poll.
    fn end(&mut self, reason: EndReason);
}

/// What a job needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Step {
    Done,
    /// To be polled when it is woken.
    Wait,
}

/// When a job is polled next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum NextPoll {
    /// It was woken during its poll, perhaps by itself.
    AtOnce,
    /// It waits for something.
    WhenWoken,
}

/// Why a job is ended from outside.
#[derive(Debug)]
pub(in crate::runtime) enum EndReason {
    /// Too many threads hang in operations on its volumes.
    VolumesHang,
    /// It panicked with this message.
    Panicked(String),
}

/// Where tasks wait for a thread.
pub(in crate::runtime::engine) trait Queue: Send + Sync {
    fn push(&self, task: Arc<Task>);
}

/// A job, and where it is.
pub(in crate::runtime::engine) struct Task {
    job: Mutex<Option<Box<dyn Job>>>,
    status: AtomicU8,
    aborted: AtomicBool,
    /// The number of the lane whose threads poll it.
    lane: AtomicUsize,
    pub files: Option<FileGuest>,
    /// The runtime whose timers and connections the job uses in the lane for files.
    pub caller: Option<Handle>,
    queue: Arc<dyn Queue>,
}

/// Nothing is to be done until it is woken.
const IDLE: u8 = 0;
/// It waits for a thread.
const QUEUED: u8 = 1;
/// A thread polls it.
const RUNNING: u8 = 2;
/// A thread polls it, and it was woken since.
const WOKEN: u8 = 3;
/// The job is over and dropped.
const OVER: u8 = 4;

impl Task {
    /// A task that waits for a thread already: the caller puts it into a queue.
    pub fn new(job: Box<dyn Job>, lane: Lane, files: Option<FileGuest>, queue: Arc<dyn Queue>) -> Self {
        Self {
            job: Mutex::new(Some(job)),
            status: AtomicU8::new(QUEUED),
            aborted: AtomicBool::new(false),
            lane: AtomicUsize::new(lane.number()),
            files,
            caller: Handle::try_current().ok(),
            queue,
        }
    }

    /// The lane whose threads poll it.
    pub fn lane(&self) -> Lane {
        Lane::ALL.get(self.lane.load(SeqCst)).copied().unwrap_or(Lane::Idle)
    }

    /// Whether it is only to be dropped.
    pub fn is_aborted(&self) -> bool {
        self.aborted.load(SeqCst)
    }

    /// Lets a thread drop the job, as soon as it is not being polled.
    pub fn abort(self: &Arc<Self>) {
        self.aborted.store(true, SeqCst);
        self.wake_by_ref();
    }

    /// Polls the job once, on one of the threads.
    pub fn run(self: &Arc<Self>, clock: &mut u64) {
        self.status.store(RUNNING, SeqCst);
        if self.is_aborted() {
            return self.drop_job();
        }
        let waker = Waker::from(self.clone());
        let mut slot = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(job) = slot.as_mut() else { return };
        let polled = catch_unwind(AssertUnwindSafe(|| job.poll(&mut Context::from_waker(&waker), clock)));
        match polled {
            Ok(Step::Wait) => {
                let is_woken = self.status.load(SeqCst) == WOKEN;
                let lane = job.lane(if is_woken { NextPoll::AtOnce } else { NextPoll::WhenWoken });
                drop(slot);
                self.lane.store(lane.number(), SeqCst);
                if self.status.compare_exchange(RUNNING, IDLE, SeqCst, SeqCst).is_err() {
                    self.status.store(QUEUED, SeqCst);
                    self.queue.push(self.clone());
                }
            }
            Ok(Step::Done) => {
                drop(slot);
                self.drop_job();
            }
            Err(panic) => {
                job.end(EndReason::Panicked(panic_message(&*panic)));
                drop(slot);
                self.drop_job();
            }
        }
    }

    /// Ends the job without another poll.
    pub fn refuse(&self) {
        if let Some(job) = self.job.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            job.end(EndReason::VolumesHang);
        }
        self.drop_job();
    }

    /// Drops the job, which takes what its instance takes.
    pub fn drop_job(&self) {
        self.status.store(OVER, SeqCst);
        let job = self.job.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(job);
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let next = |status| match status {
            IDLE => Some(QUEUED),
            RUNNING => Some(WOKEN),
            _ => None,
        };
        if self.status.fetch_update(SeqCst, SeqCst, next) == Ok(IDLE) {
            self.queue.push(self.clone());
        }
    }
}

/// A task for the one that started it. Dropping it aborts the task.
pub(in crate::runtime) struct TaskHandle(pub(in crate::runtime::engine) Arc<Task>);

impl Drop for TaskHandle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a panic says.
pub(in crate::runtime) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic").to_owned()
}
