//! On which threads is a module compiled?
//!
//! A start uses those that all of the process share, as many as there are cores. They make way for requests when it begins to serve. A
//! reload has some of the lowest priority, so that requests do not wait.

use std::sync::{Once, OnceLock};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::runtime::{Compilers, lower_priority};

use crate::startup::load::Priority;

/// The threads that compile one module.
pub(super) struct CompilerThreads {
    priority: Priority,
    compilers: Compilers,
    shared: Once,
    of_low_priority: OnceLock<Option<ThreadPool>>,
}

impl CompilerThreads {
    /// Threads of this priority. Those of a start are among `compilers`.
    pub fn new(priority: Priority, compilers: &Compilers) -> Self {
        Self { priority, compilers: compilers.clone(), shared: Once::new(), of_low_priority: OnceLock::new() }
    }

    /// Calls `compile` where the threads of the compiler have the right priority.
    pub fn run<T: Send>(&self, compile: impl FnOnce() -> T + Send) -> T {
        if !self.priority.is_low() {
            self.shared.call_once(|| start_shared(&self.compilers));
            return compile();
        }
        match self.of_low_priority.get_or_init(threads_of_low_priority) {
            Some(threads) => threads.install(compile),
            None => compile(),
        }
    }

    /// Calls `load`, which loads a module, on this thread: it may compile a part itself, and start processes that compile.
    pub fn with_this_thread<T>(&self, load: impl FnOnce() -> T) -> T {
        if self.priority.is_low() {
            lower_priority();
            return load();
        }
        self.compilers.enter();
        let loaded = load();
        self.compilers.leave();
        loaded
    }
}

/// Starts the threads that the process shares. They stay, and are started once: if they are there, they are among the compilers of an
/// earlier load, or are those of a program in which the library is.
fn start_shared(compilers: &Compilers) {
    let compilers = compilers.clone();
    let threads = ThreadPoolBuilder::new().thread_name(|_| NAME.into()).start_handler(move |_| compilers.enter());
    if let Err(error) = threads.build_global() {
        tracing::debug!(%error, "compiling on threads that were there before");
    }
}

/// Threads that have no part in what the others compile, among `compilers`.
pub(super) fn own_threads(compilers: &Compilers) -> Option<ThreadPool> {
    let (starting, ending) = (compilers.clone(), compilers.clone());
    let threads = ThreadPoolBuilder::new().thread_name(|_| NAME.into());
    let threads = threads.start_handler(move |_| starting.enter()).exit_handler(move |_| ending.leave()).build();
    threads.inspect_err(|error| tracing::warn!(%error, "compiling on the threads of other modules")).ok()
}

fn threads_of_low_priority() -> Option<ThreadPool> {
    let threads = ThreadPoolBuilder::new().thread_name(|_| NAME.into()).start_handler(|_| lower_priority());
    threads.build().inspect_err(|error| tracing::warn!(%error, "compiling at the priority of requests")).ok()
}

/// What these threads are called.
const NAME: &str = "wagi-compiler";
