//! SIGUSR1, SIGHUP, and files that cannot be opened again.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;

use super::{file, hello, read, rename};
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::{SetAtEnd, eventually};

/// Waits until a file has a line that contains `part`.
fn written(wagi: &Wagi, name: &str, part: &str) {
    eventually(|| read(wagi, name).lines().any(|line| line.contains(part)).then_some(()));
}

/// Waits until there is a file.
fn made(wagi: &Wagi, name: &str) {
    eventually(|| file(wagi, name).exists().then_some(()));
}

/// How many requests several connections make until they are told to stop.
fn load(wagi: &Wagi, stop: &AtomicBool) -> usize {
    let count = || {
        let mut connection = Connection::open(wagi.address());
        let mut requests = 0;
        while !stop.load(Ordering::Relaxed) {
            assert_eq!(connection.get("/a").status, 200);
            requests += 1;
        }
        requests
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
        clients.into_iter().map(|client| client.join().expect("no request fails")).sum()
    })
}

#[test]
fn no_line_is_lost_or_split_when_files_are_moved_under_load() {
    const ROTATIONS: usize = 10;
    let mut wagi = hello().start(&["--access-log", "access.log", "--log-format", "json"]);
    let stop = AtomicBool::new(false);
    let requests = thread::scope(|scope| {
        let load = scope.spawn(|| load(&wagi, &stop));
        let over = SetAtEnd(&stop);
        for number in 0..ROTATIONS {
            written(&wagi, "access.log", "\"/a\"");
            rename(&wagi, "access.log", &format!("access.log.{number}"));
            wagi.signal("USR1");
            made(&wagi, "access.log");
        }
        drop(over);
        load.join().expect("no request fails")
    });
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0));
    let names = (0..ROTATIONS).map(|number| format!("access.log.{number}")).chain(["access.log".to_owned()]);
    let lines: String = names.map(|name| read(&wagi, &name)).collect();
    let ids: BTreeSet<String> = lines.lines().map(id).collect();
    assert_eq!((lines.lines().count(), ids.len()), (requests, requests));
}

/// The id in a line that is an object.
fn id(line: &str) -> String {
    let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    object["request_id"].to_string()
}

/// What is in the block of the page about logs that contains `part`.
fn block(part: &str) -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/logs.md")).expect("there is a page");
    let mut blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    blocks.find(|(_, block)| block.contains(part)).expect("a block").1.to_owned()
}

#[test]
fn the_commands_of_the_page_move_a_file_away() {
    let site = hello();
    std::fs::create_dir(site.path().join("log")).expect("a directory can be made");
    let arguments = block("--access-log log/access.log");
    let arguments: Vec<&str> = arguments.split_whitespace().skip_while(|word| *word != "--access-log").collect();
    let wagi = site.start(&arguments);
    let mut shell = Command::new("sh");
    shell.current_dir(wagi.directory()).env("PID", wagi.pid().to_string()).args(["-euc", &block("kill -USR1")]);
    assert!(shell.status().expect("there is a shell").success());
    made(&wagi, "log/access.log");
    assert!(file(&wagi, "log/access.log.1").exists());
}

#[test]
#[ignore = "needs logrotate"]
fn logrotate_with_the_file_of_the_page_loses_no_line() {
    let site = Site::probe("");
    std::fs::create_dir(site.path().join("log")).expect("a directory can be made");
    let wagi = site.start(&["--access-log", "log/access.log", "--log-dir", "log/guests"]);
    let kill = format!("kill -USR1 {}", wagi.pid());
    let page = block("sharedscripts").replace("/var/log/wagi", &file(&wagi, "log").display().to_string());
    let page = page.replace("systemctl kill --kill-who=main --signal=USR1 wagi.service", &kill);
    assert!(page.contains(&kill), "{page}");
    std::fs::write(file(&wagi, "logrotate.conf"), page).expect("writable");
    let mut connection = Connection::open(wagi.address());
    for number in 0..3 {
        connection.get(&format!("/log?{number}"));
        written(&wagi, "log/access.log", &format!("/log?{number}"));
        let mut logrotate = Command::new("logrotate");
        logrotate.current_dir(wagi.directory()).args(["--force", "--state", "state", "logrotate.conf"]);
        assert!(logrotate.status().expect("there is a logrotate").success());
        made(&wagi, "log/access.log");
    }
    connection.get("/log?last");
    written(&wagi, "log/access.log", "/log?last");
    // The two before are compressed.
    assert!(read(&wagi, "log/access.log.1").contains("/log?2") && file(&wagi, "log/access.log.3.gz").exists());
}

