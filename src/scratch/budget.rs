//! How much may all scratch directories of a process hold together?

use std::sync::atomic::{AtomicU64, Ordering};

/// The room that all requests have together.
#[derive(Debug)]
pub(super) struct ScratchBudget {
    left: AtomicU64,
}

impl ScratchBudget {
    /// Room for `total` bytes.
    pub fn new(total: u64) -> Self {
        Self { left: AtomicU64::new(total) }
    }

    /// Takes room for these bytes, if it is there.
    pub fn take(&self, bytes: u64) -> bool {
        bytes == 0
            || self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    /// Returns the room for these bytes.
    pub fn give_back(&self, bytes: u64) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}
