//! Snapshots that were refused, and those that are for some requests only.

use serde_json::Value;

use crate::support::admin::Administered;
use crate::support::at_leisure;
use crate::support::process::run;
use crate::support::site::Site;

use crate::warm_start::{asked, guest, guest_at};

fn warm_start(served: &Administered) -> Value {
    let status = served.json("/status");
    let routes = status["routes"].as_array().expect("routes");
    routes.iter().find(|route| route["pattern"] == "/a").expect("the route")["warm_start"].clone()
}

#[test]
fn a_refusal_says_whether_it_may_pass_and_when_it_is_tried_again() {
    // A timer of some hours: one subscription of the clock, relative.
    let waits = "(i32.store (i32.const 920) (i32.const 1)) (i64.store (i32.const 928) (i64.const 9000000000000)) \
        (drop (call $poll (i32.const 904) (i32.const 960) (i32.const 1) (i32.const 24)))";
    let site = Site::new().text_module(
        "/a",
        &guest("(call $checkpoint)", waits),
        "warm_start = true\nlimits = { time_to_head = '1s' }",
    );
    let served = Administered::start(site, &[]);
    let line = served.wagi.logged(&["warm start: served cold", "reason=\"waits\""]);
    assert!(line.contains("retry_in=60s"), "{line}");
    let refused = warm_start(&served)["refused"][0].clone();
    assert_eq!((&refused["reason"], &refused["passing"]), (&"waits".into(), &true.into()));
    assert!(refused["retry_in_seconds"].as_u64().is_some_and(|seconds| seconds <= 60), "{refused}");
    let site = Site::new().text_module("/a", &guest("(return)", ""), "warm_start = true");
    let served = Administered::start(site, &[]);
    let line = served.wagi.logged(&["warm start: served cold"]);
    assert!(!line.contains("retry_in"), "{line}");
    let refused = warm_start(&served)["refused"][0].clone();
    assert_eq!((&refused["passing"], &refused["retry_in_seconds"]), (&false.into(), &Value::Null));
}

/// A script with a mistake, which is mended.
#[test]
fn a_program_that_was_refused_is_tried_again_when_a_file_has_changed_that_it_had_read() {
    // `b`: it draws a random number.
    let before = "(call $read_file) (if (i32.eq (i32.load8_u (i32.const 400)) (i32.const 98))
        (then (drop (call $random (i32.const 410) (i32.const 8))))) (call $checkpoint)";
    let site = Site::new();
    site.file("data/file.txt", "bad");
    let module = guest_at("4", before, "(call $print (i32.const 400) (i32.const 4))");
    let volumes = "volumes = { '/data' = { path = 'data', read_only = true } }";
    let wagi = site.text_module("/a", &module, &format!("warm_start = true\n{volumes}")).start(&[]);
    wagi.logged(&["warm start: served cold", "reason=\"random\""]);
    std::fs::write(wagi.directory().join("data/file.txt"), "good").expect("writable");
    at_leisure(|| {
        assert!(asked(&wagi, "GET /a HTTP/1.1", "").text().starts_with("good"));
        wagi.log().contains("warm start: ready").then_some(())
    });
    wagi.logged(&["warm start: a file has changed: trying again"]);
}

/// Copies the first digit of CONTENT_LENGTH before its checkpoint, as PHP does.
fn keeps_the_length() -> String {
    let keep = "(func $keep (local $index i32) (local $variable i32)
        (loop $next
          (local.set $variable (i32.load (i32.add (i32.const 4096) (i32.mul (local.get $index) (i32.const 4)))))
          (if (i32.and
                (i64.eq (i64.load (local.get $variable)) (i64.const 0x5f544e45544e4f43))
                (i32.eq (i32.load8_u offset=8 (local.get $variable)) (i32.const 76)))
            (then (i32.store8 (i32.const 400) (i32.load8_u offset=15 (local.get $variable)))))
          (local.set $index (i32.add (local.get $index) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $index) (i32.load (i32.const 0))))))
      (func (export \"_start\")";
    let module = guest(
        "(call $keep) (call $checkpoint)",
        "(call $print (i32.const 400) (i32.const 1)) (call $print (i32.const 320) (i32.const 1))",
    );
    module.replacen("(func (export \"_start\")", keep, 1)
}

#[test]
fn a_program_that_has_read_what_there_is_of_a_body_begins_warm_for_requests_without_one() {
    let site = Site::new().text_module("/a", &keeps_the_length(), "warm_start = true");
    let served = Administered::start(site, &[]);
    let line = served.wagi.logged(&["warm start: ready", "no query"]);
    assert!(line.contains("requests=\"without-body\""), "{line}");
    assert_eq!(warm_start(&served)["for_some_requests"], 1);
    let digit = |method: &str, body: &str| {
        let text = asked(&served.wagi, &format!("{method} /a HTTP/1.1"), body).text();
        text.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!((digit("GET", ""), digit("POST", "five!"), digit("POST", "")), ("0".into(), "5".into(), "0".into()));
    assert_eq!((digit("GET", "abc"), digit("DELETE", ""), digit("GET", "")), ("3".into(), "0".into(), "0".into()));
    let requests = warm_start(&served)["requests"].clone();
    assert_eq!((&requests["warm"], &requests["cold"]), (&2.into(), &4.into()));
}

#[test]
fn a_check_says_for_which_requests_a_program_begins_warm() {
    let site = Site::new().text_module("/a", &keeps_the_length(), "warm_start = true");
    site.write();
    let output = run(site.path(), &["check", "--warm", "20"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("/a: no query: warm for GET and HEAD without a body, 20 answers"), "{text}");
    assert_eq!(output.status.code(), Some(0));
}
