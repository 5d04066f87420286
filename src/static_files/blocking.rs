//! On which threads are files opened and read?
//!
//! On threads that may block, and at most 64 of them at the same time: each of them holds one piece of a file, and more would only wait for
//! the same disks. A client waits for its turn, but not for ever.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task;
use tokio::time::timeout;

/// How many operations on files run at the same time.
const MAX_OPERATIONS: usize = 64;

/// How long an operation may take, with the time until its turn: a file system behind a network may not respond.
const PATIENCE: Duration = Duration::from_secs(30);

/// One for all entries and all configurations: the disks are the same.
static OPERATIONS: Semaphore = Semaphore::const_new(MAX_OPERATIONS);

/// Runs an operation on a thread that may block. `None` if it takes too long; the thread then ends when the operation does.
pub(super) async fn run<T: Send + 'static>(operation: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let running = async {
        let turn = OPERATIONS.acquire().await.ok()?;
        let done = task::spawn_blocking(move || {
            // To the end of the operation, even if nothing waits for it any more.
            let _turn = turn;
            operation()
        });
        done.await.ok()
    };
    timeout(PATIENCE, running).await.ok().flatten()
}
