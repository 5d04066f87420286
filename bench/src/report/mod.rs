//! Where do the figures go?
//!
//! To the terminal and, after a whole run, into the documentation: a result file with everything, a table between two marks
//! of docs/performance.md, and a chart.

mod chart;
mod machine;
mod table;

use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::measures::Outcome;
use crate::site::Site;

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

/// For whoever waits.
pub fn print(outcomes: &[Outcome]) {
    println!("{}", table::servers(outcomes));
    println!("{}", table::outcomes(outcomes));
}

/// Writes the result file, and if the run was `complete` the documentation.
pub fn write(site: &Site, outcomes: &[Outcome], is_complete: bool) -> Result<()> {
    let machine = machine::describe(site);
    let results = json!({
        "machine": machine,
        "rounds": site.rounds,
        "seconds_per_turn": site.turn.as_secs(),
        "outcomes": outcomes.iter().map(Outcome::json).collect::<Vec<Value>>(),
    });
    let results = serde_json::to_string_pretty(&results)? + "\n";
    let file = site.write("results.json", &results)?;
    if !is_complete {
        println!("everything that was seen: {}", file.strip_prefix(&site.root).unwrap_or(&file).display());
        return Ok(());
    }
    let directory = site.root.join("docs/performance");
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("results.json"), results)?;
    fs::write(directory.join("throughput.svg"), chart::throughput(outcomes))?;
    let page = site.root.join("docs/performance.md");
    let text = fs::read_to_string(&page).context("cannot read docs/performance.md")?;
    let (before, rest) = text.split_once(BEGIN).context("docs/performance.md has lost its mark")?;
    let (_, after) = rest.split_once(END).context("docs/performance.md has lost its mark")?;
    let measured = format!(
        "{}\n\n[Every round of every measure](performance/results.json)\n\n![Requests per second](performance/throughput.svg)\n\n{}\n{}",
        machine::sentence(&machine),
        table::servers(outcomes),
        table::outcomes(outcomes)
    );
    fs::write(page, format!("{before}{BEGIN}\n{measured}\n{END}{after}"))?;
    println!("written: docs/performance.md, docs/performance/results.json, docs/performance/throughput.svg");
    Ok(())
}
