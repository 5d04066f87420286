//! `wagi check --warm`, `wagi routes` and `wagi inspect`: which routes begin warm, and why others do not.

use std::process::Output;

use serde_json::Value;

use crate::support::process::run;
use crate::support::site::Site;

use crate::warm_start::guest;

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn a_check_answers_requests_cold_and_warm() {
    let warm = guest("(call $checkpoint)", "");
    let site = Site::new().text_module("/warm/...", &warm, "warm_start = true").text_module("/plain", &warm, "");
    site.write();
    let output = run(site.path(), &["check", "--warm", "40"]);
    let text = stdout(&output);
    for requests in ["no query", "a query with `=`", "a query without `=`"] {
        let line = format!("/warm/...: {requests}: warm, 40 answers are the same as cold\n");
        assert!(text.contains(&line), "{line}: {text}");
    }
    assert!(!text.contains("/plain: "), "{text}");
    assert_eq!(output.status.code(), Some(0));
    let report = json(&run(site.path(), &["check", "--warm", "3", "--format", "json"]));
    let proof = &report["warm_start"][0];
    assert_eq!(
        (&proof["route"], &proof["state"], &proof["answered"]),
        (&"/warm/...".into(), &"warm".into(), &3.into())
    );
    assert_eq!(proof["unfit"], 0);
    assert_eq!(json(&run(site.path(), &["check", "--format", "json"]))["warm_start"], Value::Null);
}

#[test]
fn a_check_says_how_many_requests_do_not_fit() {
    // It has asked for its arguments, of which there is another number if the query has another number of fields.
    let module = guest("(call $ask_arguments) (call $checkpoint)", "(call $print_arguments)");
    let site = Site::new().text_module("/a/...", &module, "warm_start = true");
    site.write();
    let report = json(&run(site.path(), &["check", "--warm", "40", "--format", "json"]));
    let proofs: Vec<[u64; 2]> = report["warm_start"].as_array().expect("a list").iter().map(counts).collect();
    assert_eq!(proofs[0], [40, 0], "without a query there is always one: {report}");
    for [answered, unfit] in &proofs[1..] {
        assert!(*answered > 0 && answered + unfit == 40, "{report}");
    }
    assert!(proofs[1][1] > 0, "{report}");
    let text = stdout(&run(site.path(), &["check", "--warm", "40"]));
    let [answered, unfit] = proofs[1];
    let line =
        format!("warm, {answered} answers are the same as cold; {unfit} requests begin cold, since they do not fit\n");
    assert!(text.contains(&line), "{line}: {text}");
}

/// How many requests were answered cold and warm, and how many begin cold.
fn counts(proof: &Value) -> [u64; 2] {
    ["answered", "unfit"].map(|name| proof[name].as_u64().expect("a number"))
}

#[test]
fn a_check_says_why_a_route_begins_cold_and_fails() {
    // Prints a number that is drawn before the checkpoint, which no rehearsal shares with another.
    let cold = guest("(drop (call $random (i32.const 400) (i32.const 8))) (call $checkpoint)", "");
    let warm = guest("(call $checkpoint)", "");
    let site =
        Site::new().text_module("/cold", &cold, "warm_start = true").text_module("/a", &warm, "warm_start = true");
    site.write();
    let output = run(site.path(), &["check", "--warm", "2"]);
    let text = stdout(&output);
    assert!(text.contains("/cold: no query: cold (random): it drew random numbers"), "{text}");
    assert!(text.contains("/a: no query: warm, 2 answers"), "{text}");
    assert_eq!(output.status.code(), Some(1));
    for wrong in ["0", "x", "1000001"] {
        assert_eq!(run(site.path(), &["check", "--warm", wrong]).status.code(), Some(2), "{wrong}");
    }
    let none = Site::new().text_module("/a", &warm, "");
    none.write();
    let output = run(none.path(), &["check", "--warm", "2"]);
    assert!(stdout(&output).contains("no route has `warm_start`"), "{}", stdout(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_the_module_alone_shows_is_said_without_running_it() {
    let fit = guest("(call $checkpoint)", "");
    let unfit = fit.replace(
        "(data (i32.const 320) \"\\n\")",
        "(data (i32.const 320) \"\\n\") (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0)))",
    );
    assert_ne!(fit, unfit);
    let site = Site::new()
        .text_module("/fit", &fit, "warm_start = true")
        .text_module("/unfit", &unfit, "warm_start = true")
        .text_module("/plain", &unfit, "");
    site.write();
    let text = stdout(&run(site.path(), &["routes"]));
    let line = |route: &str| text.lines().find(|line| line.contains(route)).expect("its line").to_owned();
    assert!(line("/fit").ends_with("warm start"), "{text}");
    assert!(line("/unfit").ends_with("never warm: passive-segments"), "{text}");
    assert!(!line("/plain").contains("warm"), "{text}");
    let routes = json(&run(site.path(), &["routes", "--format", "json"]));
    let of = |pattern: &str| {
        let routes = routes.as_array().expect("a list");
        routes.iter().find(|route| route["pattern"] == pattern).expect("the route")["warm_start"].clone()
    };
    assert_eq!(
        (&of("/fit")["possible"], &of("/unfit")["possible"], of("/plain")),
        (&true.into(), &false.into(), Value::Null)
    );
    assert_eq!(of("/unfit")["reason"], "passive-segments");
    for (module, line) in
        [("guest0.wat", "warm      possible\n"), ("guest1.wat", "warm      never (passive-segments): it uses")]
    {
        let text = stdout(&run(site.path(), &["inspect", module]));
        assert!(text.contains(line), "{text}");
    }
    site.file("component.wat", "(component)");
    let shown = json(&run(site.path(), &["inspect", "--json", "component.wat"]));
    assert_eq!(
        (&shown["warm_start"]["possible"], &shown["warm_start"]["reason"]),
        (&false.into(), &"component".into())
    );
}
