//! How many instructions does a request take, sockets aside?
//!
//! Counted by valgrind, where a busy machine changes nothing: a run of few requests is taken off one of many, and with it
//! the start. The gateway is asked in this process, so what is counted is routing, CGI, the guest and the log, not HTTP.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Outcome;
use crate::site::Site;

const FEW: u32 = 100;
const REQUESTS: u32 = 1_000;

/// Takes the measure for each hello program that is there.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let guests = [
        ("text form", Ok(site.root.join("examples/hello.wat"))),
        ("C", site.built_guest("bench-c.wasm")),
        ("Rust", site.built_guest("bench-rust.wasm")),
    ];
    let mut outcomes = Vec::new();
    for (language, module) in guests {
        let what = format!("instructions per request, program in {language}");
        let counted = module.and_then(|module| count(site, &module.to_string_lossy()));
        outcomes.push(match counted {
            Ok((few, many)) => Outcome::new("instructions", what, (many - few) / f64::from(REQUESTS), "")
                .with(json!({ "requests": REQUESTS, "few": few, "many": many })),
            Err(error) => Outcome::missing("instructions", what, format!("{error:#}")),
        });
    }
    Ok(outcomes)
}

fn count(site: &Site, module: &str) -> Result<(f64, f64)> {
    Ok((run(site, module, FEW)?, run(site, module, FEW + REQUESTS)?))
}

fn run(site: &Site, module: &str, requests: u32) -> Result<f64> {
    let output = Command::new(site.program("valgrind")?)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(&site.bench)
        .args(["answer", module, &requests.to_string()])
        .output()
        .context("cannot start `valgrind`")?;
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the run under valgrind failed:\n{report}");
    let collected = report.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = collected.with_context(|| format!("valgrind reports no count:\n{report}"))?;
    Ok(count.trim().parse()?)
}
