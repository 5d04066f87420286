//! A client that leaves ends its guest, whatever the guest is doing.
//!
//! Measured from the close to the line in the log, which is written when the guest is dropped. The median of several has to
//! be quick; a single one may be held up by whatever else the machine is doing.

use std::time::{Duration, Instant};

use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::{LONG, PATIENCE, alone, at_leisure, http2};

const QUICK: Duration = Duration::from_secs(1);
const SLOWEST: Duration = PATIENCE;
const TIMES: usize = 7;

/// How long it takes from `leave` until the log says that the client of this request is gone.
fn until_gone(wagi: &Wagi, target: &str, leave: impl FnOnce()) -> Duration {
    assert!(!wagi.log().contains(target), "{target} is over too early: {}", wagi.log());
    let begun = Instant::now();
    leave();
    loop {
        let log = wagi.log();
        if let Some(line) = log.lines().find(|line| line.contains(target)) {
            // Who stops in the middle of a body might still listen, and is answered with 400.
            assert!(line.contains("end=client-gone") || line.contains("end=bad-body"), "{line}");
            return begun.elapsed();
        }
        assert!(begun.elapsed() < LONG, "{target}: the guest outlives its client");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
fn are_quick(mut times: Vec<Duration>) {
    times.sort();
    assert!(times[times.len() / 2] <= QUICK && times[times.len() - 1] <= SLOWEST, "{times:?}");
}

/// Lets clients leave again and again; `come` connects, makes its guest get to the point, and yields the connection.
fn ends_with_its_client(behaviour: &str, come: impl Fn(&Wagi, &str) -> Connection) {
    let _alone = alone();
    let wagi = Site::probe("").start(&[]);
    let mut times = Vec::new();
    for time in 0..TIMES {
        let target = format!("{behaviour}&number{time}");
        let connection = come(&wagi, &target);
        times.push(until_gone(&wagi, &target, || drop(connection)));
    }
    are_quick(times);
    // The log says so; the processor agrees.
    wagi.quiet();
    assert_eq!(Connection::open(wagi.address()).get("/args").text(), "\"/args\"\n");
}

/// A POST of which `sent` of `length` bytes arrive.
fn posted(wagi: &Wagi, target: &str, length: usize, sent: usize, headers: &str) -> Connection {
    let mut connection = Connection::open(wagi.address());
    let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n");
    connection.send(head);
    connection.send(vec![b'x'; sent]);
    connection
}

fn answered(mut connection: Connection) -> Connection {
    assert_eq!(connection.head().status, 200);
    connection
}

/// Waits until the server has begun to compute.
fn busy(wagi: &Wagi, before: Duration) {
    at_leisure(|| (wagi.cpu_time() >= before + Duration::from_millis(50)).then_some(()));
}

#[test]
fn a_guest_that_sleeps_ends_with_its_client() {
    ends_with_its_client("/sleep?60000", |wagi, target| answered(Connection::begin(wagi.address(), target)));
}

#[test]
fn a_guest_that_prints_a_little_and_sleeps_ends_with_its_client() {
    ends_with_its_client("/never-read?60000", |wagi, target| answered(Connection::begin(wagi.address(), target)));
}

#[test]
fn a_guest_that_computes_ends_with_its_client() {
    ends_with_its_client("/spin?", |wagi, target| {
        let before = wagi.cpu_time();
        let connection = Connection::begin(wagi.address(), target);
        busy(wagi, before);
        connection
    });
}

#[test]
fn a_guest_that_computes_behind_its_head_ends_with_its_client() {
    ends_with_its_client("/spin-after-head?", |wagi, target| answered(Connection::begin(wagi.address(), target)));
}

#[test]
fn a_guest_that_waits_for_the_body_ends_with_its_client() {
    ends_with_its_client("/count-stdin?", |wagi, target| {
        let mut connection = posted(wagi, target, 1_000_000, 0, "Expect: 100-continue\r\n");
        assert_eq!(connection.head().status, 100);
        connection.send("some of it");
        connection
    });
}

#[test]
fn a_guest_that_reads_no_body_ends_with_its_client() {
    ends_with_its_client("/never-read?60000", |wagi, target| answered(posted(wagi, target, 1_000_000, 1000, "")));
}

/// More than the server reads of its own accord is still in the socket when the client leaves. It must be less than the
/// socket holds (64 KiB at least), since nobody can see the end of a stream that is stuck behind bytes not yet sent.
#[test]
fn a_guest_that_leaves_a_full_buffer_unread_ends_with_its_client() {
    ends_with_its_client("/never-read?60000&", |wagi, target| answered(posted(wagi, target, 1_000_000, 60_000, "")));
}

#[test]
fn a_guest_in_the_middle_of_its_answer_ends_with_its_client() {
    ends_with_its_client("/slow-lines?1000000&1", |wagi, target| {
        let mut connection = answered(Connection::begin(wagi.address(), target));
        for _ in 0..3 {
            connection.chunk().expect("a chunk");
        }
        connection
    });
}

#[test]
fn a_guest_whose_answer_nobody_reads_ends_with_its_client() {
    ends_with_its_client("/flood?1000000000", |wagi, target| {
        let connection = answered(Connection::begin(wagi.address(), target));
        wagi.quiet();
        connection
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_ends_with_its_http_2_stream_and_its_neighbour_goes_on() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = http2::Connection::open(wagi.address()).await;
    let (answer, _neighbour) = connection.get("/slow-lines?1000000&20").await;
    let (_, mut neighbour) = http2::head(answer).await;
    let mut times = Vec::new();
    for time in 0..TIMES {
        let target = format!("/sleep?60000&number{time}");
        let (answer, mut stream) = connection.get(&target).await;
        let (status, body) = http2::head(answer).await;
        assert_eq!(status, 200);
        times.push(until_gone(&wagi, &target, || {
            stream.send_reset(h2::Reason::CANCEL);
            drop(body);
        }));
    }
    are_quick(times);
    let piece = http2::piece(&mut neighbour).await.expect("a piece").expect("a piece");
    assert!(piece.starts_with(b"line 1\n"), "{piece:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_computes_ends_with_its_http_2_stream() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = http2::Connection::open(wagi.address()).await;
    let mut times = Vec::new();
    for time in 0..TIMES {
        let target = format!("/spin?number{time}");
        let before = wagi.cpu_time();
        let (answer, mut stream) = connection.get(&target).await;
        busy(&wagi, before);
        times.push(until_gone(&wagi, &target, || {
            stream.send_reset(h2::Reason::CANCEL);
            drop(answer);
        }));
    }
    are_quick(times);
    wagi.quiet();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_guests_of_an_http_2_connection_end_with_it() {
    let wagi = Site::probe("").start(&[]);
    let mut times = Vec::new();
    for time in 0..TIMES {
        let mut connection = http2::Connection::open(wagi.address()).await;
        let target = format!("/sleep?60000&number{time}");
        let mut answers = Vec::new();
        for which in ["first", "second"] {
            let (answer, stream) = connection.get(&format!("{target}{which}")).await;
            answers.push((http2::head(answer).await, stream));
        }
        times.push(until_gone(&wagi, &format!("{target}first"), || drop(connection)));
        wagi.logged(&[&format!("{target}second"), "end=client-gone"]);
    }
    are_quick(times);
}
