//! What compiles at the priority of requests, and how does it make way for them?
//!
//! A start compiles before there are requests. When it begins to serve what is ready, all that compiles for it gets the lowest priority
//! at once, also in the middle of a function that takes minutes. So each thread is known here for as long as it compiles, and each
//! process. What begins to compile later begins at the lowest priority.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::runtime::engine::threads::{ThreadId, lower_priority, lower_priority_of_process};

/// The threads and processes that compile for a start. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Compilers(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    have_made_way: bool,
    threads: Vec<ThreadId>,
    processes: Vec<u32>,
}

/// A process, until it is dropped.
struct RunningProcess<'a> {
    compilers: &'a Compilers,
    process: u32,
}

impl Compilers {
    /// Adds this thread, until it [leaves](Self::leave).
    pub fn enter(&self) {
        let mut running = self.running();
        if running.have_made_way {
            lower_priority();
        }
        running.threads.push(ThreadId::current());
    }

    /// Removes this thread. It must not end before.
    pub fn leave(&self) {
        let this = ThreadId::current();
        self.running().threads.retain(|thread| *thread != this);
    }

    /// Adds a process until `exchange` returns, which must not take note of its end: its number is that of another one then.
    pub(in crate::runtime) fn with_process<T>(&self, process: u32, exchange: impl FnOnce() -> T) -> T {
        let mut running = self.running();
        if running.have_made_way {
            lower_priority_of_process(process);
        }
        running.processes.push(process);
        drop(running);
        let _running = RunningProcess { compilers: self, process };
        exchange()
    }

    /// Gives all of them the lowest priority, for good, and those that come later.
    pub fn make_way(&self) {
        let mut running = self.running();
        running.have_made_way = true;
        running.threads.iter().for_each(ThreadId::lower_priority);
        running.processes.iter().for_each(|process| lower_priority_of_process(*process));
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunningProcess<'_> {
    fn drop(&mut self) {
        self.compilers.running().processes.retain(|process| *process != self.process);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::mpsc::channel;
    use std::thread;

    use crate::runtime::engine::compilers::*;

    /// The nice value of each thread of a process.
    fn priorities(process: u32) -> Vec<i64> {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("/proc is there");
        tasks.map(|task| nice(&task.expect("a thread").path().join("stat"))).collect()
    }

    fn nice(stat: &std::path::Path) -> i64 {
        let stat = std::fs::read_to_string(stat).expect("the thread lives");
        // Behind the name, which stands in brackets, the nice value is the 17th field.
        stat.rsplit(") ").next().and_then(|fields| fields.split(' ').nth(16)?.parse().ok()).expect("a nice value")
    }

    #[test]
    fn a_thread_that_compiles_makes_way_and_one_that_has_left_does_not() {
        let own = || nice("/proc/thread-self/stat".as_ref());
        let before = own();
        let compilers = Compilers::default();
        let ((entered, has_entered), (made_way, has_made_way)) = (channel(), channel::<()>());
        let of_thread = compilers.clone();
        thread::scope(|scope| {
            let compiling = scope.spawn(move || {
                of_thread.enter();
                entered.send(own()).expect("the test waits");
                has_made_way.recv().expect("the test says so");
                let now = own();
                of_thread.leave();
                now
            });
            compilers.enter();
            compilers.leave();
            assert_eq!(has_entered.recv(), Ok(before));
            compilers.make_way();
            made_way.send(()).expect("it waits");
            assert_eq!(compiling.join().expect("it ends"), 19);
        });
        assert_eq!(own(), before);
        let later = thread::spawn(move || {
            compilers.enter();
            own()
        });
        assert_eq!(later.join().expect("it ends"), 19);
    }

    #[test]
    fn a_process_that_compiles_makes_way_with_all_its_threads() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("there is `cat`");
        let (compilers, process) = (Compilers::default(), child.id());
        compilers.with_process(process, || {
            compilers.make_way();
            assert_eq!(priorities(process), [19]);
        });
        assert!(compilers.running().processes.is_empty());
        drop(child.stdin.take());
        child.wait().expect("it ends");
    }
}
