//! What do guests that never end do to others?

use std::fs;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{Bound, Outcome};
use crate::client::{Connection, get};
use crate::load::open_loop::{self, Latencies};
use crate::load::{median, wrk};
use crate::servers::{HELLO_WAT, Server, wagi};
use crate::site::Site;

const SPINNERS: usize = 8;

/// Each takes a while, until the spinners are where they stay.
const ROUNDS: usize = 9;

/// Of what the quiet server can answer.
const SHARE: f64 = 0.3;

/// Takes the measure: in turns quiet and beside the others, as fast as it goes and at a fixed rate.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let spin = wagi::entry("/spin", "bench/guests/spin.wat");
    let mut outcomes =
        beside(site, &Loops { name: "neighbours", what: "spin", entries: spin, paths: vec!["/spin".into()] })?;
    outcomes.extend(beside(site, &file_loops(site)?)?);
    outcomes.extend(beside(site, &component_loop())?);
    let yields = wagi::entry("/yield", "bench/guests/yield-component.wat");
    outcomes.extend(beside(
        site,
        &Loops { name: "neighbours", what: "yield", entries: yields, paths: vec!["/yield".into()] },
    )?);
    Ok(outcomes)
}

/// Guests that never end.
struct Loops {
    /// The name of the measure.
    name: &'static str,
    /// What they do.
    what: &'static str,
    entries: String,
    paths: Vec<String>,
}

/// What a guest does with files without end, as calls of WASI with their parameters.
const FILE_CALLS: [(&str, &str, &str); 5] = [
    (
        "path_filestat_get",
        "i32 i32 i32 i32 i32",
        "(i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 512)",
    ),
    (
        "fd_readdir",
        "i32 i32 i32 i64 i32",
        "(i32.const 3) (i32.const 512) (i32.const 4096) (i64.const 0) (i32.const 24)",
    ),
    ("fd_pread", "i32 i32 i32 i64 i32", "(local.get $fd) (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 24)"),
    ("fd_pwrite", "i32 i32 i32 i64 i32", "(local.get $fd) (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 24)"),
    (
        "path_open",
        "i32 i32 i32 i32 i32 i64 i64 i32 i32",
        "(i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) \
         (i32.const 8)",
    ),
];

/// Guests that use files and do nothing else.
fn file_loops(site: &Site) -> Result<Loops> {
    fs::create_dir_all(site.scratch.join("volume"))?;
    fs::write(site.scratch.join("volume/f"), [0; 8192])?;
    let template = fs::read_to_string(site.root.join("bench/guests/file-loop.wat"))?;
    let (mut entries, mut paths) = (String::new(), Vec::new());
    for (name, parameters, call) in FILE_CALLS {
        let guest = template.replace("NAME", name).replace("PARAMETERS", parameters).replace("CALL", call);
        site.write(&format!("{name}.wat"), &guest)?;
        entries += &wagi::entry(&format!("/{name}"), &format!("target/bench/{name}.wat"));
        entries += "volumes = { \"/\" = \"target/bench/volume\" }\n";
        paths.push(format!("/{name}"));
    }
    Ok(Loops { name: "neighbours", what: "use files", entries, paths })
}

/// A component that uses files and does nothing else.
fn component_loop() -> Loops {
    let entry = wagi::entry("/component", "bench/guests/file-loop-component.wat");
    let entries = entry + "volumes = { \"/\" = \"target/bench/volume\" }\n";
    Loops { name: "neighbours", what: "use files as components", entries, paths: vec!["/component".into()] }
}

fn beside(site: &Site, loops: &Loops) -> Result<Vec<Outcome>> {
    let hello = wagi::entry("/", HELLO_WAT);
    let limits = "[limits]\ncpu_time = \"1h\"\ntime_to_head = \"1h\"\n";
    let server = wagi::serve(site, loops.name, &format!("{limits}{hello}{}", loops.entries))?.says_hello("/")?;
    let capacity = wrk::load(site, &server.url("/"), 32, site.turn)?.per_second;
    let rate = capacity * SHARE;
    let (mut quiet, mut beside) = (vec![Round::take(site, &server, rate)?], Vec::new());
    for _ in 0..site.rounds.min(ROUNDS) {
        let spinners = spin_up(&server, &loops.paths)?;
        beside.push(Round::take(site, &server, rate)?);
        drop(spinners);
        server.process.calms_down()?;
        quiet.push(Round::take(site, &server, rate)?);
    }
    Ok(outcomes(loops, quiet, beside, rate))
}

struct Round {
    per_second: f64,
    latencies: Latencies,
}

impl Round {
    fn take(site: &Site, server: &Server, rate: f64) -> Result<Self> {
        let per_second = wrk::load(site, &server.url("/"), 32, site.turn)?.per_second;
        Ok(Self { per_second, latencies: open_loop::load(server.address, "/", rate, site.turn)? })
    }
}

/// Requests that keep guests busy as long as they are held.
fn spin_up(server: &Server, paths: &[String]) -> Result<Vec<Connection>> {
    let spin = |path: &String| {
        let mut connection = Connection::open(server.address)?;
        connection.send(get(path).as_bytes())?;
        Ok(connection)
    };
    let spinners = paths.iter().cycle().take(SPINNERS).map(spin).collect::<Result<_>>()?;
    // They are where they stay as soon as they have used up what they may compute among the others and in the
    // background: 290 ms each.
    let begin = server.process.cpu()?;
    while server.process.cpu()? - begin < Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(spinners)
}

fn outcomes(loops: &Loops, quiet: Vec<Round>, beside: Vec<Round>, rate: f64) -> Vec<Outcome> {
    // Against the quiet turns before and behind it, so that a machine that becomes faster or slower changes nothing.
    let quiet_rates = quiet.windows(2).map(|turns| turns.iter().map(|turn| turn.per_second).sum::<f64>() / 2.0);
    let ratio = median(beside.iter().zip(quiet_rates).map(|(beside, quiet)| beside.per_second / quiet));
    let rates = |rounds: &[Round]| rounds.iter().map(|round| round.per_second.round()).collect::<Vec<_>>();
    let rounds = json!({ "quiet_per_second": rates(&quiet), "beside_per_second": rates(&beside) });
    let quiet = Latencies::merge(quiet.into_iter().map(|round| round.latencies));
    let beside = Latencies::merge(beside.into_iter().map(|round| round.latencies));
    let (calm, p99) = (quiet.percentile(99.0), beside.percentile(99.0));
    let what = format!("hello beside eight guests that {}: throughput against quiet", loops.what);
    let throughput = Outcome::new(loops.name, what, ratio, "");
    let latency = Outcome::new(loops.name, format!("the same: p99 at a fixed rate, quiet {calm:.2} ms"), p99, "ms");
    let (must, aim) = ((calm * 3.0).max(calm + 5.0), (calm * 2.0).max(calm + 2.0));
    let detail = json!({ "rate": rate.round(), "quiet": quiet.json(), "beside": beside.json() });
    vec![
        throughput.held_against(Bound::AtLeast(0.8), Some(Bound::AtLeast(0.9))).with(rounds),
        latency.held_against(Bound::AtMost(must), Some(Bound::AtMost(aim))).with(detail),
    ]
}
