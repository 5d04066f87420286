//! How many requests a second does a server answer over HTTP/1.1, when asked as fast as it answers?

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Load;
use crate::site::Site;

/// Prints figures that need no guessing.
const SCRIPT: &str = "function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('figures %d %d %d %d\\n', summary.requests, summary.duration, failed, latency:percentile(50)))
end
";

/// Loads a URL for a while over so many connections.
pub fn load(site: &Site, url: &str, connections: usize, time: Duration) -> Result<Load> {
    let script = site.write("wrk.lua", SCRIPT)?;
    let output = Command::new(site.program("wrk")?)
        .args(["--threads", "1", "--connections", &connections.to_string()])
        .args(["--duration", &format!("{}s", time.as_secs()), "--script"])
        .args([script.as_os_str(), url.as_ref()])
        .output()
        .context("cannot start `wrk`")?;
    let report = String::from_utf8_lossy(&output.stdout);
    let figures = report.lines().find_map(|line| line.strip_prefix("figures "));
    let figures = figures.with_context(|| format!("`wrk` reports no figures for {url}:\n{report}"))?;
    let figures: Vec<f64> = figures.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [requests, microseconds, failed, median] = figures[..] else { anyhow::bail!("`wrk` reports too little") };
    ensure!(failed == 0.0, "{failed} of {requests} requests to {url} failed");
    ensure!(requests > 0.0, "no request to {url} was answered");
    Ok(Load { requests, per_second: requests / (microseconds / 1e6), median: Some(median / 1e3) })
}
