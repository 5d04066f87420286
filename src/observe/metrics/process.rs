//! What does the system say of this process? The figures have the names that all clients of Prometheus give them.

use crate::observe::metrics::text::{Family, MetricKind, MetricsText};

/// All of them.
pub(super) const FAMILIES: [Family; 5] = [
    Family { name: "process_cpu_seconds_total", kind: MetricKind::Counter, help: "CPU time of the process." },
    Family {
        name: "process_resident_memory_bytes",
        kind: MetricKind::Gauge,
        help: "Memory of the process that is resident.",
    },
    Family { name: "process_open_fds", kind: MetricKind::Gauge, help: "Open file descriptors." },
    Family { name: "process_max_fds", kind: MetricKind::Gauge, help: "The limit on open file descriptors." },
    Family {
        name: "process_start_time_seconds",
        kind: MetricKind::Gauge,
        help: "When the process began, in Unix time.",
    },
];

/// The unit of times in `/proc`, which is the same on all Linux systems.
const TICKS_PER_SECOND: f64 = 100.0;

/// Adds what the system tells. What it does not tell is left out.
pub(super) fn write(text: &mut MetricsText) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let values = [Some(cpu_seconds()), resident(), open_fds(), max_fds(), start_time(&stat)];
    for (family, value) in FAMILIES.iter().zip(values) {
        if let Some(value) = value {
            text.family(family);
            text.sample(family, &[], value);
        }
    }
}

fn cpu_seconds() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

/// A field of `/proc/self/stat`, by its number in proc(5). The second is a name in parentheses, which may contain anything.
fn field(stat: &str, number: usize) -> Option<f64> {
    let (_, after) = stat.rsplit_once(')')?;
    after.split_ascii_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    size.trim().strip_suffix(" kB")?.parse().ok().map(|kilobytes: f64| kilobytes * 1024.0)
}

fn open_fds() -> Option<f64> {
    // One of them is the directory itself.
    std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1) as f64)
}

fn max_fds() -> Option<f64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map(|limit| limit as f64)
}

fn start_time(stat: &str) -> Option<f64> {
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    let booted: f64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(booted + field(stat, 22)? / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use crate::observe::metrics::process::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_move_the_fields() {
        let stat = "1 (a) b) S 2 3";
        assert_eq!((field(stat, 4), field(stat, 5), field(stat, 6)), (Some(2.0), Some(3.0), None));
    }
}
