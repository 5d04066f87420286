//! How many instructions does a request take, sockets aside?
//!
//! Counted by valgrind, where a busy machine changes nothing: a run of few requests is taken off one of many, and with it
//! the start. The gateway is asked in this process, so what is counted is routing, CGI, the guest and the log, not HTTP.
//! Valgrind makes all about fifty times slower, most of all that the module is compiled. So each of the six runs takes many seconds.
//! Where valgrind has too little address space for a pool of instances, they are made one by one, and the result says so.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::Outcome;
use crate::servers::HELLO_WAT;
use crate::site::Site;

const FEW: u32 = 100;
const REQUESTS: u32 = 1_000;

/// Takes the measure for each hello program that is there.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let guests = [
        ("text form", Ok(HELLO_WAT.to_owned())),
        ("C", site.guest("bench-c.wasm")),
        ("Rust", site.guest("bench-rust.wasm")),
    ];
    let mut outcomes = Vec::new();
    for (language, module) in guests {
        let what = format!("instructions per request, program in {language}");
        let counted = module.and_then(|module| Ok((run(site, &module, FEW)?, run(site, &module, FEW + REQUESTS)?)));
        outcomes.push(match counted {
            Ok((few, many)) => {
                let what = if many.is_pooled { what } else { format!("{what}; without the pool") };
                let each = (many.instructions - few.instructions) / f64::from(REQUESTS);
                Outcome::new("instructions", what, each, "")
                    .with(json!({ "requests": REQUESTS, "is_pooled": many.is_pooled, "few": few.instructions, "many": many.instructions }))
            }
            Err(error) => Outcome::missing("instructions", what, format!("{error:#}")),
        });
    }
    Ok(outcomes)
}

struct Run {
    instructions: f64,
    is_pooled: bool,
}

/// Valgrind stumbles now and then over the stacks that guests run on, which they change all the time.
const ATTEMPTS: usize = 5;

fn run(site: &Site, module: &str, requests: u32) -> Result<Run> {
    let mut run = attempt(site, module, requests);
    for _ in 1..ATTEMPTS {
        let Err(error) = &run else { break };
        eprintln!("  once more: {error:#}");
        run = attempt(site, module, requests);
    }
    run
}

fn attempt(site: &Site, module: &str, requests: u32) -> Result<Run> {
    let begin = Instant::now();
    let output = Command::new(site.program("valgrind")?)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(&site.bench)
        .current_dir(&site.root)
        .args(["answer", module, &requests.to_string()])
        .output()
        .context("cannot start `valgrind`")?;
    eprintln!("  `{module}`, {requests} requests under valgrind: {:.0} s", begin.elapsed().as_secs_f64());
    let report = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the run under valgrind failed: {}", last(&report));
    let collected = report.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = collected.with_context(|| format!("valgrind reports no count: {}", last(&report)))?;
    let is_pooled = String::from_utf8_lossy(&output.stdout).contains(wagi_bench::POOLED);
    Ok(Run { instructions: count.trim().parse()?, is_pooled })
}

fn last(report: &str) -> &str {
    report.lines().rfind(|line| line.chars().any(char::is_alphabetic)).unwrap_or_default()
}
