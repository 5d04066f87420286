//! On which thread are snapshots made?
//!
//! On one of the lowest priority, one after the other, with a compiler of the lowest priority. It is started for the first snapshot, and
//! ends with what it works for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rayon::ThreadPoolBuilder;

use crate::runtime::engine::threads::lower_priority;

type Making = Box<dyn FnOnce() + Send>;

/// The thread that makes snapshots.
#[derive(Default)]
pub(in crate::runtime) struct SnapshotWorker(Mutex<Option<Sender<Making>>>);

impl SnapshotWorker {
    /// Runs `job` when those before it are done.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = sender.get_or_insert_with(start);
        if jobs.send(Box::new(job)).is_err() {
            tracing::warn!("warm start: there is no thread that makes snapshots");
        }
    }
}

fn start() -> Sender<Making> {
    let (sender, jobs) = channel::<Making>();
    let spawned = thread::Builder::new().name("wagi-warm".into()).spawn(move || {
        lower_priority();
        let compiler = ThreadPoolBuilder::new().thread_name(|_| "wagi-warm-comp".into());
        let compiler = compiler.start_handler(|_| lower_priority()).build().ok();
        while let Ok(job) = jobs.recv() {
            // The module may be a third party's, and a mistake in it or for it is no reason to make no other snapshot.
            let job = AssertUnwindSafe(|| match &compiler {
                Some(compiler) => compiler.install(job),
                None => job(),
            });
            if catch_unwind(job).is_err() {
                tracing::error!("warm start: making a snapshot has failed");
            }
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "warm start: the thread that makes snapshots cannot be started");
    }
    sender
}
