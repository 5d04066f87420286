//! What may calls take, and what has one run left of it?
//!
//! [`CallLimits`] are those of each call and of each run. Bodies that pass piece by piece are not held, so that `open_responses`
//! counts nothing for them; [`CallBudget`] counts the calls of a run, how many of them are under way, and their bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::outbound::error::Error;

/// What the calls of an entry's guests may take.
#[derive(Clone, Debug)]
pub struct CallLimits {
    /// The time of a whole call, redirects and body included.
    pub total: Duration,
    /// The longest silence within the body of a response.
    pub idle: Duration,
    /// The time to connect; once more as much for the TLS handshake.
    pub connect: Duration,
    /// The time to resolve a name.
    pub resolve: Duration,
    /// Bytes of a response's body.
    pub body: usize,
    /// Bytes of the head of a response.
    pub headers: usize,
    /// Redirects followed in one call.
    pub redirects: usize,
    /// Calls of one run.
    pub calls: u32,
    /// Bytes of all bodies that one run holds.
    pub held: usize,
    /// Bytes of all bodies that one run sends and receives piece by piece. They are not held in memory.
    pub max_streamed: u64,
    /// Connections of one entry, idle ones included.
    pub connections: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(30),
            idle: Duration::from_secs(15),
            connect: Duration::from_secs(5),
            resolve: Duration::from_secs(5),
            body: 16 * 1024 * 1024,
            headers: 64 * 1024,
            redirects: 10,
            calls: 256,
            held: 64 * 1024 * 1024,
            max_streamed: 1024 * 1024 * 1024,
            connections: 1024,
        }
    }
}

/// What one run may still send and receive. When it is dropped, the calls under way end.
#[derive(Debug)]
pub struct CallBudget {
    max_open: u32,
    max_calls: u32,
    max_bytes: u64,
    used: Arc<Used>,
}

#[derive(Debug, Default)]
struct Used {
    open: AtomicU32,
    calls: AtomicU32,
    bytes: AtomicU64,
}

impl CallBudget {
    /// A budget with up to `max_open` calls at a time.
    pub(super) fn new(limits: &CallLimits, max_open: Option<u32>) -> Self {
        let max_open = max_open.unwrap_or(u32::MAX);
        Self { max_open, max_calls: limits.calls, max_bytes: limits.max_streamed, used: Arc::default() }
    }

    /// A permit for one more call.
    pub(super) fn acquire(&self) -> Result<CallPermit, Error> {
        if self.used.open.load(Relaxed) >= self.max_open {
            return Err(Error::TooManyOpen);
        }
        if self.used.calls.fetch_add(1, Relaxed) >= self.max_calls {
            return Err(Error::TooManyCalls(self.max_calls));
        }
        self.used.open.fetch_add(1, Relaxed);
        Ok(CallPermit { used: self.used.clone(), max_bytes: self.max_bytes })
    }
}

/// A call under way, until dropped.
#[derive(Debug)]
pub(super) struct CallPermit {
    used: Arc<Used>,
    max_bytes: u64,
}

impl CallPermit {
    /// A counter for the bytes of one body.
    pub fn byte_counter(&self) -> ByteCounter {
        ByteCounter { used: self.used.clone(), max_bytes: self.max_bytes }
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.used.open.fetch_sub(1, Relaxed);
    }
}

/// Counts bytes of one body against the budget of the run.
#[derive(Debug)]
pub(super) struct ByteCounter {
    used: Arc<Used>,
    max_bytes: u64,
}

impl ByteCounter {
    pub fn add(&self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes as u64;
        let before = self.used.bytes.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) > self.max_bytes { Err(Error::ByteLimit(self.max_bytes)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use crate::outbound::budget::*;

    fn budget(max_open: Option<u32>) -> CallBudget {
        CallBudget::new(&CallLimits { calls: 3, max_streamed: 10, ..CallLimits::default() }, max_open)
    }

    #[test]
    fn calls_under_way_are_counted_until_they_are_over() {
        let budget = budget(Some(1));
        let first = budget.acquire().expect("the first");
        assert_eq!(budget.acquire().expect_err("a second").code(), 13);
        drop(first);
        budget.acquire().expect("the next");
    }

    #[test]
    fn the_calls_of_a_run_are_limited() {
        let budget = budget(None);
        for _ in 0..3 {
            budget.acquire().expect("one of three");
        }
        assert_eq!(budget.acquire().expect_err("a fourth").code(), 13);
    }

    #[test]
    fn bytes_of_all_calls_are_counted_together() {
        let budget = budget(None);
        let (one, other) = (budget.acquire().expect("one"), budget.acquire().expect("another"));
        one.byte_counter().add(6).expect("six of ten");
        other.byte_counter().add(4).expect("ten of ten");
        assert!(one.byte_counter().add(1).is_err());
    }
}
