//! How many requests has the server begun to serve?
//!
//! What is made in the background looks how many are added: beside few it need not rest.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// How many requests have begun. Clones share the number.
#[derive(Clone, Debug, Default)]
pub struct RequestCount(Arc<AtomicU64>);

impl RequestCount {
    /// A request begins. Returns how many began before it.
    pub fn begin(&self) -> u64 {
        self.0.fetch_add(1, Relaxed)
    }

    /// How many have begun.
    pub(in crate::runtime) fn begun(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
