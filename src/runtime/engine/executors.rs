//! On which threads does a guest compute?
//!
//! A guest starts in the foreground, on the thread that serves its client. If it still computes when its first time slice is
//! over, it moves to the background. The threads there have the lowest priority, and the guests take turns after each slice. So
//! a short request keeps its speed beside any number of guests that loop. A guest that only waits does not move. A guest that
//! goes on to compute there without a pause gets only what everything else leaves, until it waits for something.
//!
//! A guest that uses files first moves to threads that operations on files may block. The operations are done by the thread of
//! the guest, so they count as its CPU time. When the guest has computed for long, it moves to the background, files or not.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use wasmtime::Engine;

use crate::runtime::engine::pool::Pools;
use crate::runtime::engine::task::{Job, Lane, Queue, Task, TaskHandle};
use crate::runtime::engine::threads::lower_priority;
use crate::runtime::engine::ticker::Ticker;
use crate::runtime::engine::watch::FileGuest;

/// How many threads there are for the few operations that wasmtime-wasi does on a blocking thread of its runtime in any case.
const BLOCKING_THREADS: usize = 8;

/// How long these wait for work.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The threads for guests that use files or compute for long, and the ticker that ends time slices. The foreground is the
/// runtime of the caller.
pub(in crate::runtime) struct Executors {
    pools: Arc<Pools>,
    /// The timers and connections of guests in the background. `None` only while the value is dropped.
    drivers: Option<Runtime>,
    ticker: Ticker,
}

impl Executors {
    /// Starts the ticker of `engine`, and the threads as they are needed.
    pub fn start(engine: &Engine) -> io::Result<Self> {
        let drivers = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_keep_alive(IDLE_TIME)
            .thread_name("wagi-timers")
            .on_thread_start(lower_priority)
            .enable_all()
            .build()?;
        let pools = Pools::new(drivers.handle().clone());
        let watched = Arc::downgrade(&pools);
        let ticker = Ticker::start(engine, move || {
            if let Some(pools) = watched.upgrade() {
                pools.watch();
            }
        })?;
        Ok(Self { pools, drivers: Some(drivers), ticker })
    }

    /// Adds an engine whose guests use these threads.
    pub fn add_engine(&self, engine: &Engine) {
        self.ticker.add(engine);
    }

    /// Runs a job in a lane, of a guest that may have volumes. Dropping the handle aborts it, at its next time slice.
    pub fn run(&self, job: Box<dyn Job>, lane: Lane, files: Option<FileGuest>) -> TaskHandle {
        let task = Arc::new(Task::new(job, lane, files, self.pools.clone()));
        self.pools.push(task.clone());
        TaskHandle(task)
    }

    /// Runs a future that does not compute beside the timers.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(drivers) = &self.drivers {
            drivers.spawn(future);
        }
    }
}

impl Drop for Executors {
    fn drop(&mut self) {
        self.pools.close();
        // A runtime may be dropped from within another one only this way.
        if let Some(drivers) = self.drivers.take() {
            drivers.shutdown_background();
        }
    }
}
