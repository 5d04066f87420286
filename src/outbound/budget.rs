//! How much may one run pass to and from other servers?
//!
//! What passes as it comes is not held, so that `sessions` has nothing to count; here are the calls a run makes, how many
//! of them are under way, and the bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::outbound::{Error, Limits};

/// What one run may still pass. When it is dropped, what is under way has lost its owner.
#[derive(Debug)]
pub struct CallBudget {
    most_open: u32,
    most_calls: u32,
    most_bytes: u64,
    counted: Arc<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    open: AtomicU32,
    calls: AtomicU32,
    bytes: AtomicU64,
}

impl CallBudget {
    pub(super) fn new(limits: &Limits, most_open: Option<u32>) -> Self {
        let most_open = most_open.unwrap_or(u32::MAX);
        Self { most_open, most_calls: limits.calls, most_bytes: limits.passed, counted: Arc::default() }
    }

    /// Asked before each call: may there be another?
    pub fn admit(&self) -> Result<CallPermit, Error> {
        if self.counted.open.load(Relaxed) >= self.most_open {
            return Err(Error::TooManyOpen);
        }
        if self.counted.calls.fetch_add(1, Relaxed) >= self.most_calls {
            return Err(Error::TooManyCalls(self.most_calls));
        }
        self.counted.open.fetch_add(1, Relaxed);
        Ok(CallPermit { counted: self.counted.clone(), most_bytes: self.most_bytes })
    }
}

/// A call under way, until dropped.
#[derive(Debug)]
pub struct CallPermit {
    counted: Arc<Counted>,
    most_bytes: u64,
}

impl CallPermit {
    /// Counts what passes.
    pub(super) fn passes(&self) -> ByteCounter {
        ByteCounter { counted: self.counted.clone(), most_bytes: self.most_bytes }
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.counted.open.fetch_sub(1, Relaxed);
    }
}

/// The count of bytes, for one body.
#[derive(Debug)]
pub(super) struct ByteCounter {
    counted: Arc<Counted>,
    most_bytes: u64,
}

impl ByteCounter {
    pub fn add(&self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes as u64;
        let before = self.counted.bytes.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) > self.most_bytes { Err(Error::TooMuchPassed(self.most_bytes)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use crate::outbound::budget::*;

    fn budget(most_open: Option<u32>) -> CallBudget {
        CallBudget::new(&Limits { calls: 3, passed: 10, ..Limits::default() }, most_open)
    }

    #[test]
    fn calls_under_way_are_counted_until_they_are_over() {
        let budget = budget(Some(1));
        let first = budget.admit().expect("the first");
        assert_eq!(budget.admit().expect_err("a second").code(), 13);
        drop(first);
        budget.admit().expect("the next");
    }

    #[test]
    fn a_run_may_call_so_often_and_no_more() {
        let budget = budget(None);
        for _ in 0..3 {
            budget.admit().expect("one of three");
        }
        assert_eq!(budget.admit().expect_err("a fourth").code(), 13);
    }

    #[test]
    fn bytes_of_all_calls_are_counted_together() {
        let budget = budget(None);
        let (one, other) = (budget.admit().expect("one"), budget.admit().expect("another"));
        one.passes().add(6).expect("six of ten");
        other.passes().add(4).expect("ten of ten");
        assert!(one.passes().add(1).is_err());
    }
}
