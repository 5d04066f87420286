//! `wagi dev`: builds and reloads while sources change, and what a developer is shown.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::at_leisure;
use crate::support::guest::{printing, printing_then, probe};
use crate::support::http1::Connection;
use crate::support::process::{Wagi, command};
use crate::support::site::Site;
use crate::support::terminal::Terminal;

fn page(body: &str) -> String {
    printing(format!("Content-Type: text/html\n\n{body}"))
}

/// A server over a directory, at a free port.
fn start(site: &Site, words: &[&str]) -> Wagi {
    Wagi::spawn(command(site.path()).args(["dev", "-l", "127.0.0.1:0"]).args(words))
}

/// A module that a command makes of `source.wat`. The command fails for a source that holds `BROKEN`.
fn built(keys: &str) -> Site {
    let site = Site::new();
    let build = "if grep -q BROKEN source.wat; then echo no: it is broken; exit 1; fi; cp source.wat app.wat";
    let entry =
        format!("[[module]]\nroute = '/...'\nmodule = 'app.wat'\nbuild = '{build}'\nwatch = 'source.wat'\n{keys}\n");
    site.file("modules.toml", entry);
    site.file("source.wat", page("first"));
    site
}

fn get(wagi: &Wagi) -> String {
    Connection::open(wagi.address()).get("/").text()
}

/// Waits until the page is this.
#[track_caller]
fn shows(wagi: &Wagi, text: &str) {
    at_leisure(|| (get(wagi) == text).then_some(()));
}

#[test]
fn the_module_is_built_before_the_start_and_when_its_sources_change() {
    let site = built("");
    let wagi = start(&site, &[]);
    assert_eq!(get(&wagi), "first");
    site.file("source.wat", page("second"));
    shows(&wagi, "second");
    wagi.logged(&["build: if grep"]);
    wagi.logged(&["reloaded in"]);
    wagi.logged(&["GET / 200"]);
}

#[test]
fn what_is_asked_behind_a_build_is_answered_by_what_it_made() {
    let site = built("");
    let wagi = start(&site, &[]);
    for round in 1..=5 {
        site.file("next.wat", page(&round.to_string()));
        fs::rename(site.path().join("next.wat"), site.path().join("source.wat")).expect("it is there");
        // The first one was before the start.
        at_leisure(|| (wagi.log().matches("build: done").count() > round).then_some(()));
        assert_eq!(get(&wagi), round.to_string());
    }
}

#[test]
fn a_file_that_was_missing_is_served_when_it_comes() {
    let site = Site::new();
    let entry = |route: &str, module: &str| format!("[[module]]\nroute = '{route}'\nmodule = '{module}'\n");
    site.file("modules.toml", entry("/", "a.wat"));
    site.file("a.wat", page("a"));
    let wagi = start(&site, &[]);
    site.file("modules.toml", entry("/", "a.wat") + &entry("/b", "b.wat"));
    wagi.logged(&["`b.wat` does not exist"]);
    site.file("b.wat", page("b"));
    at_leisure(|| (Connection::open(wagi.address()).get("/b").text() == "b").then_some(()));
}

#[test]
fn a_watched_directory_may_hold_the_module_that_is_built_in_it() {
    let site = built("");
    let manifest = fs::read_to_string(site.path().join("modules.toml")).expect("it is there");
    site.file("modules.toml", manifest.replace("watch = 'source.wat'", "watch = '.'"));
    let wagi = start(&site, &[]);
    for round in 1..=3 {
        site.file("source.wat", page(&round.to_string()));
        shows(&wagi, &round.to_string());
    }
    // What a build writes would begin another one before the next source is seen.
    assert_eq!(wagi.log().matches("build: done").count(), 4, "{}", wagi.log());
}

