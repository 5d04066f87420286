//! `wagi check`, `wagi routes` and `wagi doctor`: what they say, where, and with which exit code.

use std::process::Output;

use serde_json::Value;

use crate::support::guest::hello;
use crate::support::output::{stderr, stdout};
use crate::support::process::{command, run};
use crate::support::site::Site;

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", stdout(output), stderr(output)))
}

/// A configuration with a warning: an entry that no request reaches.
fn site() -> Site {
    let site = Site::new()
        .text_module("/a/...", &hello(), "limits = { memory = '64MiB' }\nenvironment = { A = 'secret' }")
        .text_module("/a/b", &hello(), "host = 'x.example'");
    site.write();
    site
}

#[test]
fn a_check_prints_the_routes_and_counts_what_was_found() {
    let site = site();
    let output = run(site.path(), &["check"]);
    let routes = "/healthz\t(built in)\n/a/...\tguest0.wat\n/a/b\tguest1.wat\tx.example\n";
    assert_eq!(
        (output.status.code(), stdout(&output).replace(&format!("{}/", site.path().display()), "").as_str()),
        (Some(0), routes)
    );
    assert!(stderr(&output).contains("checked: 3 routes, 1 warning\n"), "{}", stderr(&output));
    assert_eq!(run(site.path(), &["check", "--deny-warnings"]).status.code(), Some(1));
    site.file("modules.toml", "[[module]]\nroute = '/'\n");
    let output = run(site.path(), &["check"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
    assert!(stderr(&output).contains("checked: 1 error, no warnings\n"), "{}", stderr(&output));
}

#[test]
fn a_check_in_json_is_one_object_with_all_problems() {
    let site = site();
    let output = run(site.path(), &["check", "--format", "json"]);
    let report = json(&output);
    assert_eq!((output.status.code(), report["errors"].as_array().map(Vec::len)), (Some(0), Some(0)));
    let warning = &report["warnings"][0];
    let message = warning["message"].as_str().unwrap_or_default();
    assert!(message.contains("`/a/b`") && warning["line"].as_u64().is_some(), "{warning}");
    assert_eq!(report["routes"][1]["limits"]["memory"], 64 << 20);
    site.file("modules.toml", "[[module]]\nroute = '/'\nmodul = 'x'\n");
    let output = run(site.path(), &["check", "--format", "json"]);
    let report = json(&output);
    assert_eq!((output.status.code(), report["routes"].as_array().map(Vec::len)), (Some(1), Some(0)));
    let error = &report["errors"][0];
    assert_eq!((error["file"].as_str(), error["line"].as_u64()), (Some("modules.toml"), Some(1)), "{error}");
}

#[test]
fn each_value_is_explained_by_its_source_and_no_value_of_a_variable_is_shown() {
    let site = site();
    let manifest = std::fs::read_to_string(site.path().join("modules.toml")).expect("it is there");
    site.file("modules.toml", format!("[limits]\ncpu_time = '5s'\n{manifest}"));
    let mut command = command(site.path());
    command.args(["check", "--explain", "--format", "json", "-l", "127.0.0.1:0", "--env", "B=covered"]);
    let output = command.env("WAGI_LOG_DIR", "logs").output().expect("wagi can be started");
    let report = json(&output);
    let source = |section: &str, key: &str| {
        let values = report["values"].as_array().expect("a list");
        let found = values.iter().find(|value| value["section"] == section && value["key"] == key);
        found.unwrap_or_else(|| panic!("no {section} {key}: {report:#}"))["source"].clone()
    };
    let in_file = |line: u64| (Value::from("file"), Value::from("modules.toml"), Value::from(line));
    let place = |source: &Value| (source["kind"].clone(), source["file"].clone(), source["line"].clone());
    assert_eq!(source("server", "listen")["name"], "--listen");
    assert_eq!(source("server", "listen")["kind"], "flag");
    assert_eq!(source("log", "log_dir")["name"], "WAGI_LOG_DIR");
    assert_eq!(source("log", "log_dir")["kind"], "variable");
    let log_dir = report["values"].as_array().into_iter().flatten().find(|value| value["key"] == "log_dir");
    assert_eq!(log_dir.map(|value| &value["value"]), Some(&Value::from("logs")));
    assert_eq!(source("limits", "queue")["kind"], "default");
    let entry = "module `/a/...`";
    assert_eq!(place(&source(entry, "route")), in_file(4));
    assert_eq!(place(&source(entry, "limits.memory")), in_file(6));
    assert_eq!(place(&source(entry, "limits.cpu_time")), in_file(2));
    assert_eq!(source(entry, "limits.concurrency")["kind"], "default");
    assert_eq!(place(&source(entry, "environment.A")), in_file(7));
    assert_eq!(source(entry, "environment.B")["name"], "--env");
    assert_eq!(place(&source("module `/a/b`", "host")), in_file(12));
    assert!(!stdout(&output).contains("secret") && !stdout(&output).contains("covered"), "{}", stdout(&output));
    let text = stdout(&run(site.path(), &["check", "--explain"]));
    let line = text.lines().find(|line| line.contains("limits.memory = 67108864")).expect("a line for it");
    assert!(line.ends_with("modules.toml:6:21"), "{line}");
}

#[test]
fn a_module_is_checked_for_what_it_is_and_what_will_go_wrong() {
    let site = Site::new();
    site.file("hello.wat", hello());
    let output = run(site.path(), &["check", "hello.wat"]);
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for part in [
        "hello.wat: module, ",
        "  wasi_snapshot_preview1: fd_write, proc_exit\n",
        "cpu_time 10s",
        "nothing is wrong with it\n",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let wants = "(module (import \"wasi_snapshot_preview1\" \"path_open\"
            (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import \"wasi_experimental_http\" \"close\" (func (param i32) (result i32)))
        (memory (export \"memory\") 3000) (func (export \"_start\")))";
    site.file("wants.wat", wants);
    let output = run(site.path(), &["check", "wants.wat", "--format", "json"]);
    let report = json(&output);
    let remarks = report["module"]["remarks"].to_string();
    for part in ["add volumes =", "add allowed_hosts =", "`limits.memory` is 134217728"] {
        assert!(remarks.contains(part), "{part}: {remarks}");
    }
    site.file("magic.wat", "(module (import \"env\" \"magic\" (func)) (func (export \"_start\")))");
    let output = run(site.path(), &["check", "magic.wat"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("  provided by nothing here: magic\n"), "{}", stdout(&output));
    assert!(stderr(&output).contains("`env.magic`"), "{}", stderr(&output));
    site.file("page.wasm", "<html>");
    let output = run(site.path(), &["check", "page.wasm"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
    assert!(stderr(&output).contains("HTML"), "{}", stderr(&output));
}

#[test]
fn routes_are_shown_in_their_order_with_what_hides_them() {
    let site = site();
    let output = run(site.path(), &["routes"]);
    let shown = stdout(&output);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("ORDER  HOST") && lines.len() == 4, "{shown}");
    assert!(
        lines[2].contains("/a/...") && lines[2].contains("_start") && lines[2].contains("memory=67108864"),
        "{shown}"
    );
    assert!(
        lines[3].contains("x.example") && lines[3].contains("defaults") && lines[3].ends_with("hidden by 1 (/a/...)"),
        "{shown}"
    );
    let routes = json(&run(site.path(), &["routes", "--format", "json"]));
    assert_eq!((routes[2]["order"].as_u64(), routes[2]["hidden_by"]["order"].as_u64()), (Some(2), Some(1)), "{routes}");
    let declares =
        std::fs::read_to_string(format!("{}/examples/greet.wat", env!("CARGO_MANIFEST_DIR"))).expect("it is there");
    let site = Site::new().text_module("/greet", &declares, "");
    site.write();
    let routes = json(&run(site.path(), &["routes", "--format", "json"]));
    assert_eq!(routes[1]["sub_route_of"], "/greet", "{routes}");
    assert_eq!(routes[3]["sub_route_of"], Value::Null, "{routes}");
}

#[test]
fn the_doctor_names_what_is_bad_with_its_cure() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it has one").to_string();
    let site = Site::new();
    let output = run(site.path(), &["doctor", "--listen", &address]);
    let shown = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    let lines: Vec<&str> = shown.lines().collect();
    let bad = lines.iter().position(|line| line.starts_with("bad     port")).expect("the port is taken");
    assert!(lines[bad].contains(&address) && lines[bad + 1].trim().starts_with("cure: "), "{shown}");
    for topic in ["toolchain", "limits", "clock", "cache"] {
        assert!(lines.iter().any(|line| line.contains(&format!(" {topic} "))), "{topic}: {shown}");
    }
    drop(taken);
    let findings = json(&run(site.path(), &["doctor", "--listen", "127.0.0.1:0", "--format", "json"]));
    let port = findings.as_array().expect("a list").iter().find(|finding| finding["topic"] == "port").expect("it");
    assert_eq!((port["state"].as_str(), &port["cure"]), (Some("ok"), &Value::Null));
}

/// Blanks between columns are as many as the longest value wants.
#[test]
fn the_page_shows_what_is_printed() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/command-line.md")).expect("there is a page");
    let shown = page.split("\n```text\n").skip(1).filter_map(|block| block.split("\n```").next());
    let mut tried = 0;
    for block in shown.filter(|block| block.starts_with("$ wagi check")) {
        let (line, expected) = block.split_once('\n').expect("a command and what it prints");
        let script = line.replacen("$ wagi", env!("CARGO_BIN_EXE_wagi"), 1);
        let printed = std::process::Command::new("sh").current_dir(root).args(["-c", &script]).output();
        let printed = stdout(&printed.expect("there is a shell"));
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&printed), words(expected), "{line}");
        tried += 1;
    }
    assert_eq!(tried, 2);
}
