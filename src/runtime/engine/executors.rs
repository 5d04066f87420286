//! On which threads does a guest compute?
//!
//! A guest starts in the foreground, on the thread that serves its client. If it is still computing when its first time
//! slice is over, it moves to the background: a second runtime whose threads run at the lowest priority, where guests take
//! turns slice by slice. So a short request keeps its speed beside any number of guests that loop. A guest that only waits
//! does not move.

use std::future::Future;
use std::{io, thread};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use wasmtime::Engine;

use crate::runtime::engine::ticker::Ticker;

/// The lowest priority there is; asking for it needs no privilege.
const LOWEST_PRIORITY: i32 = 19;

/// The background threads, and the ticker that ends time slices. The foreground is the runtime of the caller.
pub(in crate::runtime) struct Executors {
    /// `None` only while the value is dropped.
    background: Option<Runtime>,
    ticker: Ticker,
}

impl Executors {
    /// Starts the background threads, one per core, and the ticker of `engine`.
    pub fn start(engine: &Engine) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_name("wagi-background")
            .on_thread_start(lower_priority)
            // Each poll of a guest takes a whole slice, so timers and sockets are looked at after every few.
            .event_interval(4)
            .enable_all()
            .build()?;
        Ok(Self { background: Some(runtime), ticker: Ticker::start(engine)? })
    }

    /// Adds an engine whose guests use these threads.
    pub fn add_engine(&self, engine: &Engine) {
        self.ticker.add(engine);
    }

    /// Runs a future in the background. Dropping the handle does not stop it; `abort` does, at its next time slice.
    pub fn spawn<F>(&self, future: F) -> Option<JoinHandle<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        Some(self.background.as_ref()?.spawn(future))
    }
}

impl Drop for Executors {
    fn drop(&mut self) {
        // A runtime may be dropped from within another one only this way.
        if let Some(runtime) = self.background.take() {
            runtime.shutdown_background();
        }
    }
}

fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, LOWEST_PRIORITY) {
        tracing::warn!(%error, "cannot lower the priority of the threads for long computations");
    }
}
