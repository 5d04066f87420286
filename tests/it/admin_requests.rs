//! Requests in flight and failed ones over the admin listener, and how an operator ends one.

use crate::support::admin::Administered;
use crate::support::eventually;
use crate::support::guest::probe;
use crate::support::site::Site;

/// A guest that prints a script for browsers on standard error, and traps.
pub const TRAP: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\2d\00\00\00")
    (data (i32.const 16) "<script>document.title = 'taken'</script> \ff\00\n")
    (func $give_up unreachable)
    (func (export "_start") (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))) (call $give_up)))"#;

/// The probe at `/...`, and a guest that traps at `/trap`.
pub fn site() -> Site {
    Site::new().text_module("/trap", TRAP, "").module(
        "/p/...",
        &probe(),
        "limits = { concurrency = 2, cpu_time = '10m', time_to_head = '10m' }",
    )
}

#[test]
fn a_request_is_listed_and_ended_over_the_admin_listener() {
    let server = Administered::start(site(), &[]);
    let mut spinning = server.begin("/p/spin?x=%3Cb%3E");
    let request = server.in_flight("guest");
    for (key, value) in
        [("route", "/p/..."), ("client", "127.0.0.1"), ("method", "GET"), ("target", "/p/spin?x=%3Cb%3E")]
    {
        assert_eq!(request[key], value, "{request}");
    }
    assert!(
        request["age"].is_number() && request["cpu_time"].is_number() && request["memory"].is_number(),
        "{request}"
    );
    let path = format!("/requests/{}", request["id"].as_str().expect("an id"));
    let ended = server.ask("DELETE", &path);
    assert_eq!(ended.status, 200, "{}", ended.text());
    assert_eq!(spinning.answer().status, 504);
    server.wagi.logged(&["/p/spin", " 504 ", "end=cancelled", "an operator has ended the request"]);
    assert_eq!(server.ask("DELETE", &path).status, 404);
    assert_eq!(server.json("/requests")["in_flight"], serde_json::json!([]));
    assert_eq!(server.json("/requests")["failed"][0]["end"], "cancelled");
}

#[test]
fn what_is_no_request_in_flight_is_404_and_other_methods_are_405() {
    let server = Administered::start(site(), &[]);
    for path in ["/requests/0000000000000001", "/requests/x", "/requests/", "/requests/0000000000000001/x"] {
        assert_eq!(server.ask("DELETE", path).status, 404, "{path}");
    }
    assert_eq!(server.ask("GET", "/requests/0000000000000001").status, 405);
    assert_eq!(server.ask("DELETE", "/requests").status, 405);
}

#[test]
fn requests_that_wait_for_a_permit_are_in_the_queue_and_can_be_ended() {
    let server = Administered::start(site().top("[limits]\nqueue_wait = '10m'"), &[]);
    let _spinning = [server.begin("/p/spin"), server.begin("/p/spin")];
    let spin = || server.json("/requests")["in_flight"].as_array().is_some_and(|list| list.len() == 2);
    eventually(|| spin().then_some(()));
    let mut waiting = server.begin("/p/args");
    let request = server.in_flight("queue");
    assert_eq!(request["target"], "/p/args");
    let status = server.json("/status");
    let route = status["routes"].as_array().expect("a list").iter().find(|route| route["pattern"] == "/p/...");
    assert_eq!(route.expect("the route")["queued"], 1, "{status}");
    server.ask("DELETE", &format!("/requests/{}", request["id"].as_str().expect("an id")));
    assert_eq!(waiting.answer().status, 504);
}

#[test]
fn a_trap_is_listed_with_the_words_of_its_guest_and_its_backtrace() {
    let server = Administered::start(site(), &[]);
    assert_eq!(server.begin("/trap?%3Cscript%3E").answer().status, 500);
    let failed = server.json("/requests")["failed"][0].clone();
    assert_eq!((&failed["end"], &failed["status"], &failed["route"]), (&"trap".into(), &500.into(), &"/trap".into()));
    assert_eq!(failed["stderr"], "<script>document.title = 'taken'</script> \u{fffd}\0\n", "{failed}");
    assert!(failed["backtrace"].as_str().is_some_and(|text| text.contains("give_up")), "{failed}");
    assert!(failed["reason"].as_str().is_some_and(|text| text.contains("unreachable")), "{failed}");
    for key in ["time", "module", "version", "took", "cpu_time", "memory", "phases"] {
        assert!(!failed[key].is_null(), "{key}: {failed}");
    }
}

#[test]
fn the_status_of_a_route_has_its_numbers() {
    let server = Administered::start(site(), &[]);
    server.begin("/trap").answer();
    server.begin("/p/args").answer();
    let status = server.json("/status");
    let route = |pattern: &str| {
        let routes = status["routes"].as_array().expect("a list");
        routes.iter().find(|route| route["pattern"] == pattern).expect("the route").clone()
    };
    let trap = route("/trap");
    assert_eq!((&trap["requests"], &trap["errors"]["trap"], &trap["kind"]), (&1.into(), &1.into(), &"module".into()));
    let probe = route("/p/...");
    assert_eq!((&probe["in_flight"], &probe["errors"]), (&0.into(), &serde_json::json!({})));
    assert!(probe["memory_peak"].as_u64().is_some_and(|peak| peak >= 65_536), "{probe}");
    assert!(probe["digest"].as_str().is_some_and(|digest| digest.len() >= 64), "{probe}");
    assert!(["p50", "p90", "p99"].iter().all(|key| probe[key].is_number()), "{probe}");
}
