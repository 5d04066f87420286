//! On which threads are snapshots loaded and made?
//!
//! They are made on a thread of the lowest priority, one after the other, with a compiler of the lowest priority. What the cache has kept
//! is loaded on another thread, so that it waits for no compiler. Each thread is started for its first snapshot, and ends with what it
//! works for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rayon::ThreadPoolBuilder;

use crate::runtime::engine::threads::lower_priority;

type SnapshotJob = Box<dyn FnOnce() + Send>;

/// The threads that load and make snapshots.
#[derive(Default)]
pub(in crate::runtime) struct SnapshotWorker {
    loading: Mutex<Option<Sender<SnapshotJob>>>,
    making: Mutex<Option<Sender<SnapshotJob>>>,
}

impl SnapshotWorker {
    /// Runs a job that loads a snapshot when those before it are done.
    pub fn load(&self, job: impl FnOnce() + Send + 'static) {
        send(&self.loading, Box::new(job), "wagi-warm-load", load_all);
    }

    /// Runs a job that makes a snapshot when those before it are done.
    pub fn make(&self, job: impl FnOnce() + Send + 'static) {
        send(&self.making, Box::new(job), "wagi-warm", make_all);
    }
}

fn send(to: &Mutex<Option<Sender<SnapshotJob>>>, job: SnapshotJob, name: &str, run: fn(&Receiver<SnapshotJob>)) {
    let mut sender = to.lock().unwrap_or_else(PoisonError::into_inner);
    let jobs = sender.get_or_insert_with(|| start(name, run));
    if jobs.send(job).is_err() {
        tracing::warn!("warm start: there is no thread for snapshots");
    }
}

fn start(name: &str, run: fn(&Receiver<SnapshotJob>)) -> Sender<SnapshotJob> {
    let (sender, jobs) = channel::<SnapshotJob>();
    let spawned = thread::Builder::new().name(name.into()).spawn(move || run(&jobs));
    if let Err(error) = spawned {
        tracing::warn!(%error, "warm start: a thread for snapshots cannot be started");
    }
    sender
}

fn load_all(jobs: &Receiver<SnapshotJob>) {
    jobs.iter().for_each(run);
}

fn make_all(jobs: &Receiver<SnapshotJob>) {
    lower_priority();
    let compiler = ThreadPoolBuilder::new().thread_name(|_| "wagi-warm-comp".into());
    let compiler = compiler.start_handler(|_| lower_priority()).build().ok();
    for job in jobs {
        match &compiler {
            Some(compiler) => compiler.install(|| run(job)),
            None => run(job),
        }
    }
}

/// The module may be a third party's, and a mistake in it or for it is no reason to make no other snapshot.
fn run(job: SnapshotJob) {
    if catch_unwind(AssertUnwindSafe(job)).is_err() {
        tracing::error!("warm start: making a snapshot has failed");
    }
}
