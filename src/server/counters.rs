//! What the server counts about its connections. Written by the accept loop and the connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts since the start of the server.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Accepted connections.
    pub accepted: AtomicU64,
    /// Connections closed at once, since their client had too many already.
    pub refused: AtomicU64,
    /// Errors of the system while a connection was accepted.
    pub accept_errors: AtomicU64,
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

/// Held by every task that runs the service. Counts and logs a panic, which ends only that task.
pub(in crate::server) struct PanicCounter(pub(in crate::server) Arc<Counters>);

impl Drop for PanicCounter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let panics = Counters::increment(&self.0.panics);
            tracing::error!(panics, "the service panicked");
        }
    }
}
