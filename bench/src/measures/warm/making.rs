//! What do others notice while snapshots are made?
//!
//! A server with ten routes of three interpreters. Its cache has their code, and no snapshot, as when `warm_start` is new in a
//! configuration. The same server without the key is what its start is compared with. Hello is asked for at a fixed rate until all
//! routes are warm, and then as long in the quiet server.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::super::{Bound, Outcome};
use super::languages::LANGUAGES;
use super::{entry, warm_routes};
use crate::client::Connection;
use crate::load::open_loop::{self, Latencies};
use crate::load::{median, wrk};
use crate::process::free_address;
use crate::servers::{HELLO_WAT, Server, wagi};
use crate::site::Site;

const ROUTES: usize = 10;

/// Of what the quiet server can answer.
const SHARE: f64 = 0.3;

/// How many starts of each kind, in turns.
const STARTS: usize = 7;

/// More rounds tell nothing more of a quiet server.
const QUIET_ROUNDS: usize = 60;

/// How long all snapshots may take. Programs built without optimization need ten minutes.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Takes the measure.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let routes = Routes::prepare(site)?;
    let mut outcomes = starts(site, &routes)?;
    outcomes.extend(hello_meanwhile(site, &routes)?);
    Ok(outcomes)
}

/// The same routes twice, with hello beside them.
struct Routes {
    /// With `warm_start`.
    warm: PathBuf,
    /// Without it.
    cold: PathBuf,
    admin: SocketAddr,
    paths: Vec<String>,
    cache: CodeAlone,
}

impl Routes {
    /// Writes the configurations, and compiles the interpreters. In a hurry, one route will do, of the one that is compiled first: CPython.
    fn prepare(site: &Site) -> Result<Self> {
        let count = if site.is_quick { 1 } else { ROUTES };
        let admin = free_address()?;
        let mut cold = format!("[admin]\nlisten = \"{admin}\"\n\n") + &wagi::entry("/", HELLO_WAT);
        let (mut warm, mut paths) = (cold.clone(), Vec::new());
        for (number, language) in LANGUAGES.iter().cycle().skip(1).take(count).enumerate() {
            let directory = site.scratch.join(format!("making/{number}"));
            fs::create_dir_all(&directory)?;
            let (source, script) =
                (format!("bench/guests/warm/hello.{}", language.extension), format!("index.{}", language.extension));
            fs::copy(site.root.join(&source), directory.join(&script))
                .with_context(|| format!("cannot copy `{source}`"))?;
            let entry = entry(site, language, &format!("/{number}/..."), &directory)?;
            cold += &entry;
            warm += &format!("{entry}warm_start = {}\n", language.warm_start);
            paths.push(format!("/{number}/{script}"));
        }
        let (cold, warm) = (site.write("making-cold.toml", &cold)?, site.write("making-warm.toml", &warm)?);
        let cache = CodeAlone::fill(site, &cold)?;
        Ok(Self { warm, cold, admin, paths, cache })
    }

    /// Starts a server that finds no snapshot in its cache.
    fn start(&self, site: &Site, manifest: &Path) -> Result<Server> {
        self.cache.empty_of_others()?;
        wagi::start_at(site, manifest, &self.cache.home)?.says_hello("/")
    }
}

/// A cache with nothing but what a server without warm starts keeps.
struct CodeAlone {
    home: PathBuf,
    files: BTreeSet<OsString>,
}

impl CodeAlone {
    fn fill(site: &Site, manifest: &Path) -> Result<Self> {
        let home = site.scratch.join("making-cache");
        let server = wagi::start_at(site, manifest, &home)?.says_hello("/")?;
        // What was compiled is written beside serving.
        server.process.calms_down()?;
        let files = files(&home)?;
        ensure!(!files.is_empty(), "the cache holds no code");
        Ok(Self { home, files })
    }

    fn empty_of_others(&self) -> Result<()> {
        for name in files(&self.home)?.difference(&self.files) {
            fs::remove_file(compiled(&self.home).join(name))?;
        }
        Ok(())
    }
}

fn compiled(home: &Path) -> PathBuf {
    home.join("wagi/compiled")
}

fn files(home: &Path) -> Result<BTreeSet<OsString>> {
    let entries = fs::read_dir(compiled(home)).context("there is no cache")?;
    entries.map(|entry| Ok(entry?.file_name())).collect()
}

