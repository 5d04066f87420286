//! A full disk, outputs that are closed or have no reader.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{hello, read, rename, shell};
use crate::support::http1::Connection;
use crate::support::process::Ending;
use crate::support::{at_leisure, eventually, port};

/// A server whose ready line cannot be read, when it listens.
fn start(command: &mut Command, address: SocketAddr) -> Ending {
    let mut server = Ending(command.spawn().expect("wagi can be started"));
    at_leisure(|| {
        assert!(server.0.try_wait().expect("it can be asked").is_none(), "the server has ended");
        TcpStream::connect(address).ok()
    });
    server
}

/// The limit on the size of files stands in for the size of a disk: a file may have 512 bytes, and a line has more than 100.
#[test]
fn lines_that_do_not_fit_on_the_disk_wait_whole_and_requests_do_not() {
    const REQUESTS: usize = 12;
    const LONGEST_LINE: usize = 200;
    let wagi = hello().start(&["--access-log", "access.log"]);
    let pid = i32::try_from(wagi.pid()).ok().and_then(Pid::from_raw);
    let limit = Rlimit { current: Some(512), maximum: None };
    prlimit(pid, Resource::Fsize, limit).expect("a limit can be set");
    let mut connection = Connection::open(wagi.address());
    for number in 0..REQUESTS {
        assert_eq!(connection.get(&format!("/{number}")).text(), "hello");
    }
    wagi.logged(&["WARN", "cannot write the access log: its lines wait, requests do not", "path=access.log"]);
    let mut found = Vec::new();
    for rotation in 0..REQUESTS {
        let before = found.len();
        // Until the file is full, or all is written.
        let name = format!("access.log.{rotation}");
        eventually(|| {
            let text = read(&wagi, "access.log");
            let is_full = text.len() > 512 - LONGEST_LINE;
            (text.ends_with('\n') && (is_full || before + text.lines().count() == REQUESTS)).then_some(())
        });
        rename(&wagi, "access.log", &name);
        wagi.signal("USR1");
        eventually(|| wagi.directory().join("access.log").exists().then_some(()));
        let text = read(&wagi, &name);
        assert!(text.ends_with('\n') && text.len() <= 512, "{text:?}");
        found.extend(text.lines().map(str::to_owned));
        if found.len() == REQUESTS {
            break;
        }
    }
    for (number, line) in found.iter().enumerate() {
        assert!(line.contains(&format!("\"GET /{number} HTTP/1.1\" 200")) && line.contains(" id="), "{line}");
    }
    assert_eq!(found.len(), REQUESTS);
    wagi.logged(&["INFO", "the access log is written again"]);
    assert_eq!(wagi.log().matches("cannot write the access log").count(), 1, "{}", wagi.log());
}

#[test]
fn a_device_that_is_always_full_costs_no_request_and_no_exit_code() {
    let mut wagi = hello().start(&["--access-log", "/dev/full"]);
    let mut connection = Connection::open(wagi.address());
    for _ in 0..100 {
        assert_eq!(connection.get("/").text(), "hello");
    }
    wagi.logged(&["WARN", "cannot write the access log", "path=/dev/full"]);
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0));
}

#[test]
fn outputs_that_are_closed_at_the_start_end_nothing() {
    for redirections in [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        for access_log in ["on", "access.log"] {
            let (site, address) = (hello(), port::free());
            let arguments = ["-l", &address.to_string(), "--access-log", access_log];
            let mut command = shell(&site, "", redirections, &arguments);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let server = start(&mut command, address);
            for _ in 0..3 {
                assert_eq!(Connection::open(address).get("/a").text(), "hello", "{redirections}");
            }
            if access_log != "on" {
                let read = || std::fs::read_to_string(site.path().join(access_log)).expect("it is there");
                eventually(|| (read().matches("\"GET /a HTTP/1.1\" 200").count() == 3).then_some(()));
                assert_eq!(read().lines().count(), 3, "no other line is in it: {}", read());
            }
            drop(server);
        }
    }
}

#[test]
fn outputs_whose_reader_is_gone_at_the_start_end_nothing() {
    for access_log in ["on", "access.log", "/dev/stdout"] {
        let (site, address) = (hello(), port::free());
        let mut command = shell(&site, "", "", &["-l", &address.to_string(), "--access-log", access_log]);
        let (stdout, stderr) = (std::io::pipe().expect("a pipe"), std::io::pipe().expect("a pipe"));
        command.stdout(stdout.1).stderr(stderr.1);
        // Opening /dev/stdout needs a reader; it leaves later.
        let reader = (access_log == "/dev/stdout").then(|| stdout.0.try_clone().expect("a descriptor"));
        drop((stdout.0, stderr.0));
        let server = start(&mut command, address);
        drop(reader);
        for _ in 0..3 {
            assert_eq!(Connection::open(address).get("/").text(), "hello", "{access_log}");
        }
        drop(server);
    }
}

#[test]
fn outputs_whose_reader_leaves_while_the_server_runs_end_nothing() {
    for access_log in ["on", "access.log"] {
        let (site, address) = (hello(), port::free());
        let mut command = shell(&site, "", "", &["-l", &address.to_string(), "--access-log", access_log]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = start(&mut command, address);
        assert_eq!(Connection::open(address).get("/").text(), "hello");
        drop((server.0.stdout.take(), server.0.stderr.take()));
        for signal in ["USR1", "HUP", "PIPE"] {
            for _ in 0..3 {
                assert_eq!(Connection::open(address).get("/").text(), "hello", "{access_log}");
            }
            server.signal(signal);
        }
        assert_eq!(Connection::open(address).get("/").text(), "hello", "{access_log}");
        server.signal("TERM");
        let ended = eventually(|| server.0.try_wait().expect("it is our child"));
        assert_eq!(ended.code(), Some(0), "{access_log}");
    }
}

/// Standard error is a pipe that is not read: 64 KiB, and then writing waits.
#[test]
fn a_log_that_is_not_read_holds_up_no_request_and_no_line_of_the_access_log() {
    let (site, address) = (hello(), port::free());
    let mut command = shell(&site, "", "", &["-l", &address.to_string(), "--access-log", "access.log"]);
    let stderr = std::io::pipe().expect("a pipe");
    command.env("RUST_LOG", "trace").stdout(Stdio::null()).stderr(stderr.1);
    let server = start(&mut command, address);
    let mut connection = Connection::open(address);
    for _ in 0..2_000 {
        assert_eq!(connection.get("/").text(), "hello");
    }
    let read = || std::fs::read_to_string(site.path().join("access.log")).expect("it is there");
    eventually(|| (read().matches("HTTP/1.1\" 200").count() == 2_000).then_some(()));
    drop((server, stderr.0));
}
