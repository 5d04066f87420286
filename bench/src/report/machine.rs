//! On what was measured, and of which commit?

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::site::Site;

/// All there is to say about the machine and the program.
pub fn describe(site: &Site) -> Value {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = memory.split_whitespace().nth(1).and_then(|size| size.parse::<u64>().ok()).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).current_dir(&site.root).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    json!({
        "cpu": model.trim_start_matches(['\t', ' ', ':']),
        "cores": std::thread::available_parallelism().map(std::num::NonZero::get).unwrap_or_default(),
        "memory_gib": (kibibytes as f64 / f64::from(1 << 20)).round(),
        "kernel": kernel.trim(),
        "commit": git(&["rev-parse", "--short=10", "HEAD"]),
        "is_clean": git(&["status", "--porcelain", "--untracked-files=no", "--", "src", "Cargo.lock"]).is_empty(),
        "date": git(&["show", "--no-patch", "--format=%cs", "HEAD"]),
    })
}

/// The same as a sentence.
pub fn sentence(machine: &Value) -> String {
    let text = |key: &str| machine[key].as_str().unwrap_or_default();
    let commit =
        if machine["is_clean"] == true { text("commit").to_owned() } else { format!("{} and changes", text("commit")) };
    format!(
        "Measured at commit {commit} of {} on {} cores of {}, Linux {}, load generator on the same machine.",
        text("date"),
        machine["cores"],
        text("cpu"),
        text("kernel")
    )
}
