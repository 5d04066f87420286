//! What the server counts about its connections. Written by the accept loop and the connections, read by whoever wants
//! to show it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since the start of the server.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Connections taken from the system.
    pub accepted: AtomicU64,
    /// Connections closed at once, since their address had too many already.
    pub refused: AtomicU64,
    /// Connections the system could not hand over.
    pub accept_errors: AtomicU64,
    /// Connections that did not get through the TLS handshake.
    pub handshakes_failed: AtomicU64,
    /// Connections cut because a limit of time was over.
    pub timed_out: AtomicU64,
    /// Connections whose client left before its answer was complete.
    pub clients_left: AtomicU64,
    /// Panics of the service.
    pub panics: AtomicU64,
}

impl Counters {
    pub(in crate::server) fn count(counter: &AtomicU64) -> u64 {
        counter.fetch_add(1, Relaxed) + 1
    }
}

/// Held by every task that runs the service, so that a panic does not go by unseen: it ends only that task.
pub(in crate::server) struct PanicCounter(pub(in crate::server) Arc<Counters>);

impl Drop for PanicCounter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let panics = Counters::count(&self.0.panics);
            tracing::error!(panics, "the service panicked");
        }
    }
}
