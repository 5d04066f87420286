//! Who may start a guest now, who waits, and who is turned away?
//!
//! Each module has so many places and so have all together. A request that finds none free waits in its module's queue,
//! which is of limited length, for a limited time; a waiting request costs no instance. Places are given back when the
//! instance is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::gateway::failure::Failure;

/// The places of all modules together, and how queues for them are.
pub(super) struct Admission {
    places: Arc<Semaphore>,
    longest_queue: usize,
    longest_wait: Duration,
}

/// The places of one module, and who waits for them. Its routes share them.
#[derive(Clone)]
pub(super) struct Places {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// A place for one guest, in its module's share and in all.
pub(super) struct Place {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Places {
    pub fn new(count: usize) -> Self {
        let places = Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { places, waiting: Arc::default() }
    }
}

impl Admission {
    pub fn new(places: usize, longest_queue: usize, longest_wait: Duration) -> Self {
        Self { places: Places::new(places).places, longest_queue, longest_wait }
    }

    /// A place at once or after waiting.
    pub async fn enter(&self, module: &Places) -> Result<Place, Failure> {
        if let Ok(own) = module.places.clone().try_acquire_owned()
            && let Ok(of_all) = self.places.clone().try_acquire_owned()
        {
            return Ok(Place { _own: own, _of_all: of_all });
        }
        let _waiting = self.join_queue(module)?;
        match tokio::time::timeout(self.longest_wait, self.acquire(module)).await {
            Ok(Some(place)) => Ok(place),
            Ok(None) | Err(_) => Err(Failure::Busy),
        }
    }

    async fn acquire(&self, module: &Places) -> Option<Place> {
        // Its own first: whoever waits for a neighbour's guests must not hold what others could use.
        let own = module.places.clone().acquire_owned().await.ok()?;
        let of_all = self.places.clone().acquire_owned().await.ok()?;
        Some(Place { _own: own, _of_all: of_all })
    }

    fn join_queue<'a>(&self, module: &'a Places) -> Result<Waiting<'a>, Failure> {
        let joined = Waiting(&module.waiting);
        if module.waiting.fetch_add(1, Ordering::Relaxed) < self.longest_queue {
            Ok(joined)
        } else {
            Err(Failure::Busy)
        }
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
    use crate::gateway::concurrency::*;

    fn admission(places: usize, queue: usize) -> Admission {
        Admission::new(places, queue, Duration::from_millis(20))
    }

    #[tokio::test]
    async fn a_script_without_a_free_place_is_busy_while_another_is_served() {
        let (admission, one, other) = (admission(10, 10), Places::new(1), Places::new(1));
        let _place = admission.enter(&one).await.unwrap();
        assert!(matches!(admission.enter(&one).await, Err(Failure::Busy)));
        assert!(admission.enter(&other).await.is_ok());
    }

    #[tokio::test]
    async fn a_place_given_back_goes_to_who_waits() {
        let admission = Arc::new(Admission::new(1, 1, Duration::from_secs(60)));
        let places = Places::new(1);
        let place = admission.enter(&places).await.unwrap();
        let waiting = tokio::spawn({
            let (admission, places) = (admission.clone(), places.clone());
            async move { admission.enter(&places).await.is_ok() }
        });
        while places.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        drop(place);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_turns_away_at_once() {
        let (admission, places) = (admission(1, 0), Places::new(1));
        let _place = admission.enter(&places).await.unwrap();
        assert!(matches!(admission.enter(&places).await, Err(Failure::Busy)));
        assert_eq!(places.waiting.load(Ordering::Relaxed), 0);
    }
}
