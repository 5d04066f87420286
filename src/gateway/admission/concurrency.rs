//! Which requests may start a guest now, which wait, and which are turned away?
//!
//! There is a limit per entry and one for all entries together. A request that finds no free permit waits in its entry's
//! queue for a limited time, if the queue is not full. A waiting request has no instance. A permit is returned when the
//! instance is dropped.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::gateway::admission::readers::{EntryReaders, PermitScope, Readers};
use crate::gateway::admission::uploads::half;
use crate::gateway::failure::Failure;

/// How long a request waits before it looks again for a guest that has to go; each time twice as long.
const FIRST_LOOK: Duration = Duration::from_millis(20);

/// A limit on the concurrent guests of all entries together.
pub(in crate::gateway) struct TotalConcurrency {
    permits: Arc<Semaphore>,
    limit: usize,
    /// The guests that wait for their clients: see `readers`.
    pub readers: Arc<Readers>,
}

/// A limit on the concurrent guests of one entry, with its queue. All routes of the entry share it.
#[derive(Clone)]
pub(crate) struct EntryConcurrency {
    permits: Arc<Semaphore>,
    /// The permits for uploads of the entry: see `uploads`.
    pub(in crate::gateway) uploads: Arc<Semaphore>,
    pub(in crate::gateway) readers: Arc<EntryReaders>,
    waiting: Arc<AtomicUsize>,
    limit: Arc<Mutex<usize>>,
}

/// Limits on the queue of an entry.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway) struct QueueLimits {
    /// The number of requests that may wait; 0 turns them away at once.
    pub length: usize,
    /// How long a request may wait.
    pub wait: Duration,
}

/// The right to run one guest of an entry.
pub(in crate::gateway) struct Permit {
    _entry: OwnedSemaphorePermit,
    _total: OwnedSemaphorePermit,
}

/// A semaphore with `count` permits, or with as many as a semaphore can have.
fn semaphore(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}

/// Adds permits to those of a semaphore that was made with `before`, or takes permits away, now or when they come back.
fn resize(permits: &Arc<Semaphore>, before: usize, count: usize) {
    let (before, count) = (before.min(Semaphore::MAX_PERMITS), count.min(Semaphore::MAX_PERMITS));
    if count > before {
        return permits.add_permits(count - before);
    }
    let taken = permits.forget_permits(before - count);
    let Ok(in_use @ 1..) = u32::try_from(before - count - taken) else { return };
    let permits = permits.clone();
    tokio::spawn(async move {
        if let Ok(returned) = permits.acquire_many_owned(in_use).await {
            returned.forget();
        }
    });
}

impl EntryConcurrency {
    /// A limit of `count` concurrent guests.
    pub fn new(count: usize) -> Self {
        let (permits, share) = (semaphore(count), half(count));
        let (uploads, readers) = (semaphore(share), EntryReaders::new(share));
        Self { permits, uploads, readers, waiting: Arc::default(), limit: Arc::new(Mutex::new(count)) }
    }

    /// Changes the limit. Guests that run keep their permits, so that fewer start until there are no more than `count`. Must be
    /// called within a tokio runtime.
    pub fn set_limit(&self, count: usize) {
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        resize(&self.permits, *limit, count);
        resize(&self.uploads, half(*limit), half(count));
        self.readers.set_share(half(count));
        *limit = count;
    }

    /// How many guests run, and how many may.
    pub(in crate::gateway) fn usage(&self) -> (usize, usize) {
        let limit = *self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        (limit.saturating_sub(self.permits.available_permits()), limit)
    }

    /// Whether these are the permits of the same entry.
    pub(in crate::gateway) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.permits, &other.permits)
    }

    fn join_queue(&self, limit: usize) -> Result<Waiting<'_>, Failure> {
        let joined = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) < limit { Ok(joined) } else { Err(Failure::Busy) }
    }
}

impl TotalConcurrency {
    /// A limit of `count` concurrent guests.
    pub fn new(count: usize) -> Self {
        Self { permits: semaphore(count), limit: count, readers: Readers::new(half(count)) }
    }

    /// How many guests run, and how many may.
    pub fn usage(&self) -> (usize, usize) {
        (self.limit.saturating_sub(self.permits.available_permits()), self.limit)
    }

    /// Returns a permit for a guest of `entry`, at once or after waiting in its queue.
    #[cfg(test)]
    async fn acquire(&self, entry: &EntryConcurrency, queue: QueueLimits) -> Result<Permit, Failure> {
        match self.try_acquire(entry) {
            Some(permit) => Ok(permit),
            None => self.acquire_later(entry, queue).await,
        }
    }

