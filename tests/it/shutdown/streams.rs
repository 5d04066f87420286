//! Standard output and standard error that are closed, or that nothing reads any more. The server goes on.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::http1::Connection;
use crate::support::process;
use crate::support::site::Site;
use crate::support::{at_leisure, eventually};

/// Asks the server until it ends with 0.
fn is_served_to_the_end(site: &Site, mut child: Child) {
    let path = site.path().join("web.sock");
    eventually(|| path.exists().then_some(()));
    let mut connection = eventually(|| {
        let is_open = std::os::unix::net::UnixStream::connect(&path).is_ok();
        is_open.then(|| Connection::open_unix(&path))
    });
    // Each answer is a line of the log, and the second signal is for a pipe that nothing reads.
    for _ in 0..100 {
        assert_eq!(connection.get("/args").status, 200);
    }
    process::signal(&child, "PIPE");
    assert_eq!(connection.get("/args").status, 200);
    process::signal(&child, "TERM");
    let status = at_leisure(|| child.try_wait().expect("it is our child"));
    assert_eq!(status.code(), Some(0));
}

#[test]
fn streams_that_nothing_reads_end_nothing() {
    let site = Site::probe("");
    site.write();
    let mut command = process::command(site.path());
    command.args(["-c", "modules.toml", "-l", "unix:web.sock"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("wagi can be started");
    drop((child.stdout.take(), child.stderr.take()));
    is_served_to_the_end(&site, child);
}

#[test]
fn streams_that_are_closed_end_nothing() {
    let site = Site::probe("");
    site.write();
    let wagi = process::command(site.path());
    let mut command = Command::new("sh");
    command
        .env_clear()
        .current_dir(site.path())
        .arg("-c")
        .arg("exec \"$0\" \"$@\" >&- 2>&- <&-")
        .arg(wagi.get_program());
    let child = command.args(["-c", "modules.toml", "-l", "unix:web.sock"]).spawn().expect("wagi can be started");
    is_served_to_the_end(&site, child);
}

#[test]
fn a_reader_that_leaves_after_the_ready_line_ends_nothing() {
    let site = Site::probe("");
    site.write();
    let mut command = process::command(site.path());
    command.args(["-c", "modules.toml", "-l", "unix:web.sock"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("wagi can be started");
    let mut ready = String::new();
    BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut ready).expect("text");
    assert_eq!(ready, "Ready: serving on unix:web.sock\n");
    drop(child.stderr.take());
    is_served_to_the_end(&site, child);
}
