//! Three replicas with a registry, behind HAProxy, each in a network namespace of its own.

mod load;
mod network;
mod replicas;
mod simulation;

use std::collections::BTreeSet;
use std::time::Instant;

use load::{CLIENTS, Load, Outcome};
use replicas::{Fleet, NAMES};

use crate::support::alone;
use crate::support::http1::Connection;

/// The replicas that have answered, and the texts.
fn seen(outcome: &Outcome) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let keys = || outcome.answered.keys();
    (keys().map(|(replica, _)| replica.as_str()).collect(), keys().map(|(_, text)| text.as_str()).collect())
}

#[test]
#[ignore = "needs docker-registry, haproxy, iproute2 and root"]
fn a_rolling_restart_and_a_rolling_change_of_the_digest_lose_no_request() {
    let _alone = alone();
    let (mut fleet, modules) = Fleet::start();
    let load = Load::begin(&fleet.socket());
    for (number, name) in NAMES.into_iter().enumerate() {
        let replica = &mut fleet.replicas[number];
        replica.wagi.signal("TERM");
        assert_eq!(replica.wagi.ended().code(), Some(0), "{}", replica.wagi.log());
        replica.start_again();
        fleet.is_used(name);
        load.goes_on();
    }
    let restarted = load.end();
    assert!(restarted.failed.is_empty(), "{:?}", restarted.failed);
    assert_eq!(seen(&restarted), (NAMES.into(), ["first"].into()));

    let load = Load::begin(&fleet.socket());
    for replica in &fleet.replicas {
        replica.change(&modules.second, &modules.probe);
        load.goes_on();
    }
    let changed = load.end();
    assert!(changed.failed.is_empty(), "{:?}", changed.failed);
    assert_eq!(seen(&changed), (NAMES.into(), ["first", "second"].into()));
    let load = Load::begin(&fleet.socket());
    assert_eq!(seen(&load.end()).1, ["second"].into());
}

/// Requests that sleep, each with the replica that it is at.
fn sleeping(fleet: &Fleet, count: usize) -> Vec<(String, Connection)> {
    let begin = |_| {
        let mut connection = Connection::open_unix(&fleet.socket());
        connection.send("GET /sleep?15000 HTTP/1.1\r\nHost: example.com\r\n\r\n");
        let head = connection.head();
        (head.header("replica").expect("the load balancer says it").to_owned(), connection)
    };
    (0..count).map(begin).collect()
}

#[test]
#[ignore = "needs docker-registry, haproxy, iproute2 and root"]
fn a_replica_that_is_killed_takes_only_what_it_was_working_on() {
    let _alone = alone();
    let (fleet, _) = Fleet::start();
    let load = Load::begin(&fleet.socket());
    let sleeping = sleeping(&fleet, 9);
    fleet.replicas[0].wagi.signal("KILL");
    let killed = Instant::now();
    load.goes_on();
    load.goes_on();
    let outcome = load.end();
    assert!(outcome.failed.len() <= CLIENTS, "{:?}", outcome.failed);
    assert!(outcome.failed.iter().all(|(begun, _)| *begun < killed), "{:?}", outcome.failed);
    let of_killed = sleeping.iter().filter(|(replica, _)| replica == NAMES[0]).count();
    assert!((1..9).contains(&of_killed), "{of_killed}");
    for (replica, mut connection) in sleeping {
        let woken = connection.chunk().is_ok_and(|chunk| chunk.as_deref() == Some(&b"awake\n"[..]));
        assert_eq!(woken, replica != NAMES[0], "{replica}");
    }
}

#[test]
#[ignore = "needs docker-registry, haproxy, iproute2 and root"]
fn without_the_registry_replicas_go_on_and_start_again_from_their_caches() {
    let _alone = alone();
    let (mut fleet, modules) = Fleet::start();
    let load = Load::begin(&fleet.socket());
    fleet.stop_registry();
    load.goes_on();
    let replica = &mut fleet.replicas[0];
    replica.wagi.signal("TERM");
    assert_eq!(replica.wagi.ended().code(), Some(0));
    replica.start_again();
    replica.wagi.logged(&["from=\"cache\""]);
    replica.wagi.logged(&["fetched=0"]);
    fleet.is_used(NAMES[0]);
    load.goes_on();
    let outcome = load.end();
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    assert_eq!(seen(&outcome).0, NAMES.into());
    let said = fleet.start_without_caches(&modules);
    assert!(said.contains("10.99.0.10:5000"), "{said}");
}
