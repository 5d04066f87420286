//! Guests that have files open at their checkpoint.

use std::fs;

use serde_json::Value;

use crate::support::admin::Administered;
use crate::support::site::Site;

use crate::warm_start::{asked, guest_at, warm};

const READ_ONLY: &str = "volumes = { '/data' = { path = 'data', read_only = true } }";
const WRITABLE: &str = "volumes = { '/data' = 'data' }";

/// Serves a guest with one file in its volume, warm.
fn served(before: &str, after: &str, volumes: &str) -> Administered {
    let site = Site::new();
    site.file("data/file.txt", "first second third ");
    let module = guest_at("4", &format!("{before} (call $checkpoint)"), after);
    let served = Administered::start(site.text_module("/a", &module, &format!("warm_start = true\n{volumes}")), &[]);
    warm(&served.wagi, "no query");
    served
}

fn starts(served: &Administered) -> (Value, Value) {
    let status = served.json("/status");
    let routes = status["routes"].as_array().expect("routes");
    let route = routes.iter().find(|route| route["pattern"] == "/a").expect("the route");
    let requests = &route["warm_start"]["requests"];
    (requests["warm"].clone(), requests["cold"].clone())
}

/// What the guest has printed before its variables, line by line.
fn lines(served: &Administered, query: &str) -> Vec<String> {
    let text = asked(&served.wagi, &format!("GET /a{query} HTTP/1.1"), "").text();
    text.lines().take_while(|line| !line.contains('=')).map(str::to_owned).collect()
}

/// What the guest prints warm, which is what it prints cold.
fn same_lines(served: &Administered) -> Vec<String> {
    // A query without room, which is served cold.
    let cold = lines(served, &format!("?{}", "x".repeat(6000)));
    assert_eq!(starts(served), (0.into(), 1.into()));
    let warm = lines(served, "");
    assert_eq!(starts(served), (1.into(), 1.into()));
    assert_eq!(warm, cold);
    warm
}

const PRINT: &str = "(call $print (i32.const 400) (i32.const 6)) (call $print (i32.const 320) (i32.const 1))";

#[test]
fn a_file_that_is_open_at_the_checkpoint_is_read_on_where_the_guest_was() {
    let read = "(call $read_on (i32.const 440))";
    for volumes in [READ_ONLY, WRITABLE] {
        let served = served(&format!("(call $open_file (i32.const 440)) {read}"), &format!("{read} {PRINT}"), volumes);
        assert_eq!(same_lines(&served), ["second"], "{volumes}");
        assert!(served.wagi.log().contains("open=1"), "{}", served.wagi.log());
    }
}

#[test]
fn a_descriptor_is_the_same_behind_the_checkpoint() {
    let before = "(call $open_file (i32.const 440)) (drop (call $seek (i32.load (i32.const 440)) (i64.const 6) (i32.const 0) (i32.const 408)))";
    // Its number, its place, where it gets from there, and its flags and rights.
    let after = "(call $print_letters (i32.const 440))
        (drop (call $tell (i32.load (i32.const 440)) (i32.const 408))) (call $print_letters (i32.const 408))
        (drop (call $seek (i32.load (i32.const 440)) (i64.const -6) (i32.const 2) (i32.const 408)))
        (call $print_letters (i32.const 408)) (call $read_on (i32.const 440))";
    let fdstat =
        "(drop (call $fdstat (i32.load (i32.const 440)) (i32.const 448))) (call $print_letters (i32.const 448))
        (call $print_letters (i32.const 456)) (call $print_letters (i32.const 464))";
    let served = served(before, &format!("{after} {PRINT} {fdstat}"), READ_ONLY);
    let lines = same_lines(&served);
    assert_eq!((lines.len(), lines[3].as_str()), (7, "third "), "{lines:?}");
}

/// The numbers of files that are opened behind the checkpoint, which depend on those that were closed before.
#[test]
fn numbers_are_given_away_in_the_same_order() {
    let close = |at: u32| format!("(drop (call $close (i32.load (i32.const {at}))))");
    let open = |at: u32| format!("(call $open_file (i32.const {at}))");
    let next = format!(
        "{} {} {} (call $print_letters (i32.const 480)) (call $print_letters (i32.const 488))",
        open(480),
        open(484),
        open(488)
    );
    let both = format!("{} {} {} {}", open(440), open(444), close(440), close(444));
    let first = format!("{} {} {} {} {}", open(440), open(444), open(448), close(440), close(444));
    let mut found = Vec::new();
    for before in [both, first, format!("{} {}", open(440), close(440))] {
        found.push(same_lines(&served(&before, &next, READ_ONLY)));
    }
    // The letters `f`, `g`, `h` and `i` stand for 5, 6, 7 and 8.
    assert_eq!(found, [["gaaafaaa", "haaaaaaa"], ["gaaafaaa", "iaaaaaaa"], ["faaagaaa", "haaaaaaa"]]);
}

#[test]
fn a_file_that_was_open_at_the_checkpoint_may_be_replaced() {
    let read = "(call $read_on (i32.const 440))";
    let served = served(&format!("(call $open_file (i32.const 440)) {read}"), &format!("{read} {PRINT}"), READ_ONLY);
    assert_eq!(lines(&served, ""), ["second"]);
    let data = served.wagi.directory().join("data");
    fs::write(data.join("new"), "other answer third ").expect("writable");
    fs::rename(data.join("new"), data.join("file.txt")).expect("writable");
    assert_eq!(lines(&served, ""), ["answer"], "the next answer is the new one");
    assert_eq!(starts(&served), (1.into(), 1.into()));
    served.wagi.logged(&["warm start: a file has changed"]);
}

#[test]
fn what_a_request_cannot_get_again_is_refused_by_name() {
    let directory = "(drop (call $open (i32.const 3) (i32.const 0) (i32.const 304) (i32.const 4) (i32.const 2)
        (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 440)))";
    for (before, text) in [
        (directory, "it has a directory open"),
        ("(drop (call $close (i32.const 3)))", "it has closed a standard stream or a volume"),
        ("(drop (call $close (i32.const 2)))", "it has closed a standard stream or a volume"),
    ] {
        let site = Site::new();
        site.file("data/file/x", "");
        let module = guest_at("4", &format!("{before} (call $checkpoint)"), "");
        let wagi = site.text_module("/a", &module, &format!("warm_start = true\n{READ_ONLY}")).start(&[]);
        let line = wagi.logged(&["warm start: served cold"]);
        assert!(line.contains("reason=\"descriptors\"") && line.contains(text), "{line}");
        assert_eq!(asked(&wagi, "GET /a HTTP/1.1", "").status, 200);
    }
}
