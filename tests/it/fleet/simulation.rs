//! The simulation of a fleet, where theory says what must come of it, and the guest by which it is compared with real replicas.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::http1::Connection;
use crate::support::process::output;
use crate::support::registry::Done;
use crate::support::site::Site;

/// What comes of a load.
fn simulated(arguments: &str) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/fleet/simulate.py");
    let mut python = Command::new("python3");
    python.args([script, "run"]).args(arguments.split(' '));
    serde_json::from_str(&Done::from(output(&mut python)).well()).expect("JSON")
}

/// The share of requests that find all servers and all places taken: the queue M/M/c/K, with `load` in units of one server.
fn turned_away(load: f64, servers: i32, places: i32) -> f64 {
    let weight = |present: i32| {
        let busy: f64 = (1..=present.min(servers)).map(|server| load / f64::from(server)).product();
        busy * (load / f64::from(servers)).powi((present - servers).max(0))
    };
    let all: f64 = (0..=servers + places).map(weight).sum();
    weight(servers + places) / all
}

#[test]
#[ignore = "needs python3"]
fn as_many_are_turned_away_as_theory_says() {
    for (rate, queue) in [(50, 0), (50, 8), (30, 4)] {
        let queued = format!("--replicas 1 --permits 4 --queue {queue} --queue-wait 1000 --seconds 3000");
        let shed = simulated(&format!("{queued} --rate {rate} --wait 0.1 --compute 0 --vary"))["shed"]
            .as_f64()
            .expect("a share");
        let expected = turned_away(f64::from(rate) * 0.1, 4, queue);
        assert!((shed - expected).abs() < 0.05 * expected + 0.002, "{rate} {queue}: {shed} {expected}");
    }
}

#[test]
#[ignore = "needs python3"]
fn a_replica_that_fails_loses_what_it_was_working_on_and_the_others_take_the_rest() {
    let load = "--replicas 2 --rate 100 --wait 0.2 --compute 0 --seconds 100";
    let share = |outcome: &Value, key: &str| outcome[key].as_f64().expect("a share");
    let quiet = simulated(load);
    assert_eq!((share(&quiet, "lost"), share(&quiet, "shed")), (0.0, 0.0));
    let failed = simulated(&format!("{load} --fail 1@50+20"));
    // About 100/s * 0.2 s / 2 replicas were under way there.
    let lost = share(&failed, "lost") * share(&failed, "requests");
    assert!((3.0..20.0).contains(&lost), "{failed}");
    assert_eq!(share(&failed, "shed"), 0.0);
    let computing = simulated("--replicas 1 --rate 100 --compute 0.01 --seconds 100");
    assert!((0.45..0.55).contains(&share(&computing, "busy")), "{computing}");
}

/// With guests that only wait, so that it does not matter how fast the machine is: for a figure to be off by half, something would have to
/// stand still for half of what clients wait. The requests of each run come at the same times.
#[test]
#[ignore = "needs python3"]
fn two_real_replicas_turn_away_and_delay_as_many_as_the_simulation_says() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let guest = include_str!("../../../packaging/fleet/waits.wat");
    // 500 ms in place of 100 ms, and hardly a round of what it computes.
    let slower = guest.replace("\\00\\e1\\f5\\05", "\\00\\65\\cd\\1d").replace("600000", "1");
    assert!(slower.contains("\\65\\cd\\1d") && slower.contains("(i32.const 1))\n        (loop"), "{slower}");
    let path = directory.path().join("slower.wat");
    fs::write(&path, slower).expect("writable");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/fleet/simulate.py");
    let mut python = Command::new("python3");
    python.args([script, "compare", env!("CARGO_BIN_EXE_wagi"), "--guest"]).arg(&path);
    python.args("--permits 2 --queue 2 --queue-wait 10 --fit-rate 1 --rates 12 --seconds 8 --tolerance 0.5".split(' '));
    // Caches of its own.
    let done = Done::from(output(python.env("HOME", directory.path()).env_remove("XDG_CACHE_HOME")));
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let line = done.stdout.lines().last().expect("a line").to_owned();
    let shed = line.split("turned away ").nth(1).and_then(|rest| rest.split('%').next()?.parse::<f64>().ok());
    assert!(shed.is_some_and(|shed| shed > 10.0), "the load is one that is too much: {line}");
}

#[test]
fn the_guest_of_the_comparison_waits_computes_and_answers() {
    let guest = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/fleet/waits.wat");
    let wagi = Site::new().module("/", guest.as_ref(), "").start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/").text(), "done");
    let line = wagi.logged(&["\"GET / HTTP/1.1\" 200"]);
    let took = line.split_whitespace().find_map(|word| word.strip_suffix("us")?.parse::<u64>().ok()).expect("a time");
    assert!(took >= 100_000, "{line}");
}
