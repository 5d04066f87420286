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
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("/proc is there");
        // A thread that has ended meanwhile is none of the lowest priority: those stay.
        let stats = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
        let ticks = stats.filter_map(|stat| {
            let fields: Vec<i64> =
                stat.rsplit(") ").next()?.split(' ').filter_map(|field| field.parse().ok()).collect();
            // Without the letter of the state: user and system time are the 11th and 12th, the nice value is the 16th.
            (fields[15] == 19).then(|| u64::try_from(fields[10] + fields[11]).expect("time goes on"))
        });
        let lowest = Duration::from_millis(ticks.sum::<u64>() * 10);
        CpuTimes { normal: self.cpu_time().saturating_sub(lowest), lowest }
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