/// How long a start took, in milliseconds.
struct Start {
    /// Until hello was answered.
    hello: f64,
    /// Until each of the routes was, one after the other.
    all: f64,
}

impl Start {
    fn take(site: &Site, routes: &Routes, manifest: &Path) -> Result<Self> {
        let since = |begin: Instant| begin.elapsed().as_secs_f64() * 1e3;
        routes.cache.empty_of_others()?;
        let begin = Instant::now();
        let server = wagi::start_at(site, manifest, &routes.cache.home)?.says_hello("/")?;
        let hello = since(begin);
        for path in &routes.paths {
            Connection::open(server.address)?.ask(path).with_context(|| path.clone())?;
        }
        Ok(Self { hello, all: since(begin) })
    }
}

fn starts(site: &Site, routes: &Routes) -> Result<Vec<Outcome>> {
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..site.rounds.min(STARTS) {
        cold.push(Start::take(site, routes, &routes.cold)?);
        warm.push(Start::take(site, routes, &routes.warm)?);
    }
    let outcome = |what: &str, of: fn(&Start) -> f64| {
        let [without, with] = [&cold, &warm].map(|starts| starts.iter().map(of).collect::<Vec<_>>());
        let usual = median(without.iter().copied());
        let what = format!("{what}, without the key {usual:.1} ms");
        let must = Bound::AtMost((usual * 1.2).max(usual + 5.0));
        let detail = json!({ "with_ms": with, "without_ms": without });
        Outcome::new("making", what, median(with), "ms").held_against(must, None).with(detail)
    };
    let count = routes.paths.len();
    Ok(vec![
        outcome(&format!("{count} routes with `warm_start`: start to first answer"), |start| start.hello),
        outcome("the same: start until each has answered once, cold", |start| start.all),
    ])
}

/// What hello takes while snapshots are made, and when the same server is quiet.
fn hello_meanwhile(site: &Site, routes: &Routes) -> Result<Vec<Outcome>> {
    let cold = routes.start(site, &routes.cold)?;
    let rate = wrk::load(site, &cold.url("/"), 32, site.turn)?.per_second * SHARE;
    drop(cold);
    let server = routes.start(site, &routes.warm)?;
    let hello = || open_loop::load(server.address, "/", rate, site.turn);
    let (begun, mut meanwhile) = (Instant::now(), Vec::new());
    while warm_routes(routes.admin)? < routes.paths.len() {
        let state = || Connection::open(routes.admin).and_then(|mut admin| admin.ask("/status"));
        ensure!(begun.elapsed() < PATIENCE, "not all routes are warm: {}", state()?);
        meanwhile.push(hello()?);
    }
    let took = begun.elapsed().as_secs_f64();
    // The last snapshot was ready before the end of the last round.
    meanwhile.pop();
    ensure!(!meanwhile.is_empty(), "all snapshots were there within a round");
    server.process.calms_down()?;
    let quiet = (0..meanwhile.len().min(QUIET_ROUNDS)).map(|_| hello()).collect::<Result<Vec<_>>>()?;
    Ok(latencies(quiet, meanwhile, (rate, took)))
}

fn latencies(quiet: Vec<Latencies>, meanwhile: Vec<Latencies>, (rate, took): (f64, f64)) -> Vec<Outcome> {
    let rounds: Vec<f64> = meanwhile.iter().map(|round| round.percentile(99.0)).collect();
    let (quiet, meanwhile) = (Latencies::merge(quiet), Latencies::merge(meanwhile));
    let (calm, p99) = (quiet.percentile(99.0), meanwhile.percentile(99.0));
    let what = format!("hello while their snapshots are made: p99 at a fixed rate, quiet {calm:.2} ms");
    let must = Bound::AtMost((calm * 2.0).max(calm + 1.0));
    let detail = json!({
        "rate": rate.round(), "quiet": quiet.json(), "meanwhile": meanwhile.json(), "p99_of_each_round_ms": rounds,
    });
    vec![
        Outcome::new("making", what, p99, "ms").held_against(must, None).with(detail),
        Outcome::new("making", "the same: from the start until all are warm, beside this load", took, "s"),
    ]
}
