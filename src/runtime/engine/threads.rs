//! Which priority does a thread have, how much CPU time has it used, and does it sleep?

/// The lowest priority there is; asking for it needs no privilege.
const LOWEST_PRIORITY: i32 = 19;

/// Gives this thread the lowest priority, for good.
pub fn lower_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, LOWEST_PRIORITY) {
        tracing::warn!(%error, "cannot lower the priority of a thread for long computations");
    }
}

/// Gives this thread the policy `SCHED_IDLE` of Linux, for good: it computes while no other thread wants its core. That needs no
/// privilege either. Where there is no such policy, the thread has the lowest priority.
pub fn set_idle_policy() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::unix::set_thread_priority_and_policy;
        use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, thread_native_id};
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
            tracing::warn!(?error, "cannot set the policy SCHED_IDLE of a thread for long computations");
        }
    }
    lower_priority();
}

/// How many threads compile in the background: half as many as there are cores.
pub(in crate::runtime) fn background_compilers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}

/// The CPU time of this thread in nanoseconds.
pub(in crate::runtime) fn thread_time() -> u64 {
    nanoseconds(rustix::time::ClockId::ThreadCPUTime)
}

fn nanoseconds(clock: rustix::time::ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// A thread, to be looked at by another one.
pub(in crate::runtime::engine) struct ThreadId(#[cfg_attr(not(target_os = "linux"), expect(dead_code))] i32);

impl ThreadId {
    /// This thread.
    pub fn current() -> Self {
        #[cfg(target_os = "linux")]
        return Self(rustix::thread::gettid().as_raw_nonzero().get());
        #[cfg(not(target_os = "linux"))]
        Self(0)
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
