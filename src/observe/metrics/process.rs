//! What does the system say of this process? The figures have the names that all clients of Prometheus give them.

use std::sync::OnceLock;
#[cfg(target_os = "linux")]
use std::time::{SystemTime, UNIX_EPOCH};

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

/// When the process was started, in seconds since 1970. It is computed once, so that it stays the same.
fn start_time(stat: &str) -> Option<f64> {
    static START: OnceLock<Option<f64>> = OnceLock::new();
    *START.get_or_init(|| {
        let since_boot = field(stat, 22)? / TICKS_PER_SECOND;
        Some(boot_time().or_else(boot_time_by_the_clocks)? + since_boot)
    })
}

/// When the system was started, as it says itself.
fn boot_time() -> Option<f64> {
    let system = std::fs::read_to_string("/proc/stat").ok()?;
    system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The same where there is no `/proc/stat`, as with `ProcSubset=pid` of systemd.
fn boot_time_by_the_clocks() -> Option<f64> {
    #[cfg(target_os = "linux")]
    {
        let since_boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
        Some(now - (since_boot.tv_sec as f64 + since_boot.tv_nsec as f64 / 1e9))
    }
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(test)]
mod tests {
    use crate::observe::metrics::process::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_move_the_fields() {
        let stat = "1 (a) b) S 2 3";
        assert_eq!((field(stat, 4), field(stat, 5), field(stat, 6)), (Some(2.0), Some(3.0), None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn both_ways_find_the_time_at_which_the_system_was_started() {
        let (told, computed) = (boot_time().expect("there is /proc/stat"), boot_time_by_the_clocks().expect("a clock"));
        assert!((told - computed).abs() < 2.0, "{told} {computed}");
    }
}
