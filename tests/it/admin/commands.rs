//! `wagi health` and `wagi admin`.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::process::{Output, Stdio};

use super::*;
use crate::support::guest::probe;
use crate::support::output::stdout;
use crate::support::process::{command, run};
use crate::support::terminal::Terminal;
use crate::support::upstream::{Upstream, reply};
use crate::support::{at_leisure, eventually, port};

fn asked(wagi: &Wagi, words: &[&str]) -> Output {
    let address = admin(wagi).to_string();
    run(wagi.directory(), &[words, &["--admin", &address]].concat())
}

#[test]
fn health_is_an_exit_code() {
    let wagi = served("127.0.0.1:0");
    let ready = asked(&wagi, &["health"]);
    assert_eq!((ready.status.code(), &*stdout(&ready)), (Some(0), "ok\n"));
    let stopping = Upstream::start(|_| reply("503 Service Unavailable", "", "stopping"));
    let address = stopping.url("").replace("http://", "");
    let not_ready = run(wagi.directory(), &["health", "--admin", &address]);
    assert_eq!((not_ready.status.code(), &*stdout(&not_ready)), (Some(1), "stopping\n"));
    let closed = port::free();
    let nobody = run(wagi.directory(), &["health", "--admin", &closed.to_string()]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains(&format!("cannot ask the admin listener at {closed}")));
}

#[test]
fn a_pipe_gets_json_and_a_table_is_for_people() {
    let wagi = served("127.0.0.1:0");
    assert_eq!(Connection::open(wagi.address()).get("/hello").status, 200);
    let status: Value = serde_json::from_str(&stdout(&asked(&wagi, &["admin", "status"]))).expect("JSON");
    assert_eq!(status["generation"], 1);
    let table = stdout(&asked(&wagi, &["admin", "status", "--format", "table"]));
    assert!(table.starts_with("wagi ") && table.contains("generation 1") && table.contains("/hello"), "{table}");
    let reloaded = asked(&wagi, &["admin", "reload", "--format", "table"]);
    assert_eq!(stdout(&reloaded), "nothing has changed; generation 1 goes on serving\n");
    std::fs::write(wagi.directory().join("modules.toml"), "[[module]]\nroute = 1\n").expect("a file can be written");
    let refused = asked(&wagi, &["admin", "reload", "--format", "table"]);
    assert_eq!(refused.status.code(), Some(1));
    let text = stdout(&refused);
    assert!(text.contains("reload refused") && text.contains("--> modules.toml:2:"), "{text}");
}

#[test]
fn a_token_comes_from_a_file_and_a_socket_from_its_path() {
    let site = site("[admin]\nlisten = 'unix:admin.sock'\ntoken_file = 'admin.token'");
    site.file("admin.token", "s3cr3t\n");
    let wagi = site.start(&[]);
    let ask =
        |more: &[&str]| run(wagi.directory(), &[&["admin", "status", "--admin", "unix:admin.sock"], more].concat());
    assert_eq!(ask(&["--token-file", "admin.token"]).status.code(), Some(0));
    let refused = ask(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("401"), "{refused:?}");
    assert_eq!(run(wagi.directory(), &["health", "--admin", "unix:admin.sock"]).status.code(), Some(0));
}

#[test]
fn what_a_hostile_server_says_stays_text() {
    const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{202e}";
    let escaped = serde_json::to_string(HOSTILE).expect("JSON");
    let body = format!("{{\"version\":{escaped},\"routes\":[{{\"pattern\":{escaped}}}]}}");
    let server = Upstream::start(move |received| match received.line.as_str() {
        "GET /status" => reply("200 OK", "", body.as_bytes()),
        _ => reply("500 Oops", "", HOSTILE.as_bytes()),
    });
    let address = server.url("").replace("http://", "");
    let directory = tempfile::tempdir().expect("a temporary directory");
    for words in
        [&["admin", "status", "--format", "table"][..], &["admin", "status"], &["admin", "requests"], &["health"]]
    {
        let output = run(directory.path(), &[words, &["--admin", &address]].concat());
        for bytes in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(bytes);
            assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && !text.contains('\u{7}'), "{text:?}");
        }
    }
}

#[test]
fn a_server_that_never_ends_its_answer_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok");
        // Until the client gives up.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = run(directory.path(), &["health", "--admin", &address]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did not answer within 10s"), "{output:?}");
    server.join().expect("the server ends");
}

