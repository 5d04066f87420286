//! Records that somebody has changed end nothing but their connection.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::support::Dice;
use crate::support::process::Wagi;
use crate::web_servers::wire::{
    ABORT, BEGIN, COMPLETE, GET_VALUES, PARAMS, STDIN, WebServer, end, netstring, padded, pairs, record, request,
};
use crate::web_servers::{FACTS, assert_facts, wagi};

/// How many connections there are in each of the threads, with how many records.
const THREADS: u64 = 4;
const CONNECTIONS: u64 = 2_000;
const RECORDS: usize = 13;

fn conversation() -> [Vec<u8>; RECORDS] {
    let split = pairs(&FACTS);
    let (one, other) = split.split_at(split.len() / 2);
    [
        record(GET_VALUES, 0, &pairs(&[("FCGI_MPXS_CONNS", "")])),
        record(77, 0, b"?"),
        record(BEGIN, 2, &[0, 2, 1, 0, 0, 0, 0, 0]),
        record(BEGIN, 1, &[0, 1, 1, 0, 0, 0, 0, 0]),
        padded(PARAMS, 1, one, 7),
        padded(PARAMS, 1, other, 1),
        record(PARAMS, 1, b""),
        record(STDIN, 1, b"ab"),
        record(BEGIN, 3, &[0, 1, 1, 0, 0, 0, 0, 0]),
        record(STDIN, 1, b"c"),
        record(STDIN, 1, b""),
        record(77, 1, b"?"),
        record(ABORT, 1, b""),
    ]
}

/// Changes some bytes, and sometimes leaves out what is behind the last.
fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(6) {
        let at = usize::try_from(dice.below(bytes.len() as u64)).expect("an index");
        bytes[at] = u8::try_from(dice.below(256)).expect("a byte");
        if dice.below(50) == 0 {
            bytes.truncate(at + 1);
        }
    }
}

fn attack(wagi: &Wagi, seed: u64) {
    let mut dice = Dice(seed);
    for _ in 0..CONNECTIONS {
        let mut bytes = conversation().concat();
        mutate(&mut bytes, &mut dice);
        let mut heads = format!("{}abc", netstring(&FACTS)).into_bytes();
        mutate(&mut heads, &mut dice);
        for (name, bytes) in [("web.sock", bytes), ("scgi.sock", heads)] {
            let mut connection = WebServer::connect(wagi, name);
            // It may be closed already.
            let _ = connection.0.write_all(&bytes);
            let _ = connection.0.shutdown(Shutdown::Write);
            let _ = connection.0.read_to_end(&mut Vec::new());
        }
    }
}

#[test]
fn a_hundred_thousand_mutated_records_end_nothing() {
    const { assert!(THREADS * CONNECTIONS * RECORDS as u64 >= 100_000) };
    let wagi = wagi("", &["fastcgi:unix:web.sock", "scgi:unix:scgi.sock"]);
    let mut witness = WebServer::connect(&wagi, "web.sock");
    std::thread::scope(|scope| {
        for seed in 1..=THREADS {
            let wagi = &wagi;
            scope.spawn(move || attack(wagi, seed));
        }
        for _ in 0..20 {
            witness.send(request(1, &FACTS, b"abc"));
            let (text, last) = witness.response();
            assert_facts(&text);
            assert_eq!(last, Some(end(1, COMPLETE)));
        }
    });
    assert!(!wagi.log().contains("panicked"), "{}", wagi.log());
    let mut connection = WebServer::connect(&wagi, "scgi.sock");
    connection.send(netstring(&FACTS) + "abc");
    assert_facts(&connection.rest());
}
