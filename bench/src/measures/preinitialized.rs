//! What is saved by running a program's initializer once, before the first request?

use anyhow::{Result, ensure};
use serde_json::json;

use super::{Bound, Outcome};
use crate::load::{median, wrk};
use crate::servers::wagi;
use crate::site::Site;

/// Takes the measure: the program that fills a table for each request beside the one that has it from the start.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let module = "bench/guests/tables.wat";
    let (plain, before) = (wagi::entry("/plain", module), wagi::entry("/before", module));
    let manifest = format!("{plain}\n{before}preinitialize = true\n");
    let file = site.write("preinitialized.toml", &manifest)?;
    let is_known = wagi::command(site, &file).args(["--check", "--strict"]).output()?.status.success();
    ensure!(is_known, "this gateway does not know `preinitialize`");
    let server = wagi::start(site, &file)?.says_hello("/plain")?.says_hello("/before")?;
    let load = |path: &str| wrk::load(site, &server.url(path), 2, site.turn);
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for _ in 0..site.rounds.min(3) {
        let (plain, before) = (load("/plain")?, load("/before")?);
        ratios.push(before.per_second / plain.per_second);
        times.push(json!({ "plain_median_ms": plain.median, "preinitialized_median_ms": before.median }));
    }
    let row = Outcome::new("preinitialized", "a table of 50 ms computed before, against plain", median(ratios), "");
    Ok(vec![row.held_against(Bound::AtLeast(10.0), None).with(json!({ "rounds": times }))])
}
