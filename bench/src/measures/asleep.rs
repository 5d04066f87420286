//! How much memory does a guest take that sleeps, and do all answer that do?
//!
//! Each has a connection of its own, whose buffers count: nobody sleeps without one.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use super::{Bound, Outcome};
use crate::client::{Connection, get};
use crate::servers::{HELLO_WAT, wagi};
use crate::site::Site;

/// How long the guest sleeps as it is written.
const TIMEOUT: &str = "(i64.const 10_000_000_000)";

/// Takes the measure.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    // The first has to sleep until the last does.
    let (guests, seconds) = if site.is_quick { (1_000, 10) } else { (10_000, 60) };
    allow_descriptors()?;
    let places = guests + 100;
    let limits = format!(
        "[limits]\ntotal_concurrency = {places}\nconcurrency = {places}\nconnections = {places}\nmemory = \"1MiB\"\n\
         time_between_outputs = \"{}s\"\n",
        seconds * 2
    );
    let guest = fs::read_to_string(site.root.join("bench/guests/sleep.wat"))?;
    let timeout = format!("(i64.const {seconds}_000_000_000)");
    ensure!(guest.contains(TIMEOUT), "sleep.wat sleeps for another time");
    site.write("sleep.wat", &guest.replace(TIMEOUT, &timeout))?;
    let entry = wagi::entry("/sleep", "target/bench/sleep.wat");
    let hello = wagi::entry("/", HELLO_WAT);
    let server = wagi::serve(site, "asleep", &format!("{limits}{hello}{entry}"))?.says_hello("/")?;
    let before = server.process.memory()?;

    let begin = Instant::now();
    let request = get("/sleep");
    let mut connections = Vec::with_capacity(guests);
    for _ in 0..guests {
        let mut connection = Connection::open_small(server.address)?;
        connection.send(request.as_bytes())?;
        connections.push(connection);
    }
    // A head is here as soon as its guest sleeps.
    let framings: Vec<_> = connections.iter_mut().map(Connection::head).collect::<Result<_>>()?;
    let asleep = begin.elapsed();
    ensure!(asleep < Duration::from_secs(seconds), "the first guest woke before the last slept: {asleep:?}");
    let each = (server.process.memory()?.saturating_sub(before)) as f64 / 1024.0 / guests as f64;
    for (connection, framing) in connections.iter_mut().zip(framings) {
        ensure!(connection.skip_body(framing)? == 13, "a guest did not wake");
    }
    let what = format!("{guests} guests asleep at once, memory each; all answered");
    let row = Outcome::new("asleep", what, each, "KiB");
    let row = row.held_against(Bound::AtMost(64.0), Some(Bound::AtMost(32.0)));
    let detail = json!({ "guests": guests, "idle_bytes": before, "all_asleep_after_s": asleep.as_secs_f64() });
    Ok(vec![row.with(detail)])
}

/// As many as the system lets us have.
fn allow_descriptors() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}
