//! On which threads is a module compiled?
//!
//! A start uses those of the engine, as many as there are cores. A reload has some of the lowest priority, so that requests do not wait.

use std::sync::OnceLock;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::runtime::lower_priority;

use crate::startup::load::Priority;

/// The threads that compile one module.
pub(super) struct CompilerThreads {
    priority: Priority,
    threads: OnceLock<Option<ThreadPool>>,
}

impl CompilerThreads {
    pub fn new(priority: Priority) -> Self {
        Self { priority, threads: OnceLock::new() }
    }

    /// Calls `compile` where the threads of the compiler have the right priority.
    pub fn run<T: Send>(&self, compile: impl FnOnce() -> T + Send) -> T {
        match self.priority {
            Priority::Start | Priority::Developer => compile(),
            Priority::Reload | Priority::Optimization => match self.threads.get_or_init(threads_of_low_priority) {
                Some(threads) => threads.install(compile),
                None => compile(),
            },
        }
    }
}

fn threads_of_low_priority() -> Option<ThreadPool> {
    let threads = ThreadPoolBuilder::new().thread_name(|_| "wagi-compiler".into()).start_handler(|_| lower_priority());
    threads.build().inspect_err(|error| tracing::warn!(%error, "compiling at the priority of requests")).ok()
}