#[test]
fn a_broken_build_leaves_the_last_good_version_and_pages_say_so() {
    let site = built("");
    let wagi = start(&site, &[]);
    site.file("source.wat", "BROKEN <b>");
    wagi.logged(&["error: the build failed: exit status: 1; the last good version goes on"]);
    wagi.logged(&["  no: it is broken"]);
    let shown = at_leisure(|| Some(get(&wagi)).filter(|shown| shown.contains("This is the last good version")));
    assert!(shown.starts_with("first<div role=\"alert\"") && shown.contains("no: it is broken"), "{shown}");
    site.file("source.wat", page("mended"));
    shows(&wagi, "mended");
}

#[test]
fn without_a_build_the_files_that_are_served_are_watched() {
    let site = Site::new();
    site.file("hello.wat", page("one"));
    let wagi = start(&site, &["hello.wat"]);
    assert_eq!(get(&wagi), "one");
    site.file("hello.wat", page("two"));
    shows(&wagi, "two");
    // A module that is broken, and a configuration that is.
    site.file("hello.wat", "(module");
    let shown = at_leisure(|| Some(get(&wagi)).filter(|shown| shown.contains("This is the last good version")));
    assert!(shown.starts_with("two<div") && shown.contains("hello.wat"), "{shown}");
    site.file("hello.wat", page("three"));
    shows(&wagi, "three");
}

#[test]
fn a_start_that_fails_waits_for_a_change() {
    let site = built("");
    site.file("source.wat", "BROKEN");
    let wagi =
        Wagi::spawn_mended(command(site.path()).args(["dev", "-l", "127.0.0.1:0"]), "waiting for a change", || {
            site.file("source.wat", page("mended"));
        });
    assert_eq!(get(&wagi), "mended");
}

/// Builds and the address to listen on come with the configuration that is the first to be read.
#[test]
fn a_configuration_that_is_mended_after_the_start_is_built_and_served_where_it_says() {
    let site = built("");
    let mended = fs::read_to_string(site.path().join("modules.toml")).expect("it was written");
    site.file("modules.toml", "[server");
    let wagi = Wagi::spawn_mended(command(site.path()).arg("dev"), "waiting for a change", || {
        site.file("modules.toml", format!("[server]\nlisten = ['127.0.0.1:0']\n{mended}"));
    });
    assert_eq!(get(&wagi), "first");
    // Neither the port without another one nor one beside it.
    assert!(wagi.address().port() >= 4_000, "{}", wagi.address());
}

#[test]
fn builds_that_are_new_are_run_and_those_that_are_gone_are_no_more_broken() {
    let site = built("");
    let wagi = start(&site, &[]);
    site.file("source.wat", "BROKEN");
    at_leisure(|| get(&wagi).contains("This is the last good version").then_some(()));
    site.file("other.wat", page("other"));
    site.file(
        "modules.toml",
        "[[module]]\nroute = '/...'\nmodule = 'made.wat'\nbuild = 'cp other.wat made.wat'\nwatch = 'other.wat'\n",
    );
    shows(&wagi, "other");
}

