//! On which threads are snapshots loaded and made?
//!
//! They are made one after the other, on idle threads (`SCHED_IDLE`), with a compiler of half as many threads as there are cores. It is a
//! process that has turns while the server has many requests; without its executable these threads compile. What the cache has kept is
//! loaded on another thread, so that it waits for no compiler. Each thread is started for its first snapshot, and ends with what it works
//! for.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rayon::ThreadPoolBuilder;

use crate::runtime::code::compiler_turns::CompilerTurns;
use crate::runtime::engine::threads::{background_compilers, set_idle_policy};
use crate::runtime::request_count::RequestCount;
use crate::runtime::resume::cold_reason::ColdReason;

/// What a thread does. It does not panic.
type SnapshotJob = Box<dyn FnOnce() + Send>;

/// The threads that load and make snapshots.
pub(in crate::runtime) struct SnapshotWorker {
    loading: Mutex<Option<Sender<SnapshotJob>>>,
    making: Mutex<Option<Sender<SnapshotJob>>>,
    turns: Arc<CompilerTurns>,
}

impl SnapshotWorker {
    /// A worker that yields to these requests.
    pub fn beside(requests: RequestCount) -> Self {
        let turns = Arc::new(CompilerTurns::beside(requests));
        Self { loading: Mutex::default(), making: Mutex::default(), turns }
    }

    /// Runs a job that loads a snapshot when those before it are done.
    pub fn load(&self, job: impl FnOnce() + Send + 'static) -> Result<(), ColdReason> {
        send(&self.loading, Box::new(job), "wagi-warm-load", |jobs| load_all(&jobs))
    }

    /// Runs a job that makes a snapshot when those before it are done.
    pub fn make(&self, job: impl FnOnce() + Send + 'static) -> Result<(), ColdReason> {
        let turns = self.turns();
        send(&self.making, Box::new(job), "wagi-warm", move |jobs| make_all(&jobs, &turns))
    }

    /// The turns of the process that compiles snapshots.
    pub fn turns(&self) -> Arc<CompilerTurns> {
        self.turns.clone()
    }
}

fn send(
    to: &Mutex<Option<Sender<SnapshotJob>>>,
    job: SnapshotJob,
    name: &str,
    run: impl FnOnce(Receiver<SnapshotJob>) + Send + 'static,
) -> Result<(), ColdReason> {
    let mut sender = to.lock().unwrap_or_else(PoisonError::into_inner);
    let no_thread = |error: &dyn std::fmt::Display| ColdReason::Failed(format!("there is no thread for it: {error}"));
    let jobs = match sender.take() {
        Some(jobs) => jobs,
        None => start(name, run).map_err(|error| no_thread(&error))?,
    };
    // A thread that has ended is replaced the next time.
    jobs.send(job).map_err(|error| no_thread(&error))?;
    *sender = Some(jobs);
    Ok(())
}

fn start(name: &str, run: impl FnOnce(Receiver<SnapshotJob>) + Send + 'static) -> std::io::Result<Sender<SnapshotJob>> {
    let (sender, jobs) = channel::<SnapshotJob>();
    thread::Builder::new().name(name.into()).spawn(move || run(jobs))?;
    Ok(sender)
}

fn load_all(jobs: &Receiver<SnapshotJob>) {
    for job in jobs {
        job();
    }
}

/// Runs on a thread of normal priority: it stops the compiler when requests need the cores.
fn make_all(jobs: &Receiver<SnapshotJob>, turns: &CompilerTurns) {
    let pool = ThreadPoolBuilder::new().num_threads(background_compilers()).thread_name(|_| "wagi-warm-comp".into());
    let pool = pool.start_handler(|_| set_idle_policy()).panic_handler(|_| {}).build().ok();
    if pool.is_none() {
        set_idle_policy();
    }
    for job in jobs {
        let Some(pool) = &pool else {
            job();
            continue;
        };
        let (running, ended) = channel();
        pool.spawn(move || {
            // Dropped at the end.
            let _running = running;
            job();
        });
        turns.take_until(&ended);
    }
}
