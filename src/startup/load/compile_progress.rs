//! What does the log say while modules are compiled? A line about each module that takes long, so that a start is not silent.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::ModuleRef;

/// After how long there is the first line about a module, and how long after that the next one.
const FIRST_LINE: Duration = Duration::from_secs(3);
const NEXT_LINE: Duration = Duration::from_secs(10);

/// How often wagi checks whether a line is due.
const INTERVAL: Duration = Duration::from_millis(500);

/// The modules that are being compiled.
#[derive(Default)]
pub(super) struct CompileProgress(Mutex<Vec<RunningCompilation>>);

struct RunningCompilation {
    module: ModuleRef,
    started: Instant,
    next_line: Duration,
}

impl CompileProgress {
    /// Calls `compile`, which compiles `module`.
    pub fn show<T>(&self, module: &ModuleRef, compile: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        self.compilations().push(RunningCompilation { module: module.clone(), started, next_line: FIRST_LINE });
        let compiled = compile();
        let mut compilations = self.compilations();
        let index = compilations.iter().position(|running| running.started == started && running.module == *module);
        index.map(|index| compilations.swap_remove(index));
        compiled
    }

    /// Writes lines until the sender of `stop` is dropped.
    pub fn log_until(&self, stop: &Receiver<()>) {
        while stop.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
            self.log(Instant::now());
        }
    }

    fn log(&self, now: Instant) {
        for (module, took) in self.due(now) {
            tracing::info!(%module, ?took, "compiling");
        }
    }

    /// The modules about which a line is due, each with the time that it has taken.
    fn due(&self, now: Instant) -> Vec<(ModuleRef, Duration)> {
        let mut due = Vec::new();
        for running in self.compilations().iter_mut() {
            let took = now.saturating_duration_since(running.started);
            if took >= running.next_line {
                running.next_line = took + NEXT_LINE;
                due.push((running.module.clone(), took));
            }
        }
        due
    }

    fn compilations(&self) -> MutexGuard<'_, Vec<RunningCompilation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use crate::startup::load::compile_progress::*;

    #[test]
    fn a_line_is_due_about_what_takes_long_and_again_from_time_to_time() {
        let progress = CompileProgress::default();
        let module = ModuleRef::File("slow.wasm".into());
        let begun = Instant::now();
        let after = |seconds| progress.due(begun + Duration::from_secs(seconds)).len();
        let lines = progress.show(&module, || [2, 4, 5, 13, 15, 24, 26].map(after));
        assert_eq!(lines, [0, 1, 0, 0, 1, 0, 1]);
        assert_eq!(after(100), 0, "it is compiled");
    }
}