#[test]
fn until_the_signal_comes_lines_go_to_the_file_that_was_moved() {
    let wagi = hello().start(&["--access-log", "access.log"]);
    let mut connection = Connection::open(wagi.address());
    connection.get("/before");
    written(&wagi, "access.log", "/before");
    rename(&wagi, "access.log", "access.log.1");
    connection.get("/between");
    written(&wagi, "access.log.1", "/between");
    wagi.signal("USR1");
    made(&wagi, "access.log");
    connection.get("/after");
    written(&wagi, "access.log", "/after");
    assert_eq!((read(&wagi, "access.log").lines().count(), read(&wagi, "access.log.1").lines().count()), (1, 2));
    assert!(!wagi.log().contains("reload"), "a signal for logs does nothing else: {}", wagi.log());
}

#[test]
fn the_signal_opens_the_files_again_while_the_server_ends() {
    let mut wagi = hello().top("[server]\nshutdown_delay = '10m'").start(&["--access-log", "access.log"]);
    wagi.signal("TERM");
    wagi.logged(&["stopping: finishing what is under way"]);
    rename(&wagi, "access.log", "access.log.1");
    for signal in ["HUP", "USR1"] {
        wagi.signal(signal);
    }
    made(&wagi, "access.log");
    Connection::open(wagi.address()).get("/after");
    written(&wagi, "access.log", "/after");
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0));
    assert!(!wagi.log().contains("reload"), "{}", wagi.log());
}

#[test]
fn the_signal_opens_the_files_of_guests_again() {
    let wagi = Site::probe("").start(&["--log-dir", "logs"]);
    let directory = std::fs::read_dir(file(&wagi, "logs")).expect("it is there");
    let directory = directory.map(|entry| entry.expect("an entry").path()).find(|path| path.is_dir());
    let name = directory.expect("one for the route").join("module.stderr");
    let name = name.to_str().expect("text");
    let moved = format!("{name}.1");
    let mut connection = Connection::open(wagi.address());
    connection.get("/log?before");
    written(&wagi, name, "before");
    rename(&wagi, name, &moved);
    wagi.signal("USR1");
    made(&wagi, name);
    connection.get("/log?after");
    written(&wagi, name, "after");
    assert_eq!((read(&wagi, &moved).as_str(), read(&wagi, name).as_str()), ("before\n", "after\n"));
}

#[test]
fn what_is_printed_before_the_end_is_in_the_files() {
    let mut wagi = Site::probe("").start(&["--log-dir", "logs", "--access-log", "access.log"]);
    let mut connection = Connection::open(wagi.address());
    for number in 0..100 {
        connection.get(&format!("/log?{number}"));
    }
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0));
    let directory = std::fs::read_dir(file(&wagi, "logs")).expect("it is there");
    let directory = directory.map(|entry| entry.expect("an entry").path()).find(|path| path.is_dir());
    let printed = std::fs::read_to_string(directory.expect("one for the route").join("module.stderr"));
    assert_eq!((printed.expect("text").lines().count(), read(&wagi, "access.log").lines().count()), (100, 100));
}

#[test]
fn a_reload_opens_files_again_even_if_it_is_refused() {
    let wagi = hello().start(&["--access-log", "access.log"]);
    rename(&wagi, "access.log", "access.log.1");
    wagi.signal("HUP");
    made(&wagi, "access.log");
    wagi.logged(&["reload: nothing has changed"]);
    rename(&wagi, "access.log", "access.log.2");
    std::fs::write(file(&wagi, "modules.toml"), "[[module]]").expect("writable");
    wagi.signal("HUP");
    made(&wagi, "access.log");
    wagi.logged(&["reload refused"]);
}

#[test]
fn a_file_that_cannot_be_opened_again_stays_in_use_with_a_warning() {
    let site = hello();
    std::fs::create_dir(site.path().join("log")).expect("a directory can be made");
    let wagi = site.start(&["--access-log", "log/access.log"]);
    let mut connection = Connection::open(wagi.address());
    rename(&wagi, "log", "moved");
    wagi.signal("USR1");
    wagi.logged(&["WARN", "cannot open a log file again: the one before stays in use", "path=log/access.log"]);
    connection.get("/a");
    written(&wagi, "moved/access.log", "/a");
    std::fs::create_dir(file(&wagi, "log")).expect("a directory can be made");
    wagi.signal("USR1");
    made(&wagi, "log/access.log");
    connection.get("/b");
    written(&wagi, "log/access.log", "/b");
}