    /// Returns a permit if there is one at once.
    pub fn try_acquire(&self, entry: &EntryConcurrency) -> Option<Permit> {
        let own = entry.permits.clone().try_acquire_owned().ok()?;
        let total = self.permits.clone().try_acquire_owned().ok()?;
        Some(Permit { _entry: own, _total: total })
    }

    /// Makes room, and waits in the queue if that takes time.
    pub async fn acquire_later(&self, entry: &EntryConcurrency, queue: QueueLimits) -> Result<Permit, Failure> {
        self.make_room(entry);
        if let Some(permit) = self.try_acquire(entry) {
            return Ok(permit);
        }
        let _waiting = entry.join_queue(queue.length)?;
        let (mut permit, end) = (pin!(self.wait(entry)), Instant::now() + queue.wait);
        let mut look = FIRST_LOOK;
        loop {
            let until = end.min(Instant::now() + look);
            match tokio::time::timeout_at(until, &mut permit).await {
                Ok(permit) => return permit.ok_or(Failure::Busy),
                Err(_) if until == end => return Err(Failure::Busy),
                Err(_) => self.make_room(entry),
            }
            look *= 2;
        }
    }

    /// Ends a guest that waits for a slow client, if too many do.
    fn make_room(&self, entry: &EntryConcurrency) {
        if entry.permits.available_permits() == 0 {
            self.readers.make_room(&PermitScope::Entry(&entry.readers));
        }
        if self.permits.available_permits() == 0 {
            self.readers.make_room(&PermitScope::All);
        }
    }

    async fn wait(&self, entry: &EntryConcurrency) -> Option<Permit> {
        // The permit of the entry comes first: a request that waits for it must not hold a total permit while it waits.
        let own = entry.permits.clone().acquire_owned().await.ok()?;
        let total = self.permits.clone().acquire_owned().await.ok()?;
        Some(Permit { _entry: own, _total: total })
    }
}

/// A request in the queue; leaves it when dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use crate::gateway::admission::concurrency::*;

    fn queue(length: usize) -> QueueLimits {
        QueueLimits { length, wait: Duration::from_millis(20) }
    }

    #[tokio::test]
    async fn a_module_without_a_free_permit_is_busy_while_another_is_served() {
        let limit = TotalConcurrency::new(10);
        let (one, other) = (EntryConcurrency::new(1), EntryConcurrency::new(1));
        let _permit = limit.acquire(&one, queue(10)).await.unwrap();
        assert!(matches!(limit.acquire(&one, queue(10)).await, Err(Failure::Busy)));
        assert!(limit.acquire(&other, queue(10)).await.is_ok());
    }

    #[tokio::test]
    async fn a_returned_permit_goes_to_a_waiting_request() {
        let limit = Arc::new(TotalConcurrency::new(1));
        let module = EntryConcurrency::new(1);
        let patient = QueueLimits { length: 1, wait: Duration::from_secs(60) };
        let permit = limit.acquire(&module, patient).await.unwrap();
        let waiting = tokio::spawn({
            let (limit, module) = (limit.clone(), module.clone());
            async move { limit.acquire(&module, patient).await.is_ok() }
        });
        while module.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        drop(permit);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn a_limit_that_changes_counts_the_guests_that_run() {
        let (limit, module) = (TotalConcurrency::new(10), EntryConcurrency::new(2));
        let first = limit.acquire(&module, queue(0)).await.unwrap();
        let second = limit.acquire(&module, queue(0)).await.unwrap();
        module.set_limit(3);
        let third = limit.acquire(&module, queue(0)).await.unwrap();
        assert!(matches!(limit.acquire(&module, queue(0)).await, Err(Failure::Busy)));
        module.set_limit(1);
        tokio::task::yield_now().await;
        drop((first, second));
        tokio::task::yield_now().await;
        assert!(matches!(limit.acquire(&module, queue(0)).await, Err(Failure::Busy)), "the third runs");
        drop(third);
        let _only = limit.acquire(&module, queue(1)).await.unwrap();
        assert!(matches!(limit.acquire(&module, queue(0)).await, Err(Failure::Busy)));
    }

    #[tokio::test]
    async fn a_full_queue_turns_away_at_once() {
        let (limit, module) = (TotalConcurrency::new(1), EntryConcurrency::new(1));
        let _permit = limit.acquire(&module, queue(0)).await.unwrap();
        assert!(matches!(limit.acquire(&module, queue(0)).await, Err(Failure::Busy)));
        assert_eq!(module.waiting.load(Ordering::Relaxed), 0);
    }
}
