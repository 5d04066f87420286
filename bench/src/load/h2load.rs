//! The same over HTTP/2, several requests at once on each connection.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Load;
use crate::site::Site;

/// Loads a URL for a while: so many connections, so many requests at once on each.
pub fn load(site: &Site, url: &str, (connections, streams): (usize, usize), time: Duration) -> Result<Load> {
    let output = Command::new(site.program("h2load")?)
        .args(["--threads=1", &format!("--clients={connections}"), &format!("--max-concurrent-streams={streams}")])
        .args([&format!("--duration={}", time.as_secs()), url])
        .output()
        .context("cannot start `h2load`")?;
    let report = String::from_utf8_lossy(&output.stdout);
    let word = |line: &str, unit: &str| {
        let line = report.lines().find_map(|text| text.strip_prefix(line));
        let words = line.and_then(|line| line.split(',').find(|words| words.trim_end().ends_with(unit)));
        let figure = words.and_then(|words| words.trim().split(' ').next()).and_then(|figure| figure.parse().ok());
        figure.with_context(|| format!("`h2load` reports no `{unit}` for {url}:\n{report}"))
    };
    let (succeeded, failed): (f64, f64) = (word("requests:", "succeeded")?, word("requests:", "failed")?);
    ensure!(failed == 0.0 && succeeded > 0.0, "{failed} requests to {url} failed, {succeeded} succeeded");
    Ok(Load { requests: succeeded, per_second: word("finished in", "req/s")?, median: None })
}
