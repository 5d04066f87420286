//! What is said while modules are compiled? A line of the log about each module that takes long, and a bar on a terminal, so that a
//! start is not silent.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config::ModuleRef;
use crate::fetch::{ModuleCompilation, Progress};

/// After how long there is the first line about a module, and how long after that the next one.
const FIRST_LINE: Duration = Duration::from_secs(3);
const NEXT_LINE: Duration = Duration::from_secs(10);

/// After how long there is a bar: code that is in the cache is there sooner.
const FIRST_BAR: Duration = Duration::from_millis(400);

/// How often wagi checks whether a line or a bar is due.
const INTERVAL: Duration = Duration::from_millis(500);

/// The modules that are being compiled.
pub(super) struct CompileProgress {
    running: Mutex<Vec<RunningCompilation>>,
    bars: Arc<dyn Progress>,
}

struct RunningCompilation {
    module: ModuleRef,
    bytes: u64,
    started: Instant,
    next_line: Duration,
    bar: Option<Box<dyn ModuleCompilation>>,
}

impl CompileProgress {
    pub fn new(bars: Arc<dyn Progress>) -> Self {
        Self { running: Mutex::default(), bars }
    }

    /// Calls `compile`, which compiles `module`, which has `bytes`.
    pub fn show<T>(&self, module: &ModuleRef, bytes: u64, compile: impl FnOnce() -> T) -> T {
        let (started, module) = (Instant::now(), module.clone());
        let running = RunningCompilation { module: module.clone(), bytes, started, next_line: FIRST_LINE, bar: None };
        self.compilations().push(running);
        let compiled = compile();
        let mut compilations = self.compilations();
        let index = compilations.iter().position(|running| running.started == started && running.module == module);
        index.map(|index| compilations.swap_remove(index));
        compiled
    }

    /// Writes lines, and shows bars, until the sender of `stop` is dropped.
    pub fn log_until(&self, stop: &Receiver<()>) {
        while stop.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
            self.log(Instant::now());
        }
    }

    fn log(&self, now: Instant) {
        self.show_bars(now);
        for (module, took) in self.due(now) {
            tracing::info!(%module, ?took, "compiling");
        }
    }

    fn show_bars(&self, now: Instant) {
        for RunningCompilation { module, bytes, started, bar, .. } in self.compilations().iter_mut() {
            let took = now.saturating_duration_since(*started);
            if bar.is_none() && took >= FIRST_BAR {
                *bar = Some(self.bars.compile(&module.to_string(), *bytes, took));
            }
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
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::fetch::{Silent, Transfer};
    use crate::startup::load::compile_progress::*;

    fn module() -> ModuleRef {
        ModuleRef::File("slow.wasm".into())
    }

    #[test]
    fn a_line_is_due_about_what_takes_long_and_again_from_time_to_time() {
        let progress = CompileProgress::new(Arc::new(Silent));
        let begun = Instant::now();
        let after = |seconds| progress.due(begun + Duration::from_secs(seconds)).len();
        let lines = progress.show(&module(), 1, || [2, 4, 5, 13, 15, 24, 26].map(after));
        assert_eq!(lines, [0, 1, 0, 0, 1, 0, 1]);
        assert_eq!(after(100), 0, "it is compiled");
    }

    /// Counts the bars that are there, and those that there have been.
    #[derive(Clone, Default)]
    struct CountedBars(Arc<[AtomicUsize; 2]>);

    impl CountedBars {
        fn counts(&self) -> [usize; 2] {
            [0, 1].map(|index| self.0[index].load(Ordering::Relaxed))
        }
    }

    impl Progress for CountedBars {
        fn begin(&self, _: &str, _: u64) -> Box<dyn Transfer> {
            Box::new(Silent)
        }

        fn compile(&self, name: &str, bytes: u64, _: Duration) -> Box<dyn ModuleCompilation> {
            assert_eq!((name, bytes), ("slow.wasm", 7));
            self.0.iter().for_each(|count| _ = count.fetch_add(1, Ordering::Relaxed));
            Box::new(CountedBar(self.clone()))
        }
    }

    struct CountedBar(CountedBars);

    impl ModuleCompilation for CountedBar {}

    impl Drop for CountedBar {
        fn drop(&mut self) {
            self.0.0[0].fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn what_takes_long_has_a_bar_until_it_is_compiled() {
        let bars = CountedBars::default();
        let progress = CompileProgress::new(Arc::new(bars.clone()));
        let begun = Instant::now();
        let after = |milliseconds| {
            progress.log(begun + Duration::from_millis(milliseconds));
            bars.counts()
        };
        let counts = progress.show(&module(), 7, || [100, 1_000, 2_000].map(after));
        assert_eq!(counts, [[0, 0], [1, 1], [1, 1]]);
        assert_eq!(bars.counts(), [0, 1]);
    }
}
