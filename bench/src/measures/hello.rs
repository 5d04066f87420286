//! How many requests a second does a hello program answer, beside other servers?
//!
//! All servers run all the time, and have their turns one after the other, round by round, every other round backwards.
//! What slows the machine down for a while slows down neighbours in time, and a ratio is one of the same round; of all
//! rounds the middle one counts.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Bound, Outcome};
use crate::load::{Load, median, wrk};
use crate::servers::{CONTENDERS, Contender, Server};
use crate::site::Site;

const CONNECTIONS: usize = 32;

/// A contender and how it did.
struct Entrant {
    contender: &'static Contender,
    server: Server,
    turns: Vec<Turn>,
}

struct Turn {
    load: Load,
    cpu: Duration,
}

impl Turn {
    /// Microseconds of CPU time for each request.
    fn cpu(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.load.requests
    }
}

/// Takes the measure.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let mut entrants = Vec::new();
    let mut missing = Vec::new();
    for contender in &CONTENDERS {
        match (contender.start)(site) {
            Ok(server) => entrants.push(Entrant { contender, server, turns: Vec::new() }),
            Err(error) => missing.push((contender, format!("{error:#}"))),
        }
    }
    for entrant in &entrants {
        entrant.turn(site, Duration::from_secs(1)).with_context(|| entrant.contender.name)?;
    }
    for round in 0..site.rounds {
        eprintln!("  round {} of {}", round + 1, site.rounds);
        let count = entrants.len();
        for position in 0..count {
            let entrant = &mut entrants[if round % 2 == 0 { position } else { count - 1 - position }];
            let turn = entrant.turn(site, site.turn).with_context(|| entrant.contender.name)?;
            entrant.turns.push(turn);
        }
    }
    Ok(outcomes(&entrants, &missing))
}

impl Entrant {
    fn turn(&self, site: &Site, time: Duration) -> Result<Turn> {
        let before = self.server.cpu()?;
        let load = wrk::load(site, &self.server.url(self.contender.path), CONNECTIONS, time)?;
        Ok(Turn { load, cpu: self.server.cpu()? - before })
    }

    fn ratios(&self, other: &Self) -> Vec<f64> {
        let pairs = self.turns.iter().zip(&other.turns);
        pairs.map(|(ours, theirs)| ours.load.per_second / theirs.load.per_second).collect()
    }

    fn json(&self, limit: &Self) -> Value {
        let ratios = self.ratios(limit);
        json!({
            "name": self.contender.name,
            "what": self.contender.what,
            "per_second": median(self.turns.iter().map(|turn| turn.load.per_second)).round(),
            "ratio": median(ratios.iter().copied()),
            "ratio_lowest": ratios.iter().copied().fold(f64::INFINITY, f64::min),
            "ratio_highest": ratios.iter().copied().fold(0.0, f64::max),
            "median_ms": median(self.turns.iter().filter_map(|turn| turn.load.median)),
            "cpu_us": median(self.turns.iter().map(Turn::cpu)),
            "rounds": self.turns.iter().map(|turn| turn.load.json()).collect::<Vec<_>>(),
        })
    }
}

fn outcomes(entrants: &[Entrant], missing: &[(&'static Contender, String)]) -> Vec<Outcome> {
    let find = |name: &str| {
        let missing = missing.iter().find(|(contender, _)| contender.name == name);
        let entrant = entrants.iter().find(|entrant| entrant.contender.name == name);
        entrant.ok_or_else(|| missing.map_or_else(|| "it takes no part".to_owned(), |(_, why)| why.clone()))
    };
    let against = |what: &str, ours: &str, theirs: &str, must: f64, aim: f64| {
        let value = find(ours).and_then(|ours| Ok(median(ours.ratios(find(theirs)?))));
        Outcome { value, ..Outcome::new("hello", what, 0.0, "") }
            .held_against(Bound::AtLeast(must), Some(Bound::AtLeast(aim)))
    };
    let mut servers = Vec::new();
    for contender in &CONTENDERS {
        servers.push(match (find(contender.name), find("hyper")) {
            (Ok(entrant), Ok(limit)) => entrant.json(limit),
            (Err(why), _) | (_, Err(why)) => json!({ "name": contender.name, "what": contender.what, "missing": why }),
        });
    }
    let limit = against("hello, a fresh instance per request, against bare hyper", "wagi-wat", "hyper", 0.5, 0.6);
    vec![
        limit.with(json!({ "servers": servers, "connections": CONNECTIONS })),
        against("hello in text form, against `wasmtime serve`, tuned", "wagi-wat", "wasmtime-tuned", 3.0, 4.0),
        against("line in C, against `wasmtime serve`, tuned", "wagi-line-c", "wasmtime-tuned-c", 3.0, 4.0),
        against("line in Rust, against `wasmtime serve`, tuned", "wagi-line-rust", "wasmtime-tuned-rust", 3.0, 4.0),
        against("hello in text form, against the same, shared", "wagi-wat", "wasmtime-reuse", 1.3, 1.6),
        against("line in C, against the same, shared", "wagi-line-c", "wasmtime-reuse-c", 1.3, 1.6),
        against("line in Rust, against the same, shared", "wagi-line-rust", "wasmtime-reuse-rust", 1.3, 1.6),
        against("hello in text form, against native CGI under lighttpd", "wagi-wat", "lighttpd-cgi", 40.0, 60.0),
        against("hello in C, against the same as native CGI under lighttpd", "wagi-c", "lighttpd-cgi", 40.0, 60.0),
        cpu(find("wagi-wat"), find("hyper")),
    ]
}

fn cpu(ours: Result<&Entrant, String>, limit: Result<&Entrant, String>) -> Outcome {
    let above = |(ours, limit): (&Entrant, &Entrant)| {
        median(ours.turns.iter().zip(&limit.turns).map(|(ours, limit)| ours.cpu() - limit.cpu()))
    };
    let value = ours.and_then(|ours| Ok(above((ours, limit?))));
    let row = Outcome { value, ..Outcome::new("hello", "CPU per request above bare hyper's", 0.0, "µs") };
    row.held_against(Bound::AtMost(8.0), Some(Bound::AtMost(5.0)))
}
