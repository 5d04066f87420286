//! What the tests stand on: guests, a gateway in the same process, a server in another, servers that guests call.

pub mod admin;
pub mod bindle;
pub mod browser;
pub mod caller;
pub mod example;
pub mod guest;
pub mod harness;
pub mod http1;
pub mod http2;
pub mod output;
pub mod port;
pub mod process;
pub mod registry;
pub mod site;
pub mod terminal;
pub mod tls;
pub mod tree;
pub mod upstream;
pub mod usage;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a condition may take that is not itself about time: far longer than it ever takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The same for what is done at the lowest priority, and for what a process or another end of a connection does: a machine that has
/// other things to do may take minutes for a second of it.
pub const LONG: Duration = PATIENCE.saturating_mul(10);

/// Waits for a condition, and fails when it does not come true.
#[track_caller]
pub fn eventually<T>(condition: impl FnMut() -> Option<T>) -> T {
    let Some(value) = within(PATIENCE, condition) else { panic!("waited {PATIENCE:?} in vain") };
    value
}

/// Waits for what is done at the lowest priority.
#[track_caller]
pub fn at_leisure<T>(condition: impl FnMut() -> Option<T>) -> T {
    let Some(value) = within(LONG, condition) else { panic!("waited {LONG:?} in vain") };
    value
}

/// Waits for a condition; `None` when it has not come true.
fn within<T>(patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let value = condition();
        if value.is_some() || begun.elapsed() >= patience {
            return value;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Makes a pipe. No process is at its other end.
pub fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("there is a mkfifo").success());
}

/// Sets a flag at its end, also if the test fails: a thread of a scope that waits for the flag would keep the test from ending.
pub struct SetAtEnd<'a>(pub &'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Numbers that look random and are the same in every run (Knuth's 64-bit multiplier).
pub struct Dice(pub u64);

impl Dice {
    /// The next number, from 0 to below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

static HEAVY: Mutex<()> = Mutex::new(());

/// Held by tests that measure time or keep all cores busy, so that they do not measure each other.
pub fn alone() -> MutexGuard<'static, ()> {
    // A test that failed has nothing to do with the next.
    HEAVY.lock().unwrap_or_else(PoisonError::into_inner)
}
