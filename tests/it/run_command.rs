//! `wagi run`: one request through the gateway, and what is printed of it.

use std::io::Read;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::support::eventually;
use crate::support::guest::{component, printing, printing_then, probe};
use crate::support::http1::Connection;
use crate::support::output::text;
use crate::support::process::{command, output_of};
use crate::support::site::Site;

fn run(site: &Site, words: &[&str]) -> Output {
    run_in(site.path(), words, b"")
}

fn run_in(directory: &Path, words: &[&str], input: &[u8]) -> Output {
    output_of(command(directory).arg("run").args(words), input).expect("wagi can be started")
}

#[track_caller]
fn printed(site: &Site, words: &[&str]) -> String {
    let output = run(site, words);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// A site with `hello.wat` and `probe.wasm`, and a modules.toml that has both.
fn site() -> Site {
    let site = Site::new();
    site.file("hello.wat", printing("Content-Type: text/plain\nX-A: b\n\nhello"));
    std::fs::copy(probe(), site.path().join("probe.wasm")).expect("a file can be copied");
    let entries = "[[module]]\nroute = '/hello'\nmodule = 'hello.wat'\n\n[[module]]\nroute = '/probe/...'\nmodule = 'probe.wasm'\nenvironment = { A = '1' }\n";
    site.file("modules.toml", entries);
    site
}

#[test]
fn the_body_is_printed_and_with_include_the_head_before_it() {
    let site = site();
    assert_eq!(printed(&site, &["hello.wat"]), "hello");
    let whole = printed(&site, &["hello.wat", "--include"]);
    let (head, body) = whole.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    assert_eq!((lines.remove(0), body), ("HTTP/1.1 200 OK", "hello"));
    lines.sort_unstable();
    assert_eq!(lines, ["content-length: 5", "content-type: text/plain", "x-a: b"]);
}

#[test]
fn a_target_is_a_module_a_file_or_a_directory() {
    let site = site();
    for words in [&["hello.wat"][..], &["modules.toml", "/hello"], &[".", "hello"]] {
        assert_eq!(printed(&site, words), "hello", "{words:?}");
    }
    // Paths of a modules.toml start from its directory if that is the target, those on the command line do not.
    let above = site.path().parent().expect("it is in a directory");
    std::fs::write(site.path().join("body"), "from a file").expect("writable");
    let name = site.path().file_name().expect("a name").to_string_lossy().into_owned();
    let data = format!("@{name}/body");
    let output = run_in(above, &[&name, "/probe/echo", "--data", &data], b"");
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str()),
        (Some(0), "from a file"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_answer_is_the_one_that_a_server_gives() {
    let wagi = Site::probe("").start(&[]);
    let site = Site::probe("");
    site.write();
    for path in ["/args?a=b&c", "/env/x%20y?q", "/missing", "/nothing"] {
        let served = Connection::open(wagi.address()).get(path);
        let output = run(&site, &["modules.toml", path, "--include", "-H", "User-Agent:", "-H", "Accept:"]);
        let (head, body) = text(&output.stdout)
            .split_once("\r\n\r\n")
            .map(|(head, body)| (head.to_owned(), body.to_owned()))
            .expect("a head");
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", served.status)), "{path}: {head}");
        let stable = |text: &str| -> Vec<String> {
            let differs = ["HTTP_", "REMOTE_", "SERVER_", "X_FULL_URL", "GATEWAY"];
            text.lines().filter(|line| !differs.iter().any(|name| line.contains(name))).map(str::to_owned).collect()
        };
        assert_eq!(stable(&body), stable(&served.text()), "{path}");
        assert_eq!(output.status.code(), Some(i32::from(served.status >= 400)), "{path}");
    }
}

#[test]
fn a_url_says_how_the_server_is_reached() {
    for (url, expected) in [
        ("https://ex.com/probe/env", ["HTTPS=on", "REQUEST_SCHEME=https", "SERVER_NAME=ex.com", "SERVER_PORT=443"]),
        (
            "http://ex.com/probe/env",
            ["HTTP_HOST=ex.com", "REQUEST_SCHEME=http", "SERVER_NAME=ex.com", "SERVER_PORT=80"],
        ),
    ] {
        let lines = printed(&site(), &["modules.toml", url]);
        for line in expected {
            assert!(lines.lines().any(|found| found == line), "{line}: {lines}");
        }
    }
}

#[test]
fn method_fields_and_body_are_those_of_the_command_line() {
    let site = site();
    let environment = |words: &[&str]| printed(&site, &[&["modules.toml", "/probe/env?x=1"], words].concat());
    let lines = environment(&["-X", "PUT", "--header", "X-One: 1", "-d", "abc", "-e", "B=2"]);
    for line in [
        "REQUEST_METHOD=PUT",
        "HTTP_X_ONE=1",
        "CONTENT_LENGTH=3",
        "CONTENT_TYPE=application/x-www-form-urlencoded",
        "QUERY_STRING=x=1",
        "A=1",
        "B=2",
    ] {
        assert!(lines.lines().any(|found| found == line), "{line}: {lines}");
    }
    assert!(environment(&["-d", "abc"]).contains("REQUEST_METHOD=POST"));
    assert!(environment(&[]).contains("REQUEST_METHOD=GET"));
    let output = run_in(site.path(), &["probe.wasm", "/echo", "--stdin"], b"from standard input");
    assert_eq!(text(&output.stdout), "from standard input");
    for (words, message) in [
        (&["hello.wat", "-H", "no field"][..], "such as `Accept: text/html`"),
        (&["hello.wat", "-X", "a b"], "a method is one word"),
        (&["hello.wat", "-d", "x", "--stdin"], "cannot be used with"),
        (&["hello.wat", "--raw", "--show-env"], "cannot be used with"),
    ] {
        let output = run(&site, words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(text(&output.stderr).contains(message), "{words:?}: {}", text(&output.stderr));
    }
}

#[test]
fn raw_is_what_the_guest_printed_byte_for_byte() {
    let site = Site::new();
    let output: &[u8] = b"Status: 404\nContent-Type: a/b\r\n\n\x00\xff\x1bbody";
    site.file("a.wat", printing(output));
    let ran = run(&site, &["a.wat", "--raw"]);
    assert_eq!((ran.status.code(), &ran.stdout[..]), (Some(1), output));
    // What is no response is printed, too.
    site.file("b.wat", printing("no head"));
    let ran = run(&site, &["b.wat", "--raw"]);
    assert_eq!((ran.status.code(), &ran.stdout[..]), (Some(1), &b"no head"[..]));
    assert!(text(&ran.stderr).contains("500 Internal Server Error"), "{}", text(&ran.stderr));
}

/// As with `| head`. Without an end of its own, the guest would be ended as one that has failed.
#[test]
fn a_guest_without_end_is_ended_when_the_reader_has_gone() {
    let site = Site::new();
    let again =
        "(loop $again (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $again))";
    site.file("a.wat", printing_then("Content-Type: text/plain\n\nmore", again));
    for words in [&["run", "a.wat"][..], &["run", "a.wat", "--raw"]] {
        let mut command = command(site.path());
        let mut child = command.args(words).stdout(Stdio::piped()).spawn().expect("wagi can be started");
        let mut begin = [0; 4];
        child.stdout.take().expect("stdout is piped").read_exact(&mut begin).expect("it prints");
        let ended = eventually(|| child.try_wait().expect("it is our child"));
        assert_eq!(ended.code(), Some(0), "{words:?}");
    }
}

#[test]
fn show_env_is_what_the_guest_saw() {
    let site = site();
    let shown = printed(&site, &["modules.toml", "/probe/args?b=c", "--show-env"]);
    assert!(shown.starts_with("Arguments:\n  /probe/args\n  b=c\nEnvironment:\n"), "{shown}");
    for line in ["  A=1", "  PATH_INFO=/args", "  SCRIPT_NAME=/probe", "  QUERY_STRING=b=c"] {
        assert!(shown.lines().any(|found| found == line), "{line}: {shown}");
    }
    let shown = printed(&site, &["modules.toml", "/probe/args", "--show-env", "--format", "json"]);
    let report: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(report["environment"]["PATH_INFO"], "/args");
    let http = component("http-probe.wasm");
    let output = run(&site, &[&http.display().to_string(), "/", "--show-env"]);
    assert!(text(&output.stdout).starts_with("Request:\n  GET http://"), "{}", text(&output.stdout));
}

#[test]
fn what_goes_wrong_is_said_on_standard_error_with_exit_code_1() {
    let site = site();
    site.file("trap.wat", printing_then("", "unreachable"));
    site.file("bad.wat", "(module");
    site.file("gone.wat", printing("Status: 410 Gone\nContent-Type: text/plain\n\ngone"));
    for (words, messages) in [
        (&["trap.wat"][..], &["error: 500 Internal Server Error: the guest trapped"][..]),
        (&["gone.wat"], &["error: the status is 410 Gone"]),
        (
            &["modules.toml", "/"],
            &["error: 404 Not Found: no route matches", "help: the routes are `/hello`, `/probe/...`"],
        ),
        (&["missing.wasm"], &["there is no `missing.wasm`: give a .wasm or .wat file"]),
        (&["bad.wat"], &["bad.wat", "cannot be run"]),
    ] {
        let output = run(&site, words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        for message in messages {
            assert!(text(&output.stderr).contains(message), "{words:?}: {}", text(&output.stderr));
        }
    }
}

#[test]
fn standard_error_of_the_guest_is_printed_without_what_a_terminal_would_obey() {
    let site = Site::new();
    site.file(
        "a.wat",
        printing("one\n\u{1b}[31mtwo\n").replace("(call $write (i32.const 1)", "(call $write (i32.const 2)"),
    );
    let output = run(&site, &["a.wat"]);
    let shown = text(&output.stderr);
    assert!(shown.starts_with("one\n\\u{1b}[31mtwo\n"), "{shown:?}");
}

#[test]
fn json_is_one_object() {
    let site = site();
    let report = |words: &[&str]| -> Value {
        let output = run(&site, &[words, &["--format", "json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
    };
    let found = report(&["modules.toml", "/hello"]);
    assert_eq!((&found["status"], &found["body"], &found["route"]), (&200.into(), &"hello".into(), &"/hello".into()));
    assert_eq!((&found["end"], &found["complete"]), (&"ok".into(), &true.into()));
    assert!(found["headers"].as_array().expect("fields").contains(&serde_json::json!(["x-a", "b"])));
    let found = report(&["hello.wat", "--repeat", "3"]);
    assert_eq!((&found["requests"], &found["statuses"]["200"]), (&3.into(), &3.into()));
    site.file("bad.toml", "[[module]]\nroute = 1\nmodule = 'hello.wat'\n");
    let found = report(&["bad.toml"]);
    assert_eq!((&found["error"]["file"], &found["error"]["line"]), (&"bad.toml".into(), &2.into()));
}

#[test]
fn repeat_prints_a_table_of_times() {
    let table = printed(&site(), &["hello.wat", "--repeat", "20"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[..2], ["20 x GET /", "status  200 x 20"], "{table}");
    assert!(
        lines[2].contains("minimum") && lines[3].starts_with("total ") && lines[4].starts_with("guest "),
        "{table}"
    );
}

#[test]
fn why_a_request_has_failed_is_said_whatever_is_shown_of_it() {
    for shown in [&["--repeat", "2"][..], &["--show-env"], &["--raw"], &["--trace"]] {
        let output = run(&site(), &[&["modules.toml", "/none"], shown].concat());
        assert_eq!(output.status.code(), Some(1), "{shown:?}");
        let said = text(&output.stderr);
        for part in ["error: 404 Not Found: no route matches", "help: the routes are "] {
            assert_eq!(said.matches(part).count(), 1, "{shown:?}: {said}");
        }
    }
}

/// The probe is a Rust program, whose library looks for a volume before it calls the host.
#[test]
fn a_trace_names_the_file_that_was_not_granted_the_call_and_the_line_to_add() {
    let site = site();
    let output = run(&site, &["modules.toml", "/probe/list?/data", "--trace"]);
    let shown = text(&output.stderr);
    assert!(shown.contains("path_open of `/data`: not granted, no volume of this entry has it"), "{shown}");
    assert!(
        shown.contains("help: add to the entry at modules.toml:5: volumes = { \"/data\" = \"./data\" }"),
        "{shown}"
    );
    assert!(shown.contains("path_open(3, \"data\") = ENOTCAPABLE  ("), "{shown}");
    // With what it says, the file is found.
    site.file("data/name", "content");
    let entry = "[[module]]\nroute = '/...'\nmodule = 'probe.wasm'\nvolumes = { \"/data\" = \"./data\" }\n";
    site.file("granted.toml", entry);
    let output = run(&site, &["granted.toml", "/list?/data", "--trace"]);
    assert_eq!(text(&output.stdout), "name\n", "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("not granted"), "{}", text(&output.stderr));
}

#[test]
fn a_trace_leaves_a_guest_with_a_volume_at_its_root_what_it_gets_without() {
    let site = site();
    site.file("data/name", "content");
    let granted = "[[module]]\nroute = '/granted/...'\nmodule = 'probe.wasm'\nvolumes = { \"/\" = \"./data\" }\n";
    let entries = std::fs::read_to_string(site.path().join("modules.toml")).expect("it was written");
    site.file("modules.toml", entries + granted);
    for path in ["/granted/files/name", "/granted/files/missing", "/granted/list?/missing"] {
        let plain = run(&site, &["modules.toml", path]);
        let traced = run(&site, &["modules.toml", path, "--trace"]);
        assert_eq!((plain.status.code(), text(&plain.stdout)), (traced.status.code(), text(&traced.stdout)), "{path}");
        let shown = text(&traced.stderr);
        assert!(shown.contains("path_open(3") && !shown.contains("not granted"), "{path}: {shown}");
    }
}

#[test]
fn a_trace_has_phases_and_each_call_with_its_result_and_time() {
    let site = site();
    let output = run(&site, &["hello.wat", "--trace"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "hello"));
    let shown = text(&output.stderr);
    let phases = [
        "before the request",
        "the guest begins",
        "fd_write(1, 0, 1, 8) = 0  (",
        "head of the response: 200 OK",
        "end: ok",
        "of computing",
    ];
    let mut lines = shown.lines();
    for phase in phases {
        assert!(lines.any(|line| line.contains(phase)), "{phase} is not in its order: {shown}");
    }
    let report: Value =
        serde_json::from_str(&printed(&site, &["hello.wat", "--trace", "--format", "json"])).expect("JSON");
    assert!(report["trace"].as_array().expect("a trace").len() >= 2, "{report}");
}
