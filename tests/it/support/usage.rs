//! What a server uses of the machine: memory, threads and time.

use std::thread;
use std::time::Duration;

use super::process::Wagi;

/// The time a process has computed at normal priority and at the lowest.
pub struct CpuTimes {
    pub normal: Duration,
    pub lowest: Duration,
}

impl Wagi {
    /// Memory that is the process's own and in use, in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("/proc is there");
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("Linux tells");
        line.split_whitespace().nth(1).and_then(|kilobytes| kilobytes.parse::<u64>().ok()).expect("a number") * 1024
    }

    /// How many threads the process has.
    pub fn threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("/proc is there").count()
    }

    /// The time the process has computed, on all its threads.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("/proc is there");
        // The name, in brackets, may hold blanks; user and system time are the 12th and 13th field behind it.
        let fields = stat.rsplit(") ").next().expect("fields").split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        // USER_HZ, the unit, is 100 on every platform Linux runs on.
        Duration::from_millis(ticks * 10)
    }

    /// The same, and how much of it on threads of the lowest priority.
    pub fn cpu_times(&self) -> CpuTimes {
        // Without the letter of the state, the nice value is the 16th.
        let lowest = self.time_of_threads(|fields| fields[15] == 19);
        CpuTimes { normal: self.cpu_time().saturating_sub(lowest), lowest }
    }

    /// What threads have computed that leave the cores to others.
    pub fn time_of_idle_threads(&self) -> Duration {
        const SCHED_IDLE: i64 = 5;
        self.time_of_threads(|fields| fields[37] == SCHED_IDLE)
    }

    /// What threads have computed, of which the system says this.
    fn time_of_threads(&self, is_counted: impl Fn(&[i64]) -> bool) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("/proc is there");
        // A thread that has ended meanwhile is none of those that stay.
        let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
        let ticks = stats.filter_map(|stat| {
            let fields = stat.rsplit(") ").next()?.split(' ').skip(1);
            let fields: Vec<i64> = fields.map(|field| field.trim().parse().unwrap_or(i64::MAX)).collect();
            // User and system time.
            is_counted(&fields).then(|| u64::try_from(fields[10] + fields[11]).expect("time goes on"))
        });
        Duration::from_millis(ticks.sum::<u64>() * 10)
    }

    /// How many threads of the process run or would like to.
    fn busy_threads(&self) -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("/proc is there");
        // A thread that has ended meanwhile is not busy.
        let states = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
        states.filter(|stat| stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with('R'))).count()
    }

    /// Waits until the process does next to nothing: it takes no time, and not because it gets none.
    #[track_caller]
    pub fn quiet(&self) {
        const LOOKS: usize = 20;
        super::at_leisure(|| {
            let before = self.cpu_time();
            let mut busy = 0;
            for _ in 0..LOOKS {
                thread::sleep(Duration::from_millis(10));
                busy += usize::from(self.busy_threads() > 0);
            }
            (busy <= LOOKS / 10 && self.cpu_time() - before <= Duration::from_millis(20)).then_some(())
        });
    }
}
