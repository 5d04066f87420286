//! `--access-log`: on, off or a file.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{file, hello, read, shell};
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::{eventually, make_pipe};

/// Ends a server, so that all of its lines are written.
fn end(wagi: &mut Wagi) {
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0), "{}", wagi.log());
    wagi.logged(&["stopping"]);
}

/// The lines about requests in a log as text.
fn access_lines(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("\"GET /")).collect()
}

#[test]
fn lines_go_to_standard_error_unless_they_are_switched_off() {
    for (arguments, expected) in [(&[][..], 1), (&["--access-log", "on"], 1), (&["--access-log", "off"], 0)] {
        let mut wagi = hello().start(arguments);
        Connection::open(wagi.address()).get("/a");
        end(&mut wagi);
        assert_eq!(access_lines(&wagi.log()).len(), expected, "{arguments:?}: {}", wagi.log());
        let files = std::fs::read_dir(wagi.directory()).expect("a directory").count();
        assert_eq!(files, 2, "the guest and modules.toml");
    }
}

#[test]
fn lines_in_a_file_are_there_alone_and_in_the_format_of_the_log() {
    for format in ["text", "json"] {
        let mut wagi = Site::probe("").start(&["--access-log", "access.log", "--log-format", format]);
        let mut connection = Connection::open(wagi.address());
        for path in ["/log?told", "/exit?3", "/args"] {
            connection.get(path);
        }
        end(&mut wagi);
        let (lines, log) = (read(&wagi, "access.log"), wagi.log());
        assert_eq!(lines.lines().count(), 3, "{lines}");
        for (line, path) in lines.lines().zip(["/log?told", "/exit?3", "/args"]) {
            assert!(line.contains(path), "{line}");
            if format == "json" {
                let line: Value = serde_json::from_str(line).expect("an object");
                assert_eq!((&line["kind"], &line["target"]), (&"access".into(), &path.into()));
            } else {
                assert!(line.contains(&format!("\"GET {path} HTTP/1.1\"")), "{line}");
            }
        }
        assert!(log.contains("told") && log.contains("stopping") && !log.contains("/args"), "{log}");
        assert_eq!(wagi.output().lines().count(), 1, "the ready line alone");
    }
}

#[test]
fn a_file_is_made_for_owner_and_group_and_appended_to_afterwards() {
    let site = hello();
    site.file("old.log", "a line of before\n");
    for name in ["new.log", "old.log", "./on"] {
        let mut command = shell(&site, "umask 022;", "", &["-l", "127.0.0.1:0", "--access-log", name]);
        let mut wagi = Wagi::spawn(&mut command);
        Connection::open(wagi.address()).get("/a");
        end(&mut wagi);
    }
    let read = |name: &str| std::fs::read_to_string(site.path().join(name)).expect("it is there");
    let mode = |name: &str| site.path().join(name).metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode("new.log"), mode("on")), (0o640, 0o640));
    assert_eq!((access_lines(&read("new.log")).len(), access_lines(&read("on")).len()), (1, 1));
    assert!(read("old.log").starts_with("a line of before\n") && read("old.log").lines().count() == 2);
}

#[test]
fn a_device_or_a_pipe_with_a_reader_is_as_good_as_a_file() {
    let mut wagi = hello().start(&["--access-log", "/dev/stdout"]);
    Connection::open(wagi.address()).get("/a");
    eventually(|| wagi.output().contains("\"GET /a HTTP/1.1\" 200").then_some(()));
    end(&mut wagi);
    let mut wagi = hello().start(&["--access-log", "/dev/null"]);
    Connection::open(wagi.address()).get("/a");
    end(&mut wagi);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_with_its_cure() {
    for (name, message, help) in [
        (
            "no/such/access.log",
            "the directory `no/such` of `--access-log no/such/access.log` does not exist",
            "mkdir -p no/such",
        ),
        (
            "modules.toml/access.log",
            "`modules.toml` of `--access-log modules.toml/access.log` is not a directory",
            "existing directory",
        ),
        (".", "`--access-log` names a directory, not a file: `.`", "access.log"),
        ("", "--access-log: it names no file", ""),
    ] {
        for more in [&[][..], &["--check"]] {
            let output = hello().run(&[&["--access-log", name], more].concat());
            let shown = String::from_utf8_lossy(&output.stderr);
            assert!(shown.contains(message) && shown.contains(help), "{name}: {shown}");
            assert_eq!(output.status.code(), Some(if name.is_empty() { 2 } else { 1 }));
            assert_eq!(output.stdout, b"");
        }
    }
}

#[test]
fn a_pipe_without_a_reader_is_an_error_and_not_waited_for() {
    let site = hello();
    let pipe = site.path().join("pipe");
    make_pipe(&pipe);
    let output = site.run(&["--access-log", "pipe"]);
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(shown.contains("cannot write the access log `pipe`") && shown.contains("no process reads"), "{shown}");
    assert!(shown.contains("help: "), "{shown}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_check_makes_no_file() {
    let site = hello();
    let output = site.run(&["--access-log", "access.log", "--check"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(!site.path().join("access.log").exists());
    let wagi = site.start(&["--access-log", "access.log"]);
    assert!(file(&wagi, "access.log").exists(), "a start makes it before there is a request");
}
