//! When has the server been idle for so long that it ends, with `--idle-exit`?
//!
//! It is idle while no connection is open but those that wait for their next request. Nothing is recorded for a request:
//! each tick looks at the open connections, and at what they have finished since the last one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::server::connection::state::ConnectionState;

/// How many times the server looks in the time after which it ends, and the bounds of the pause between.
const TICKS: u32 = 8;
const MIN_TICK: Duration = Duration::from_millis(10);
const MAX_TICK: Duration = Duration::from_secs(1);

/// Watches over the connections of a server that ends when it is idle.
#[derive(Debug)]
pub(super) struct IdleWatch {
    limit: Duration,
    open: Mutex<Vec<Weak<WatchedConnection>>>,
    /// A connection ended after it had done something.
    was_used: AtomicBool,
}

/// A connection that counts as open, until dropped.
#[derive(Debug)]
pub(super) struct WatchedConnection {
    state: Arc<ConnectionState>,
    watch: Arc<IdleWatch>,
    /// The requests that were finished at the last tick.
    seen: AtomicUsize,
}

impl IdleWatch {
    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, open: Mutex::default(), was_used: AtomicBool::new(false) }
    }

    /// Counts a connection until the result is dropped.
    pub(super) fn watch(self: &Arc<Self>, state: &Arc<ConnectionState>) -> Arc<WatchedConnection> {
        let (state, watch) = (Arc::clone(state), Arc::clone(self));
        let connection = Arc::new(WatchedConnection { state, watch, seen: AtomicUsize::new(0) });
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&connection));
        connection
    }

    /// Resolves when the server has been idle for as long as the limit.
    pub(super) async fn elapsed(&self) {
        let tick = (self.limit / TICKS).clamp(MIN_TICK, MAX_TICK);
        let mut idle_since = Instant::now();
        while idle_since.elapsed() < self.limit {
            tokio::time::sleep(tick).await;
            if self.was_busy() {
                idle_since = Instant::now();
            }
        }
    }

    /// Whether any connection has done something since the last call, or does now.
    pub(super) fn was_busy(&self) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_busy = self.was_used.swap(false, Relaxed);
        open.retain(|connection| {
            let Some(connection) = connection.upgrade() else { return false };
            is_busy |= connection.was_busy();
            true
        });
        is_busy
    }
}

impl WatchedConnection {
    fn was_busy(&self) -> bool {
        let finished = self.state.finished_requests();
        let is_new = self.seen.swap(finished, Relaxed) != finished;
        is_new || !self.state.waits_for_next_request()
    }
}

impl Drop for WatchedConnection {
    fn drop(&mut self) {
        let finished = self.state.finished_requests();
        if finished == 0 || finished != self.seen.load(Relaxed) {
            self.watch.was_used.store(true, Relaxed);
        }
    }
}
