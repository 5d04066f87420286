//! Which priority does a thread have, how much CPU time has it used, and does it sleep?

/// The lowest priority there is; asking for it needs no privilege.
const LOWEST_PRIORITY: i32 = 19;

/// Gives this thread the lowest priority, for good.
pub fn lower_priority() {
    lower(None);
}

/// Gives all threads of a process the lowest priority, for good. Those that they start later have it, too.
pub(in crate::runtime::engine) fn lower_priority_of_process(process: u32) {
    let Ok(process) = i32::try_from(process) else { return };
    #[cfg(target_os = "linux")]
    {
        // A thread may start one before it has the lowest priority itself.
        let mut lowered = std::collections::BTreeSet::new();
        while let Some(thread) = threads_of(process).find(|thread| !lowered.contains(thread)) {
            lowered.insert(thread);
            ThreadId(thread).lower_priority();
        }
    }
    #[cfg(not(target_os = "linux"))]
    lower(rustix::process::Pid::from_raw(process));
}

/// The threads of a process.
#[cfg(target_os = "linux")]
fn threads_of(process: i32) -> impl Iterator<Item = i32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| task.file_name().to_str()?.parse().ok())
}

/// Gives a thread or process the lowest priority. One that has ended needs none.
fn lower(thread: Option<rustix::process::Pid>) {
    match rustix::process::setpriority_process(thread, LOWEST_PRIORITY) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => tracing::warn!(%error, "cannot lower the priority of a thread for long computations"),
    }
}

/// The CPU time of this thread in nanoseconds.
pub(in crate::runtime) fn thread_time() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// A thread, to be looked at by another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::engine) struct ThreadId(i32);

impl ThreadId {
    /// This thread.
    pub fn current() -> Self {
        #[cfg(target_os = "linux")]
        return Self(rustix::thread::gettid().as_raw_nonzero().get());
        #[cfg(not(target_os = "linux"))]
        Self(0)
    }

    /// Gives the thread the lowest priority, for good, where the system does that to another thread.
    pub fn lower_priority(&self) {
        #[cfg(target_os = "linux")]
        lower(rustix::process::Pid::from_raw(self.0));
    }

    /// Whether the thread is asleep: it neither runs nor waits for a core. Where the system does not tell, it counts as
    /// asleep.
    pub fn is_asleep(&self) -> bool {
        #[cfg(target_os = "linux")]
        if let Ok(stat) = std::fs::read_to_string(format!("/proc/self/task/{}/stat", self.0)) {
            return is_asleep(&stat);
        }
        true
    }
}

/// The same, read from the file `stat` of a thread: the state stands behind the name, which is in brackets.
#[cfg(target_os = "linux")]
fn is_asleep(stat: &str) -> bool {
    !stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with('R'))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use crate::runtime::engine::threads::*;

    #[test]
    fn a_thread_that_runs_is_not_asleep_and_one_that_waits_is() {
        assert!(!ThreadId::current().is_asleep());
        assert!(!is_asleep("17 (wagi) S) R 1 17 17 0 -1"));
        assert!(is_asleep("17 (wagi) R) S 1 17 17 0 -1"));
        assert!(is_asleep("17 (wagi-files) D 1 17 17 0 -1"));
    }
}
