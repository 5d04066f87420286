//! Signals: what is under way is finished, nothing new is begun, and the process ends with 0. `load` stops servers whose
//! clients do not pause, `streams` closes what a server prints to.

mod load;
mod streams;

use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;

use crate::support::http1::Connection;
use crate::support::process;
use crate::support::site::Site;
use crate::support::{at_leisure, eventually, http2};

#[test]
fn a_signal_lets_what_is_under_way_be_finished_and_begins_nothing_new() {
    for signal in ["TERM", "INT"] {
        let mut wagi = Site::probe("").start(&[]);
        // One whose head is out, and one whose guest still waits for its body.
        let mut sleeping = Connection::begin(wagi.address(), "/sleep?1000");
        assert_eq!(sleeping.head().status, 200);
        let mut uploading = Connection::open(wagi.address());
        uploading.send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(uploading.head().status, 100);

        wagi.signal(signal);
        wagi.logged(&["stopping: finishing what is under way"]);
        let address = wagi.address();
        eventually(|| TcpStream::connect(address).is_err().then_some(()));
        assert!(wagi.end().is_none(), "requests are under way");

        uploading.send("hello");
        assert_eq!(uploading.answer().text(), "hello");
        assert_eq!(sleeping.chunk().expect("a chunk").as_deref(), Some(&b"awake\n"[..]));
        assert_eq!(sleeping.chunk().expect("the last chunk"), None);
        assert_eq!((uploading.rest(), sleeping.rest()), (Vec::new(), Vec::new()));
        assert_eq!(wagi.ended().code(), Some(0), "{signal}: {}", wagi.log());
        wagi.logged(&["/sleep?1000", "end=ok"]);
        wagi.logged(&["/echo", "end=ok"]);
    }
}

/// Without the connections the process would not wait either; with a grace of a minute, a wait would be seen.
#[test]
fn idle_connections_do_not_hold_up_the_end() {
    let mut wagi = Site::probe("").top("[limits]\nshutdown_grace = '10m'").start(&[]);
    let mut used = Connection::open(wagi.address());
    assert_eq!(used.get("/args").status, 200);
    let mut silent = Connection::open(wagi.address());
    let mut half = Connection::open(wagi.address());
    half.send("GET / HT");
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0));
    assert_eq!((used.rest(), silent.rest()), (Vec::new(), Vec::new()));
    half.rest();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_stream_is_finished_and_its_connection_then_ends() {
    let mut wagi = Site::probe("").top("[limits]\nshutdown_grace = '10m'").start(&[]);
    let mut connection = http2::Connection::open(wagi.address()).await;
    let _idle = http2::Connection::open(wagi.address()).await;
    let (answer, _stream) = connection.get("/sleep?500").await;
    let (_, mut body) = http2::head(answer).await;
    wagi.signal("TERM");
    let mut whole = Vec::new();
    while let Some(piece) = http2::piece(&mut body).await {
        whole.extend_from_slice(&piece.expect("the answer is not cut"));
    }
    assert_eq!(whole, b"awake\n");
    assert_eq!(wagi.ended().code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut wagi = Site::probe("").top("[limits]\nshutdown_grace = '10m'\ntime_between_outputs = '10m'").start(&[]);
    let mut sleeping = Connection::begin(wagi.address(), "/sleep?600000");
    sleeping.head();
    wagi.signal("TERM");
    wagi.logged(&["stopping"]);
    assert!(wagi.end().is_none());
    wagi.signal("INT");
    assert_eq!(wagi.ended().code(), Some(0));
    assert!(sleeping.chunk().is_err(), "the answer is cut, and looks cut");
}

#[test]
fn requests_that_outlast_the_grace_period_are_cut() {
    let mut wagi = Site::probe("").top("[limits]\nshutdown_grace = '300ms'").start(&[]);
    let mut sleeping = Connection::begin(wagi.address(), "/sleep?20000");
    sleeping.head();
    let mut spinning = Connection::begin(wagi.address(), "/spin-after-head");
    spinning.head();
    wagi.signal("TERM");
    assert_eq!(wagi.ended().code(), Some(0));
    assert!(sleeping.chunk().is_err());
    assert_eq!(spinning.chunk().expect("a chunk").as_deref(), Some(&b"begun\n"[..]));
    assert!(spinning.chunk().is_err());
    wagi.logged(&["requests cut off by the shutdown", "connections=2"]);
}

/// Probes see at once that the server is about to stop; clients have until the end of the delay to go elsewhere.
#[test]
fn with_a_delay_connections_are_accepted_and_told_that_they_end() {
    let mut wagi = Site::probe("").top("[server]\nshutdown_delay = '10s'").start(&[]);
    let mut used = Connection::open(wagi.address());
    assert_eq!(used.get("/args").header("connection"), None);
    assert_eq!(used.get("/healthz").status, 200);
    wagi.signal("TERM");
    wagi.logged(&["stopping"]);
    let answer = eventually(|| Some(used.get("/args")).filter(|answer| answer.header("connection").is_some()));
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(used.rest(), Vec::<u8>::new());
    let mut new = Connection::open(wagi.address());
    let answer = new.get("/healthz");
    assert_eq!((answer.status, &*answer.text(), answer.header("connection")), (503, "stopping", Some("close")));
    assert!(wagi.end().is_none());
    assert_eq!(wagi.ended().code(), Some(0), "{}", wagi.log());
    assert!(TcpStream::connect(wagi.address()).is_err());
}

/// Whether the process has a handler for SIGTERM.
fn is_term_caught(pid: u32) -> bool {
    const TERM: u32 = 15;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & (1 << (TERM - 1)) != 0)
}

#[test]
fn a_start_that_takes_long_is_ended_by_the_first_signal() {
    let site = Site::new().text_module(
        "/",
        "(module (func (export \"_routes\") (loop (br 0))) (func (export \"_start\")))",
        "",
    );
    site.write();
    let mut command = process::command(site.path());
    command.args(["-c", "modules.toml", "-l", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("wagi can be started");
    eventually(|| is_term_caught(child.id()).then_some(()));
    process::signal(&child, "TERM");
    let status = at_leisure(|| child.try_wait().expect("it is our child"));
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}
