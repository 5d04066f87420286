//! What does the server count? The loop that accepts connections and the connections themselves increment the counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since the start of the server.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Accepted connections.
    pub accepted: AtomicU64,
    /// Connections that were closed at once, because their client already had too many.
    pub refused: AtomicU64,
    /// Errors of the system while a connection was accepted.
    pub accept_errors: AtomicU64,
    /// Connections closed since no trusted proxy announced them, where that is required.
    pub unannounced: AtomicU64,
    /// Connections whose TLS handshake failed.
    pub handshakes_failed: AtomicU64,
    /// Connections that exceeded a timeout.
    pub timed_out: AtomicU64,
    /// HTTP/2 connections whose client sent too many control frames.
    pub flooded: AtomicU64,
    /// Connections whose client closed them before its response was complete.
    pub disconnected: AtomicU64,
    /// Panics of the service.
    pub panics: AtomicU64,
}

impl Counters {
    pub(in crate::server) fn increment(counter: &AtomicU64) -> u64 {
        counter.fetch_add(1, Relaxed) + 1
    }
}

/// Every task that runs the service holds one. It counts and logs a panic, which ends only that task.
pub(in crate::server) struct PanicCounter(pub(in crate::server) Arc<Counters>);

impl Drop for PanicCounter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let panics = Counters::increment(&self.0.panics);
            tracing::error!(panics, "the service panicked");
        }
    }
}