#[test]
fn a_failure_is_explained_to_a_browser_and_to_nobody_else() {
    let site = Site::new();
    let says = printing_then("the cause <i>", "unreachable")
        .replace("(call $write (i32.const 1)", "(call $write (i32.const 2)");
    site.file("trap.wat", says);
    site.file("silent.wat", printing("no head"));
    site.file(
        "modules.toml",
        "[[module]]\nroute = '/trap'\nmodule = 'trap.wat'\n[[module]]\nroute = '/silent'\nmodule = 'silent.wat'\n",
    );
    let wagi = start(&site, &[]);
    let browser = |path: &str| {
        let mut connection = Connection::open(wagi.address());
        connection.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\nAccept: text/html,*/*\r\n\r\n"));
        connection.answer()
    };
    let answer = browser("/trap");
    assert_eq!(answer.status, 500);
    let shown = answer.text();
    assert!(shown.contains("<h1>500 Internal Server Error</h1>") && shown.contains("the guest trapped"), "{shown}");
    // Standard error passes the log first.
    at_leisure(|| browser("/trap").text().contains("the cause &lt;i&gt;").then_some(()));
    assert!(browser("/silent").text().contains("print `Content-Type: text/plain`"));
    assert!(browser("/none").text().contains("No `route` of the modules.toml matches"));
    let other = Connection::open(wagi.address()).get("/trap");
    assert_eq!((other.status, other.text().as_str()), (500, ""));
    // The same from a server, for a browser, too.
    let served = Wagi::spawn(command(site.path()).args(["serve", "-l", "127.0.0.1:0"]));
    let mut connection = Connection::open(served.address());
    connection.send("GET /trap HTTP/1.1\r\nHost: h\r\nAccept: text/html\r\n\r\n");
    let answer = connection.answer();
    assert_eq!((answer.status, answer.text().as_str()), (500, ""));
}

#[test]
fn with_live_pages_get_a_line_and_events_when_something_changes() {
    let site = Site::new();
    site.file("hello.wat", page("one"));
    let wagi = start(&site, &["hello.wat", "--live"]);
    let shown = get(&wagi);
    assert!(shown.starts_with("one<script>new EventSource(\"/.wagi/live\")"), "{shown}");
    let mut events = Connection::open(wagi.address());
    events.send("GET /.wagi/live HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = events.head();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    site.file("hello.wat", page("two"));
    let event = events.chunk().expect("an event").expect("the stream goes on");
    assert_eq!(String::from_utf8_lossy(&event), "data: reload\n\n");
    // Without --live nothing is added, and there are no events.
    let other = start(&site, &["hello.wat"]);
    assert_eq!(get(&other), "two");
    assert_eq!(Connection::open(other.address()).get("/.wagi/live").text(), "two");
}

#[test]
fn nothing_is_added_to_a_response_without_content() {
    for status in ["204", "205", "304"] {
        let site = Site::new();
        site.file("hello.wat", printing(format!("Status: {status}\nContent-Type: text/html\n\n")));
        let wagi = start(&site, &["hello.wat", "--live"]);
        let mut connection = Connection::open(wagi.address());
        // The second one would begin with what was added to the first.
        for _ in 0..2 {
            let answer = connection.get("/");
            assert_eq!((answer.status.to_string().as_str(), answer.text().as_str()), (status, ""));
        }
    }
}

#[test]
fn a_busy_port_is_left_alone_and_the_next_one_taken() {
    let site = Site::new();
    site.file("hello.wat", page("one"));
    let first = start(&site, &["hello.wat"]);
    let address = first.address().to_string();
    let second = Wagi::spawn(command(site.path()).args(["dev", "hello.wat", "-l", &address]));
    assert!(second.address().port() > first.address().port());
    second.logged(&["is busy: serving on"]);
    assert_eq!((get(&first), get(&second)), ("one".to_owned(), "one".to_owned()));
}

/// Whether a process lives.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

fn pid_in(path: &Path) -> String {
    at_leisure(|| fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'))).trim().to_owned()
}

#[test]
fn a_newer_change_ends_the_build_and_the_end_of_wagi_does_so_too() {
    let site = Site::new();
    site.file("app.wat", page("first"));
    site.file("source.wat", "1");
    let build = "if grep -q SLOW source.wat; then sleep 600 & echo $! > pid; wait; fi";
    site.file(
        "modules.toml",
        format!("[[module]]\nroute = '/...'\nmodule = 'app.wat'\nbuild = '{build}'\nwatch = ['source.wat']\n"),
    );
    let mut wagi = start(&site, &[]);
    let pid_file = site.path().join("pid");
    site.file("source.wat", "SLOW");
    let pid = pid_in(&pid_file);
    fs::remove_file(&pid_file).expect("it is there");
    site.file("source.wat", "SLOW again");
    let second = pid_in(&pid_file);
    at_leisure(|| (!lives(&pid)).then_some(()));
    assert!(lives(&second));
    // What was served goes on meanwhile.
    assert_eq!(get(&wagi), "first");
    wagi.signal("INT");
    assert_eq!(wagi.ended().code(), Some(0));
    at_leisure(|| (!lives(&second)).then_some(()));
}

/// A program of Rust, of 80 KiB, whose text is of a type that names the round.
fn large(round: usize) -> Vec<u8> {
    let (mut program, plain) = (fs::read(probe()).expect("it is there"), b"text/plain");
    let marked = format!("text/{round:05}");
    let places: Vec<usize> = (0..program.len()).filter(|at| program[*at..].starts_with(plain)).collect();
    places.iter().for_each(|at| program[*at..at + plain.len()].copy_from_slice(marked.as_bytes()));
    program
}

/// 20 times, while eight connections ask all the time. The time is printed and not judged: other tests run beside this one.
#[test]
fn no_request_is_lost_over_twenty_reloads() {
    let site = Site::new();
    let entry =
        "[[module]]\nroute = '/...'\nmodule = 'app.wasm'\nbuild = 'cp source.wasm app.wasm'\nwatch = 'source.wasm'\n";
    site.file("modules.toml", entry);
    site.file("source.wasm", large(0));
    let wagi = start(&site, &[]);
    let (stops, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (address, stops, asked) = (wagi.address(), stops.clone(), asked.clone());
            thread::spawn(move || {
                let mut connection = Connection::open(address);
                while !stops.load(Ordering::Relaxed) {
                    let answer = connection.get("/env");
                    assert_eq!(answer.status, 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let mut times: Vec<_> = (1..=20).map(|round| time_to_new_answer(&site, &wagi, round)).collect();
    stops.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("no request is lost"));
    times.sort_unstable();
    println!(
        "from the end of the build to the new answer: median {:?}, longest {:?}; {} requests",
        times[10],
        times[19],
        asked.load(Ordering::Relaxed)
    );
}

/// The build ends when its module is there: the copy is all it does.
fn time_to_new_answer(site: &Site, wagi: &Wagi, round: usize) -> Duration {
    let module = large(round);
    site.file("source.wasm", &module);
    let app = site.path().join("app.wasm");
    at_leisure(|| (fs::read(&app).ok().as_ref() == Some(&module)).then_some(()));
    let built = Instant::now();
    let (mut connection, kind) = (Connection::open(wagi.address()), format!("text/{round:05}"));
    at_leisure(|| (connection.get("/env").header("content-type") == Some(&*kind)).then_some(()));
    built.elapsed()
}

/// In a terminal, as a person sees it.
#[test]
#[ignore = "needs tmux"]
fn in_a_terminal_of_any_width_lines_are_plain() {
    for (columns, variable) in [(60, "A=1"), (120, "A=1"), (60, "NO_COLOR=1"), (120, "TERM=dumb")] {
        let site = built("");
        let line = format!(
            "cd {} && exec env {variable} {} dev -l 127.0.0.1:0",
            site.path().display(),
            env!("CARGO_BIN_EXE_wagi")
        );
        let terminal = Terminal::open(columns, &line);
        let shown = terminal.shows(&["Ready: serving on "]);
        let ready = shown.lines().find_map(|line| line.split_once("Ready: serving on ")).expect("a URL").1.trim();
        let address = ready.trim_start_matches("http://").parse().expect("an address");
        assert_eq!(Connection::open(address).get("/").text(), "first");
        site.file("source.wat", "BROKEN");
        let shown = terminal.shows(&["the last good version goes on"]);
        assert!(shown.contains("GET / 200") && shown.contains("no: it is broken"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        terminal.press("C-c");
        at_leisure(|| terminal.screen().is_empty().then_some(()));
    }
}

#[test]
fn what_does_not_change_is_compiled_again_and_optimized() {
    let site = built("");
    let wagi = Wagi::spawn(command(site.path()).args(["dev", "-l", "127.0.0.1:0"]).env("RUST_LOG", "wagi=debug"));
    let optimized =
        |count: usize| at_leisure(|| (wagi.log().matches("debug: optimized\n").count() >= count).then_some(()));
    optimized(1);
    assert_eq!(get(&wagi), "first");
    // A change is served at once, and optimized in its turn.
    site.file("source.wat", page("second"));
    shows(&wagi, "second");
    optimized(2);
    assert_eq!(get(&wagi), "second");
}
