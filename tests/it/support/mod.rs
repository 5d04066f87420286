//! What the tests stand on: guests, a gateway in the same process, a server in another, servers that guests call.

pub mod bindle;
pub mod caller;
pub mod guest;
pub mod harness;
pub mod http1;
pub mod http2;
pub mod process;
pub mod registry;
pub mod site;
pub mod tls;
pub mod upstream;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a condition may take that is not itself about time: far longer than it ever takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a condition, and fails when it does not come true.
#[track_caller]
pub fn eventually<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

static HEAVY: Mutex<()> = Mutex::new(());

/// Held by tests that measure time or keep all cores busy, so that they do not measure each other.
pub fn alone() -> MutexGuard<'static, ()> {
    // A test that failed has nothing to do with the next.
    HEAVY.lock().unwrap_or_else(PoisonError::into_inner)
}
