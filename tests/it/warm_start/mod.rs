//! Guests that begin at their checkpoint: what they see of their request, when they begin cold, and what is said of it.

mod again;
mod check;
mod checkpoints;
mod fit;
mod held;
mod interpreters;
mod isolation;
mod kept;
mod order;
mod times;

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::support::admin::Administered;
use crate::support::at_leisure;
use crate::support::http1::{Answer, Connection};
use crate::support::process::Wagi;
use crate::support::site::Site;

const GUEST: &str = include_str!("guest.wat");

/// A guest without volumes, whose checkpoint is the first directory that it has.
fn guest(before: &str, after: &str) -> String {
    guest_at("3", before, after)
}

fn guest_at(directory: &str, before: &str, after: &str) -> String {
    GUEST.replace("CHECKPOINT", directory).replace("BEFORE", before).replace("AFTER", after)
}

fn asked(wagi: &Wagi, head: &str, body: &str) -> Answer {
    let mut connection = Connection::open(wagi.address());
    connection.send(format!("{head}\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    connection.answer()
}

/// The variables that a guest has printed, without those that no two requests have in common.
fn variables(answer: &Answer) -> BTreeMap<String, String> {
    let lines = answer.text();
    let pairs = lines.lines().filter_map(|line| line.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.replace("/cold", "/warm")));
    pairs.filter(|(name, _)| !["REQUEST_ID", "X_REQUEST_ID", "REMOTE_PORT"].contains(&name.as_str())).collect()
}

const REQUESTS: [(&str, &str); 6] = [
    ("GET /ROUTE HTTP/1.1", ""),
    ("GET /ROUTE/some/path HTTP/1.1\r\nCookie: sid=1\r\nAccept: */*\r\nX-Own: a", ""),
    ("POST /ROUTE?a=1&b=2 HTTP/1.1\r\nContent-Type: text/plain", "a body"),
    ("POST /ROUTE/x?word HTTP/1.1\r\nCookie: b", "another body"),
    ("DELETE /ROUTE?a=1 HTTP/1.1\r\nAuthorization: Basic eA==", ""),
    ("GET /ROUTE HTTP/1.1", ""),
];

/// What the admin listener says of the warm starts of a route.
fn status(served: &Administered, pattern: &str) -> Value {
    let status = served.json("/status");
    let routes = status["routes"].as_array().expect("routes").clone();
    routes.into_iter().find(|route| route["pattern"] == pattern).expect("the route")["warm_start"].clone()
}

/// Waits until this many snapshots of a route are ready.
fn ready(served: &Administered, pattern: &str, snapshots: u64) {
    at_leisure(|| (status(served, pattern)["snapshots"] == snapshots).then_some(()));
}

/// How many requests to a route began warm.
fn warm_requests(served: &Administered, pattern: &str) -> u64 {
    status(served, pattern)["requests"]["warm"].as_u64().expect("a number")
}

/// Waits until a snapshot is ready for this query.
fn warm(wagi: &Wagi, query: &str) {
    wagi.logged(&["warm start: ready", query]);
}

#[test]
fn a_guest_that_begins_warm_sees_its_own_request_where_it_saw_its_variables_before() {
    let module = guest("(call $checkpoint)", "");
    let site = Site::new()
        .text_module("/warm/...", &module, "warm_start = true\nenvironment = { OWN = 'value' }")
        .text_module("/cold/...", &module, "environment = { OWN = 'value' }");
    let wagi = site.start(&[]);
    for (head, body) in REQUESTS {
        let asked = |route: &str| asked(&wagi, &head.replace("ROUTE", route), body);
        asked("warm");
        let query = if head.contains("a=1") {
            "a query with"
        } else if head.contains('?') {
            "without"
        } else {
            "no query"
        };
        warm(&wagi, query);
        let (warm, cold) = (asked("warm"), asked("cold"));
        assert_eq!((warm.status, variables(&warm)), (cold.status, variables(&cold)), "{head}");
        assert_eq!(variables(&warm).get("OWN").map(String::as_str), Some("value"));
    }
}

#[test]
fn a_route_says_how_its_guests_begin() {
    let site = Site::new()
        .text_module("/warm", &guest("(call $checkpoint)", ""), "warm_start = true")
        .text_module("/cold", &guest("(nop)", ""), "warm_start = true")
        .text_module("/plain", &guest("(nop)", ""), "");
    let served = Administered::start(site, &[]);
    let route = |pattern: &str| status(&served, pattern);
    at_leisure(|| (route("/warm")["state"] == "warm").then_some(()));
    at_leisure(|| (route("/cold")["state"] == "cold").then_some(()));
    assert_eq!(route("/plain"), Value::Null);
    assert_eq!(route("/cold")["refused"][0]["reason"], "output");
    for path in ["/warm", "/warm", "/cold"] {
        assert_eq!(asked(&served.wagi, &format!("GET {path} HTTP/1.1"), "").status, 200);
    }
    assert_eq!(route("/warm")["requests"]["warm"], 2);
    assert_eq!(route("/cold")["requests"]["cold"], 1);
    let metrics = served.ask("GET", "/metrics").text();
    let counted = "wagi_warm_starts_total{http_route=\"/warm\",result=\"warm\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
    // Counters go on after a reload.
    let path = served.wagi.directory().join("modules.toml");
    let toml = fs::read_to_string(&path).expect("it is there");
    fs::write(&path, toml + "[[module]]\nroute = '/more'\nmodule = 'guest2.wat'\n").expect("writable");
    assert_eq!(served.json("/status")["generation"], 1);
    assert_eq!(served.ask("POST", "/reload").status, 200);
    assert_eq!(served.json("/status")["generation"], 2);
    let metrics = served.ask("GET", "/metrics").text();
    assert!(metrics.contains(counted), "{metrics}");
}

/// What a guest does before its checkpoint, and the reason for which it begins cold.
#[test]
fn what_would_not_be_the_same_behind_the_checkpoint_is_served_cold_by_name() {
    let reads_body = "(i32.store (i32.const 16) (i32.const 800)) (i32.store (i32.const 20) (i32.const 10)) \
        (drop (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))";
    let cases = [
        ("output", "(call $print (i32.const 320) (i32.const 0)) (call $checkpoint)".to_owned()),
        ("random", "(drop (call $random (i32.const 400) (i32.const 8))) (call $checkpoint)".to_owned()),
        ("no-checkpoint", "(return)".to_owned()),
        (
            "call",
            "(drop (call $poll (i32.const 900) (i32.const 950) (i32.const 0) (i32.const 24))) (call $checkpoint)"
                .to_owned(),
        ),
        ("variables", "(i32.store (i32.const 65540) (i32.const 1)) (call $checkpoint)".to_owned()),
        (
            "variables",
            "(memory.copy (i32.const 300000) (i32.const 4096) (i32.const 2048)) (call $checkpoint)".to_owned(),
        ),
        ("differs", format!("(call $copy) {reads_body}")),
    ];
    // All variables are copied: some of them are others in another request.
    let copy = "(func $copy (memory.copy (i32.const 200000) (i32.const 65536) (i32.const 65536)))\n  (func (export \"_start\")";
    for (reason, before) in cases {
        let module = guest(&before, "").replacen("(func (export \"_start\")", copy, 1);
        let wagi = Site::new().text_module("/a", &module, "warm_start = true").start(&[]);
        let line = wagi.logged(&["warm start: served cold"]);
        assert!(line.contains(&format!("reason=\"{reason}\"")), "{reason}: {line}");
        let status = if reason == "no-checkpoint" { 500 } else { 200 };
        assert_eq!(asked(&wagi, "GET /a HTTP/1.1", "").status, status, "{reason}");
    }
}

#[test]
fn random_numbers_before_the_checkpoint_are_shared_only_if_the_operator_says_so() {
    let before = "(drop (call $random (i32.const 400) (i32.const 8))) (call $checkpoint)";
    let after = "(call $print_letters (i32.const 400)) (drop (call $random (i32.const 408) (i32.const 8))) \
        (call $print_letters (i32.const 408))";
    let module = guest(before, after);
    let wagi = Site::new().text_module("/a", &module, "warm_start = { shared_random = true }").start(&[]);
    warm(&wagi, "no query");
    let tokens = || {
        let text = asked(&wagi, "GET /a HTTP/1.1", "").text();
        let mut lines = text.lines().map(str::to_owned);
        (lines.next().expect("a token"), lines.next().expect("another"))
    };
    let (first, second) = (tokens(), tokens());
    assert_eq!(first.0, second.0, "drawn once");
    assert_ne!(first.1, second.1, "drawn by each request");
}

#[test]
fn a_server_without_a_place_for_temporary_files_serves_cold() {
    let site = Site::new().text_module("/a", &guest("", ""), "warm_start = true");
    let wagi = site.start_with(&[], &[("TMPDIR", "/dev/null")]);
    let line = wagi.logged(&["warm start: served cold", "/a"]);
    assert!(line.contains("reason=\"failed\""), "{line}");
    wagi.logged(&["warm start: cannot make a directory: served cold"]);
    assert_eq!(asked(&wagi, "GET /a HTTP/1.1", "").status, 200);
}

#[test]
fn a_program_with_much_memory_begins_cold() {
    // 300 MiB, of which it uses nothing.
    let grow = "(drop (memory.grow (i32.const 4800))) (call $checkpoint)";
    let wagi =
        Site::new().text_module("/a", &guest(grow, ""), "warm_start = true\nlimits = { memory = '400MiB' }").start(&[]);
    let line = wagi.logged(&["warm start: served cold", "/a"]);
    assert!(line.contains("reason=\"memory-size\""), "{line}");
}

/// Serves a module that has a volume with one file, warm.
fn with_a_file(module: &str) -> Wagi {
    let site = Site::new();
    site.file("data/file.txt", "first");
    let volume = "volumes = { '/data' = { path = 'data', read_only = true } }";
    let wagi = site.text_module("/a", module, &format!("warm_start = true\n{volume}")).start(&[]);
    warm(&wagi, "no query");
    wagi
}

#[test]
fn a_file_that_was_read_before_the_checkpoint_may_change() {
    let module = guest_at("4", "(call $read_file) (call $checkpoint)", "(call $print (i32.const 400) (i32.const 5))");
    let wagi = with_a_file(&module);
    let answer = || asked(&wagi, "GET /a HTTP/1.1", "").text();
    assert!(answer().starts_with("first"));
    std::fs::write(wagi.directory().join("data/file.txt"), "other").expect("writable");
    assert!(answer().starts_with("other"), "the next answer is the new one");
    wagi.logged(&["warm start: a file has changed"]);
}

#[test]
fn a_volume_that_was_listed_before_the_checkpoint_may_get_a_file() {
    let list = "(drop (call $list (i32.const 3) (i32.const 262144) (i32.const 4096) (i64.const 0) (i32.const 400)))";
    let module = guest_at("4", &format!("{list} (call $checkpoint)"), "(call $print_letters (i32.const 400))");
    let wagi = with_a_file(&module);
    let length = || asked(&wagi, "GET /a HTTP/1.1", "").text().lines().next().map(str::to_owned);
    let before = length();
    assert_eq!(length(), before);
    std::fs::write(wagi.directory().join("data/more.txt"), "").expect("writable");
    assert_ne!(length(), before, "the list is the new one");
    wagi.logged(&["warm start: a file has changed"]);
}

#[test]
fn the_monotonic_clock_goes_on_from_the_checkpoint() {
    let before = "(drop (call $clock (i32.const 1) (i64.const 1) (i32.const 400))) (call $checkpoint)";
    // One byte: whether the time is later.
    let after = "(drop (call $clock (i32.const 1) (i64.const 1) (i32.const 408))) \
        (i32.store8 (i32.const 416) (i32.add (i32.const 48) \
            (i64.gt_u (i64.load (i32.const 408)) (i64.load (i32.const 400))))) \
        (call $print (i32.const 416) (i32.const 1))";
    let wagi = Site::new().text_module("/a", &guest(before, after), "warm_start = true").start(&[]);
    warm(&wagi, "no query");
    for _ in 0..20 {
        assert!(asked(&wagi, "GET /a HTTP/1.1", "").text().starts_with('1'));
    }
}

#[test]
fn a_request_that_does_not_fit_is_served_cold() {
    let module = guest("(call $checkpoint)", "");
    let wagi = Site::new().text_module("/a", &module, "warm_start = true").start(&[]);
    warm(&wagi, "no query");
    let long = "x".repeat(6000);
    let answer = asked(&wagi, &format!("GET /a?{long} HTTP/1.1"), "");
    assert_eq!(variables(&answer).get("QUERY_STRING"), Some(&long));
    let long = "y".repeat(300);
    let answer = asked(&wagi, &format!("GET /a HTTP/1.1\r\nContent-Type: {long}"), "");
    assert_eq!(variables(&answer).get("CONTENT_TYPE"), Some(&long));
}

#[test]
fn a_guest_that_waits_while_it_is_tried_keeps_no_other_from_its_snapshot() {
    // A timer of some hours: one subscription of the clock, relative.
    let waits = "(i32.store (i32.const 920) (i32.const 1)) (i64.store (i32.const 928) (i64.const 9000000000000)) \
        (drop (call $poll (i32.const 904) (i32.const 960) (i32.const 1) (i32.const 24)))";
    let wagi = Site::new()
        .text_module("/a", &guest("(call $checkpoint)", waits), "warm_start = true\nlimits = { time_to_head = '1s' }")
        .text_module("/b", &guest("(call $checkpoint)", ""), "warm_start = true")
        .start(&[]);
    let line = wagi.logged(&["warm start: served cold", "/a"]);
    assert!(line.contains("reason=\"waits\""), "{line}");
    wagi.logged(&["warm start: ready", "/b"]);
}