#[test]
fn requests_are_listed_and_ended_from_a_terminal() {
    let top = "[admin]\nlisten = '127.0.0.1:0'\n[limits]\nqueue_wait = '10m'";
    let limits = "limits = { concurrency = 1, cpu_time = '10m', time_to_head = '10m' }";
    let wagi = Site::new().top(top).module("/p/...", &probe(), limits).start(&[]);
    let begin = || Connection::begin(wagi.address(), "/p/spin");
    let mut spinning = begin();
    let in_flight = |phase: &str| {
        at_leisure(|| {
            let listed: Value = serde_json::from_str(&stdout(&asked(&wagi, &["admin", "requests"]))).expect("JSON");
            let requests = listed["in_flight"].as_array().expect("a list").clone();
            requests.into_iter().find(|request| request["phase"] == phase)
        })
    };
    let id = in_flight("guest")["id"].as_str().expect("an id").to_owned();
    let mut waiting = begin();
    let queued = in_flight("queue")["id"].as_str().expect("an id").to_owned();
    let status = stdout(&asked(&wagi, &["admin", "status", "--format", "table"]));
    let row = status.lines().find(|line| line.starts_with("/p/...")).expect("the route");
    let heading = status.lines().find(|line| line.starts_with("ROUTE")).expect("a heading");
    let cell = |name: &str| {
        let at = heading.find(name).expect("a column");
        row.get(at..).unwrap_or_default().split_whitespace().next().map(str::to_owned)
    };
    assert_eq!((cell("RUNNING").as_deref(), cell("QUEUED").as_deref()), (Some("1"), Some("1")), "{status}");
    let table = stdout(&asked(&wagi, &["admin", "requests", "--format", "table"]));
    assert!(table.contains(&id) && table.contains(&queued) && table.contains("/p/spin"), "{table}");
    for id in [&id, &queued] {
        let ended = asked(&wagi, &["admin", "cancel", id]);
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    }
    assert_eq!((spinning.answer().status, waiting.answer().status), (504, 504));
    let failed = stdout(&asked(&wagi, &["admin", "requests", "--format", "table"]));
    assert!(failed.contains("cancelled") && failed.contains(&id), "{failed}");
    let gone = asked(&wagi, &["admin", "cancel", &id]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("there is no request with this id"), "{gone:?}");
}

#[test]
#[ignore = "needs tmux"]
fn a_terminal_shows_a_table_that_is_renewed() {
    let wagi = served("127.0.0.1:0");
    let address = admin(&wagi).to_string();
    let program = env!("CARGO_BIN_EXE_wagi");
    let terminal = Terminal::open(100, &format!("exec {program} admin status --watch --admin {address}"));
    let row = |requests: &str| {
        eventually(|| {
            let screen = terminal.screen();
            let row = screen.lines().find(|line| line.starts_with("/hello"))?.to_owned();
            let count = row.split_whitespace().nth(3)?.to_owned();
            (count == requests).then_some(screen)
        })
    };
    row("0");
    assert_eq!(Connection::open(wagi.address()).get("/hello").status, 200);
    let screen = row("1");
    assert_eq!(screen.matches("ROUTE").count(), 1, "the old table is gone: {screen}");
    assert!(screen.starts_with("wagi "), "{screen}");
}

#[test]
fn watching_ends_when_nobody_reads_any_more() {
    let wagi = served("127.0.0.1:0");
    let address = admin(&wagi).to_string();
    for word in ["status", "requests"] {
        let mut command = command(wagi.directory());
        command.args(["admin", word, "--watch", "--admin", &address]).stdout(Stdio::piped());
        let mut watching = command.spawn().expect("wagi can be started");
        let mut lines = BufReader::new(watching.stdout.take().expect("a pipe")).lines();
        assert!(lines.next().is_some_and(|line| line.is_ok()), "{word}");
        drop(lines);
        let ended = at_leisure(|| watching.try_wait().expect("a child"));
        assert_eq!(ended.code(), Some(0), "{word}");
    }
}

#[test]
fn a_reload_for_a_group_that_is_not_there_is_refused() {
    let wagi = site("[server]\nlisten = ['127.0.0.1:0', 'unix:b.sock']\n[admin]\nlisten = '127.0.0.1:0'").start(&[]);
    let path = wagi.directory().join("modules.toml");
    let text = std::fs::read_to_string(&path).expect("a file");
    std::fs::write(&path, text.replace("unix:b.sock", "unix:b.sock?group=no-such-group")).expect("writable");
    let answer = post(admin(&wagi), "/reload");
    let outcome = json(&answer);
    let problem = &outcome["errors"][0];
    assert_eq!((answer.status, &problem["line"]), (422, &Value::from(2)), "{outcome}");
    assert_eq!(problem["message"], "in `listen`: there is no group `no-such-group`");
    assert!(problem["file"].as_str().is_some_and(|file| file.ends_with("modules.toml")), "{outcome}");
    assert_eq!(Connection::open(wagi.address()).get("/hello").status, 200);
}
