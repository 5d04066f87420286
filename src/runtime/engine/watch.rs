//! Which threads hang in an operation on a volume?
//!
//! The thread of a guest does its operations on files itself, so a slow disk or file server makes the thread wait. Then another
//! thread works instead. A thread that waits for long is counted for the volumes of its guest. If too many threads wait for the
//! same volumes, no other guest may use these volumes.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::runtime::engine::threads::ThreadId;

/// How long a thread may poll a guest before it is looked at. A guest that computes is interrupted much earlier, unless the
/// machine is busy.
const LOOKED_AT_AFTER: Duration = Duration::from_millis(50);

/// How often a thread that sleeps is looked at again.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(250);

/// How long an operation takes before its thread is lost. No operation on a disk that works takes as long.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// The threads that may poll guests with the volumes of one module, as long as one of them sleeps.
const THREADS_PER_MODULE: usize = 8;

/// The threads that may be lost in operations on the volumes of one module.
const LOST_PER_MODULE: usize = 4;

/// The threads that may sleep and have another one work in their place.
const ASLEEP_IN_ALL: usize = 64;

/// The threads that poll guests with the volumes of one module.
#[derive(Debug, Default)]
pub(in crate::runtime) struct VolumeThreads {
    all: AtomicUsize,
    asleep: AtomicUsize,
    lost: AtomicUsize,
}

/// Whether one more guest may use its volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::engine) enum VolumeAccess {
    Granted,
    /// Not now: it waits until other operations are done.
    Wait,
    /// Not as long as the operations hang.
    Refused,
}

impl VolumeThreads {
    /// Whether one more guest may use the volumes.
    fn admission(&self) -> VolumeAccess {
        if self.lost.load(Relaxed) >= LOST_PER_MODULE {
            VolumeAccess::Refused
        } else if self.asleep.load(Relaxed) > 0 && self.all.load(Relaxed) >= THREADS_PER_MODULE {
            VolumeAccess::Wait
        } else {
            VolumeAccess::Granted
        }
    }
}

/// What a guest does with its volumes, for other threads to see.
pub(in crate::runtime) trait FileUse: Send + Sync {
    /// Whether it may be about to use files.
    fn uses_files(&self) -> bool;

    /// A number that changes while the guest computes: it does not as long as an operation takes.
    fn progress(&self) -> u64;
}

/// A guest that has volumes.
#[derive(Clone)]
pub(in crate::runtime) struct FileGuest {
    pub threads: Arc<VolumeThreads>,
    pub file_use: Arc<dyn FileUse>,
}

impl FileGuest {
    /// Whether it may be polled, because it does not use files, or may do so.
    pub(in crate::runtime::engine) fn admission(&self) -> VolumeAccess {
        if self.file_use.uses_files() { self.threads.admission() } else { VolumeAccess::Granted }
    }
}

/// A thread that polls guests, as the one that watches it sees it.
pub(in crate::runtime::engine) struct Worker {
    thread: ThreadId,
    poll: Mutex<Option<FilePoll>>,
}

/// A poll of a guest that has volumes.
struct FilePoll {
    guest: FileGuest,
    progress: u64,
    /// When the guest was last seen to have made progress.
    seen: Instant,
    /// When to look again.
    due: Instant,
    is_asleep: bool,
    is_lost: bool,
}

impl Worker {
    /// This thread.
    pub fn current() -> Self {
        Self { thread: ThreadId::current(), poll: Mutex::default() }
    }

    fn poll(&self) -> MutexGuard<'_, Option<FilePoll>> {
        self.poll.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that this thread begins to poll a guest.
    pub fn begin(&self, guest: &FileGuest) {
        guest.threads.all.fetch_add(1, Relaxed);
        let (guest, progress, seen) = (guest.clone(), guest.file_use.progress(), Instant::now());
        let due = seen + LOOKED_AT_AFTER;
        *self.poll() = Some(FilePoll { guest, progress, seen, due, is_asleep: false, is_lost: false });
    }

    /// Notes that this thread has polled a guest. Whether another thread works in its place, because it was asleep.
    pub fn end(&self, asleep: &AtomicUsize) -> bool {
        let Some(poll) = self.poll().take() else { return false };
        let threads = &poll.guest.threads;
        threads.all.fetch_sub(1, Relaxed);
        if poll.is_asleep {
            asleep.fetch_sub(1, Relaxed);
            threads.asleep.fetch_sub(1, Relaxed);
        }
        if poll.is_lost {
            threads.lost.fetch_sub(1, Relaxed);
        }
        poll.is_asleep
    }

    /// Looks at the thread from another one. Whether it has been found asleep, so that another one has to work in its place;
    /// `asleep` counts those.
    pub fn watch(&self, asleep: &AtomicUsize) -> bool {
        let mut poll = self.poll();
        let now = Instant::now();
        let Some(poll) = poll.as_mut().filter(|poll| now >= poll.due) else { return false };
        let progress = poll.guest.file_use.progress();
        if progress != poll.progress {
            (poll.progress, poll.seen) = (progress, now);
        }
        if !poll.is_asleep && asleep.load(Relaxed) < ASLEEP_IN_ALL && self.thread.is_asleep() {
            asleep.fetch_add(1, Relaxed);
            poll.guest.threads.asleep.fetch_add(1, Relaxed);
            poll.is_asleep = true;
            poll.due = now + LOOKED_AT_EVERY;
            return true;
        }
        if poll.is_asleep {
            poll.due = now + LOOKED_AT_EVERY;
        }
        if poll.is_asleep && !poll.is_lost && now.duration_since(poll.seen) >= LOST_AFTER {
            poll.guest.threads.lost.fetch_add(1, Relaxed);
            poll.is_lost = true;
            tracing::warn!("an operation on a file of a volume has not come back for {LOST_AFTER:?}");
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::engine::watch::*;

    fn threads(all: usize, asleep: usize, lost: usize) -> VolumeThreads {
        let count = AtomicUsize::new;
        VolumeThreads { all: count(all), asleep: count(asleep), lost: count(lost) }
    }

    #[test]
    fn a_module_may_keep_so_many_threads_asleep_and_lose_so_many() {
        assert_eq!(threads(100, 0, 0).admission(), VolumeAccess::Granted);
        assert_eq!(threads(THREADS_PER_MODULE - 1, 7, LOST_PER_MODULE - 1).admission(), VolumeAccess::Granted);
        assert_eq!(threads(THREADS_PER_MODULE, 1, 0).admission(), VolumeAccess::Wait);
        assert_eq!(threads(THREADS_PER_MODULE, 8, LOST_PER_MODULE).admission(), VolumeAccess::Refused);
    }

    struct Idle;

    impl FileUse for Idle {
        fn uses_files(&self) -> bool {
            true
        }

        fn progress(&self) -> u64 {
            0
        }
    }

    #[test]
    fn a_thread_that_has_just_begun_is_not_looked_at() {
        let (worker, asleep) = (Worker::current(), AtomicUsize::new(0));
        let guest = FileGuest { threads: Arc::default(), file_use: Arc::new(Idle) };
        worker.begin(&guest);
        assert_eq!(guest.threads.all.load(Relaxed), 1);
        assert!(!worker.watch(&asleep));
        assert!(!worker.end(&asleep));
        assert_eq!((guest.threads.all.load(Relaxed), asleep.load(Relaxed)), (0, 0));
    }
}
