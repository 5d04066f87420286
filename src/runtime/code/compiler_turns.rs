//! When does a process that compiles in the background have a core?
//!
//! A thread at `SCHED_IDLE` leaves its core to others at once, but the system looks only now and then whether a request waits for another
//! core meanwhile. So while this server has many requests, the process works in turns of half a millisecond, and rests as long between them.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::runtime::request_count::RequestCount;

/// How long the process works, and how long it is stopped then.
const WORK: Duration = Duration::from_micros(500);
const REST: Duration = Duration::from_micros(500);

/// How often is looked how many requests the server has.
const INTERVAL: Duration = Duration::from_millis(100);

/// It has many if more than this many begin in an interval. Fewer, such as those of cold interpreters, may wait for a few milliseconds: if
/// the process were stopped for them, their snapshots would be ready twice as late.
const FEW: u64 = 10;

/// The process that compiles in the background now, if there is one.
pub(in crate::runtime) struct CompilerTurns {
    /// It has not been waited for, so its id is that of no other process.
    process: Mutex<Option<Pid>>,
    requests: RequestCount,
}

impl CompilerTurns {
    /// Turns beside these requests.
    pub fn beside(requests: RequestCount) -> Self {
        Self { process: Mutex::default(), requests }
    }

    fn process(&self) -> MutexGuard<'_, Option<Pid>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process begins to compile.
    pub fn enter(&self, process: Pid) {
        *self.process() = Some(process);
    }

    /// It has ended, or is to be ended.
    pub fn leave(&self) {
        let mut process = self.process();
        signal(*process, Signal::CONT);
        *process = None;
    }

    /// Stops the process again and again while this server has many requests, until `ended` says that there is no more to do.
    pub fn take_until(&self, ended: &Receiver<()>) {
        let mut before = self.requests.begun();
        let is_over = |time: Duration| ended.recv_timeout(time) != Err(RecvTimeoutError::Timeout);
        let mut is_busy = false;
        loop {
            if is_busy {
                for _ in 0..INTERVAL.as_micros() / (WORK + REST).as_micros() {
                    self.signal(Signal::STOP);
                    let is_over_now = is_over(REST);
                    self.signal(Signal::CONT);
                    if is_over_now || is_over(WORK) {
                        return;
                    }
                }
            } else if is_over(INTERVAL) {
                return;
            }
            let now = self.requests.begun();
            is_busy = now.saturating_sub(before) > FEW && self.process().is_some();
            before = now;
        }
    }

    fn signal(&self, kind: Signal) {
        signal(*self.process(), kind);
    }
}

fn signal(process: Option<Pid>, kind: Signal) {
    if let Some(process) = process {
        // It may have ended by itself just now.
        let _ = kill_process(process, kind);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::mpsc::channel;
    use std::thread;

    use crate::runtime::code::compiler_turns::*;

    #[test]
    fn a_process_goes_on_when_its_turns_are_over() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
        let requests = RequestCount::default();
        let turns = CompilerTurns::beside(requests.clone());
        turns.enter(Pid::from_child(&child));
        let (end, ended) = channel();
        let turns = &turns;
        thread::scope(|scope| {
            let taking = scope.spawn(move || turns.take_until(&ended));
            while !has_been_stopped(&child) && !taking.is_finished() {
                requests.begin();
            }
            drop(end);
        });
        turns.signal(Signal::STOP);
        turns.leave();
        drop(child.stdin.take());
        assert!(child.wait().expect("it is a child").success());
    }

    fn has_been_stopped(child: &std::process::Child) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with('T'))
    }
}
