//! Bodies in both directions over real sockets: what arrives when, how it is framed, and what it costs in memory.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use crate::support::guest::printing_then;
use crate::support::http1::{Answer, Connection};
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::{LONG, alone, http2};

const MIB: u64 = 1 << 20;

/// Long after every test here is over.
const FOR_EVER: &str = "60000";

/// How far the server's memory may move while any amount of data goes through it.
const ROOM: u64 = 32 * MIB;

/// What the probe says about a body of so many zero bytes: its length, and its FNV-1a hash, which for zeros is a power.
fn sum_of_zeros(length: u32) -> String {
    let hash = 0xcbf2_9ce4_8422_2325_u64.wrapping_mul(0x0000_0100_0000_01b3_u64.wrapping_pow(length));
    format!("{length} {hash:016x}\n")
}

fn is_chunked(answer: &Answer) -> bool {
    answer.header("transfer-encoding") == Some("chunked")
}

/// Sends the head of a POST.
fn post(connection: &mut Connection, path: &str, headers: &str) {
    connection.send(format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n"));
}

/// A guest that is known to have begun its answer, and then traps.
fn trapping_late() -> String {
    printing_then([b"Content-Type: text/plain\n\n".to_vec(), vec![b'x'; 80_000]].concat(), "(unreachable)")
}

#[test]
fn the_head_arrives_before_the_guest_wakes() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::begin(wagi.address(), &format!("/sleep?{FOR_EVER}"));
    assert_eq!(connection.head().status, 200);
    assert!(!wagi.log().contains("/sleep"), "the guest is still asleep");
}

#[test]
fn the_first_body_byte_arrives_before_the_guest_wakes() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::begin(wagi.address(), &format!("/slow-lines?2&{FOR_EVER}"));
    assert!(is_chunked(&connection.head()));
    assert_eq!(connection.chunk().expect("a chunk").as_deref(), Some(&b"line 1\n"[..]));
    assert!(!wagi.log().contains("/slow-lines"), "the guest is still asleep");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_the_first_body_byte_arrives_before_the_guest_wakes() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = http2::Connection::open(wagi.address()).await;
    let (answer, _stream) = connection.get(&format!("/slow-lines?2&{FOR_EVER}")).await;
    let (status, mut body) = http2::head(answer).await;
    let first = http2::piece(&mut body).await.expect("a piece").expect("a piece");
    assert_eq!((status, &first[..]), (200, &b"line 1\n"[..]));
    // Another stream on the same connection does not wait for it.
    let (answer, _stream) = connection.get("/args").await;
    let (_, mut other) = http2::head(answer).await;
    assert_eq!(&http2::piece(&mut other).await.expect("a piece").expect("a piece")[..], b"\"/args\"\n");
    assert!(!wagi.log().contains("/slow-lines"), "the guest is still asleep");
}

#[test]
fn lines_arrive_one_by_one() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::open(wagi.address());
    // The guest has no line that its client has not sent yet.
    post(&mut connection, "/echo", "Content-Length: 28");
    for number in 1..=4 {
        let line = format!("line {number}\n");
        connection.send(&line);
        if number == 1 {
            assert!(is_chunked(&connection.head()));
        }
        assert_eq!(connection.chunk().expect("a chunk").as_deref(), Some(line.as_bytes()));
    }
    assert_eq!(connection.chunk().expect("the end"), None);
    assert_eq!(connection.get("/slow-lines?4&50").text(), "line 1\nline 2\nline 3\nline 4\n");
    assert_eq!(connection.get("/args").text(), "\"/args\"\n");
}

#[test]
fn an_answer_that_is_known_in_full_has_its_length_and_a_streamed_one_is_chunked() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::open(wagi.address());
    let known = connection.get("/args");
    assert_eq!((known.header("content-length"), known.header("transfer-encoding")), (Some("8"), None));
    let streamed = connection.get("/sleep?500");
    assert!(is_chunked(&streamed) && streamed.header("content-length").is_none(), "{streamed:?}");
    assert_eq!(streamed.text(), "awake\n");
    let long = connection.get("/flood?1000000");
    assert!(is_chunked(&long) && long.header("content-length").is_none());
    assert_eq!(long.body, vec![b'x'; 1_000_000]);
}

#[test]
fn an_http_1_0_client_gets_a_streamed_answer_until_the_connection_closes() {
    let wagi = Site::probe("").start(&[]);
    for ask in ["", "Connection: keep-alive\r\n"] {
        let mut connection = Connection::open(wagi.address());
        connection.send(format!("GET /sleep?500 HTTP/1.0\r\n{ask}\r\n"));
        let head = connection.head();
        assert_eq!((head.status, head.header("transfer-encoding"), head.header("content-length")), (200, None, None));
        assert_eq!(connection.rest(), b"awake\n");
    }
    let mut connection = Connection::open(wagi.address());
    connection.send("GET /args HTTP/1.0\r\n\r\n");
    assert_eq!(connection.head().header("content-length"), Some("8"));
    assert_eq!(connection.rest(), b"\"/args\"\n");
}

#[test]
fn a_trap_behind_the_head_cuts_the_transfer_and_closes_the_connection() {
    let wagi = Site::new().text_module("/trap", &trapping_late(), "").start(&[]);
    let mut connection = Connection::begin(wagi.address(), "/trap");
    let head = connection.head();
    assert!(head.status == 200 && is_chunked(&head), "{head:?}");
    let cut = loop {
        match connection.chunk() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the last chunk makes the answer look complete"),
            Err(error) => break error,
        }
    };
    assert_eq!(cut.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(connection.rest(), b"");
    wagi.logged(&["\"GET /trap HTTP/1.1\" 200", "end=trap", "cut after the head"]);
}

#[test]
fn a_trap_behind_the_head_is_seen_by_an_http_1_0_client_only_as_the_end() {
    let wagi = Site::new().text_module("/trap", &trapping_late(), "").start(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.send("GET /trap HTTP/1.0\r\n\r\n");
    assert_eq!(connection.head().status, 200);
    assert!(connection.rest().len() <= 80_000);
    wagi.logged(&["\"GET /trap HTTP/1.0\" 200", "end=trap"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_a_failure_behind_the_head_resets_its_stream_only() {
    let wagi = Site::probe("limits = { cpu_time = '300ms', time_between_outputs = '10m' }").start(&[]);
    let mut connection = http2::Connection::open(wagi.address()).await;
    let (answer, _stream) = connection.get("/spin-after-head").await;
    let (status, mut body) = http2::head(answer).await;
    assert_eq!(status, 200);
    let error = loop {
        match http2::piece(&mut body).await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the answer looks complete"),
        }
    };
    assert!(error.is_reset() && error.is_remote(), "{error:?}");
    let (answer, _stream) = connection.get("/healthz").await;
    assert_eq!(http2::head(answer).await.0, 200);
}

#[test]
fn output_of_256_mib_costs_no_memory() {
    let _alone = alone();
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.get("/flood?1000000");
    let before = wagi.resident();
    connection.ask("/flood?268435456");
    connection.head();
    let (mut length, mut most, mut chunks) = (0, before, 0);
    while let Some(chunk) = connection.chunk().expect("the whole body") {
        length += chunk.len() as u64;
        chunks += 1;
        if chunks % 500 == 0 {
            most = most.max(wagi.resident());
        }
    }
    assert_eq!(length, 256 * MIB);
    most = most.max(wagi.resident());
    assert!(most < before + ROOM, "from {before} to {most}");
}

#[test]
fn an_upload_of_256_mib_costs_no_memory() {
    let _alone = alone();
    let wagi = Site::probe("limits = { request_body = '1GiB' }").start(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.post("/count-stdin", vec![0; 1_000_000]);
    let before = wagi.resident();
    post(&mut connection, "/count-stdin", "Content-Length: 268435456");
    let (piece, mut most) = (vec![0; 1 << 20], before);
    for _ in 0..256 {
        connection.send(&piece);
        most = most.max(wagi.resident());
    }
    assert_eq!(connection.answer().text(), sum_of_zeros(268_435_456));
    most = most.max(wagi.resident());
    assert!(most < before + ROOM, "from {before} to {most}");
}

#[test]
fn a_client_that_stops_reading_holds_its_guest_back_and_then_gets_everything() {
    let _alone = alone();
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.get("/flood?1000000");
    let before = wagi.resident();
    connection.ask("/flood?134217728");
    connection.head();
    wagi.quiet();
    assert!(!wagi.log().contains("/flood?134217728"), "the guest is not done");
    assert!(wagi.resident() < before + ROOM, "from {before} to {}", wagi.resident());
    let mut length = 0;
    while let Some(chunk) = connection.chunk().expect("the whole body") {
        length += chunk.len() as u64;
    }
    assert_eq!(length, 128 * MIB);
    wagi.logged(&["/flood?134217728", "134217728B", "end=ok"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_client_that_opens_no_window_holds_its_guest_back() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = http2::Connection::open(wagi.address()).await;
    let before = wagi.resident();
    let (answer, _stream) = connection.get("/flood?67108864").await;
    let (_, mut body) = http2::head(answer).await;
    wagi.quiet();
    assert!(!wagi.log().contains("/flood"), "the guest is not done");
    assert!(wagi.resident() < before + ROOM, "from {before} to {}", wagi.resident());
    let mut length = 0;
    while let Some(piece) = http2::piece(&mut body).await {
        length += piece.expect("the whole body").len() as u64;
    }
    assert_eq!(length, 64 * MIB);
}

/// How much of an endless body the server takes before it takes no more.
fn taken_of_an_upload(connection: &Connection, most: u64) -> u64 {
    let mut stream = connection.stream();
    stream.set_nonblocking(true).expect("a socket can be made so");
    let (piece, mut taken, mut moved) = (vec![0; 1 << 16], 0, Instant::now());
    // A guest that reads slowly makes room now and then; half a second without any is as good as none.
    while taken < most && moved.elapsed() < Duration::from_millis(500) {
        match stream.write(&piece) {
            Ok(written) => (taken, moved) = (taken + written as u64, Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_nonblocking(false).expect("a socket can be made so");
    taken
}

#[test]
fn a_guest_that_reads_slowly_holds_its_client_back() {
    let _alone = alone();
    for behaviour in [format!("/read-slowly?{FOR_EVER}"), format!("/never-read?{FOR_EVER}")] {
        let wagi = Site::probe("limits = { request_body = '1GiB' }").start(&[]);
        let mut connection = Connection::open(wagi.address());
        connection.post("/count-stdin", vec![0; 1_000_000]);
        let before = wagi.resident();
        post(&mut connection, &behaviour, "Content-Length: 1073741824");
        // What the kernel holds of a connection is some MiB, and not the server's.
        let taken = taken_of_an_upload(&connection, 1 << 30);
        assert!(taken < 128 * MIB, "{behaviour}: {taken} bytes were taken");
        assert!(wagi.resident() < before + 8 * MIB, "{behaviour}: from {before} to {}", wagi.resident());
    }
}

#[test]
fn a_guest_that_reads_slowly_gets_everything() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.post("/read-slowly?1", vec![0; 300_000]).text(), sum_of_zeros(300_000));
}

#[test]
fn a_chunked_upload_has_a_content_length_for_the_guest() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::open(wagi.address());
    for (path, expected) in [("/env", "CONTENT_LENGTH=11\n"), ("/stdin", "11 "), ("/echo", "hello world")] {
        post(&mut connection, path, "Transfer-Encoding: chunked");
        for chunk in ["6\r\nhello \r\n", "5;name=value\r\nworld\r\n", "0\r\nTrailer: x\r\n\r\n"] {
            connection.send(chunk);
        }
        let answer = connection.answer().text();
        assert!(answer.contains(expected) && !answer.contains("TRANSFER_ENCODING"), "{path}: {answer}");
    }
}

#[test]
fn a_body_is_asked_for_when_the_guest_reads_it_and_not_before() {
    let wagi = Site::probe("limits = { request_body = 1000 }").start(&[]);
    let mut connection = Connection::open(wagi.address());
    post(&mut connection, "/echo", "Content-Length: 5\r\nExpect: 100-continue");
    assert_eq!(connection.head().status, 100);
    connection.send("hello");
    assert_eq!(connection.answer().text(), "hello");

    // Nobody reads, so nobody asks: the answer comes without the body.
    for (path, length, status) in [("/args", 5, 200), ("/nowhere", 5, 404), ("/echo", 1001, 413)] {
        let mut connection = Connection::open(wagi.address());
        post(&mut connection, path, &format!("Content-Length: {length}\r\nExpect: 100-continue"));
        assert_eq!(connection.answer().status, status, "{path}");
    }
}

#[test]
fn a_client_that_sends_far_too_much_without_listening_still_reads_its_413() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.stream().set_write_timeout(Some(LONG)).expect("a timeout is allowed");
    post(&mut connection, "/count-stdin", "Content-Length: 20971520");
    let piece = vec![0; 1 << 20];
    for _ in 0..20 {
        connection.send(&piece);
    }
    let answer = connection.answer();
    assert_eq!((answer.status, answer.body.len()), (413, 0));
    assert_eq!(connection.rest(), b"");
}

#[test]
fn standard_input_ends_at_the_content_length_though_the_client_sends_on() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::open(wagi.address());
    post(&mut connection, "/echo", "Content-Length: 5");
    connection.send("helloGET /args HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(connection.answer().text(), "hello");
    assert_eq!(connection.answer().text(), "\"/args\"\n");
    // The connection stays open: the end of the body is not the end of the stream.
    post(&mut connection, "/stdin", "Content-Length: 3");
    connection.send("\0\0\0");
    assert_eq!(connection.answer().text(), sum_of_zeros(3));
}

#[test]
fn a_body_nobody_reads_does_not_become_the_next_request() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::open(wagi.address());
    post(&mut connection, "/args", "Content-Length: 45");
    connection.send("GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n  ");
    assert_eq!(connection.answer().text(), "\"/args\"\n");
    // The server may close or read on; in neither case is there an answer to what was in the body.
    connection.stream().shutdown(std::net::Shutdown::Write).expect("it is open");
    assert_eq!(connection.rest(), b"");
    assert_eq!(logged_requests(&wagi), 1);
}

fn logged_requests(wagi: &Wagi) -> usize {
    wagi.logged(&["/args"]);
    wagi.log().lines().filter(|line| line.contains("HTTP/1.1\"")).count()
}

#[test]
fn an_upload_that_stops_half_way_is_408_when_its_time_is_over() {
    let wagi = Site::probe("").top("[limits]\nbody_timeout = '200ms'").start(&[]);
    let mut connection = Connection::open(wagi.address());
    post(&mut connection, "/count-stdin", "Content-Length: 10");
    connection.send("12345");
    assert_eq!(connection.answer().status, 408);
    assert_eq!(connection.rest(), b"");
}

#[test]
fn a_short_body_that_is_not_read_does_not_cost_the_connection() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::open(wagi.address());
    for path in ["/args", "/trap", "/healthz", "/args"] {
        post(&mut connection, path, "Content-Length: 100000");
        // The head alone is answered; the body follows when the answer is already there.
        let answer = connection.answer();
        assert!(!answer.body.is_empty() || answer.status == 500, "{path}");
        connection.send(vec![b'x'; 100_000]);
    }
    assert_eq!(connection.get("/args").text(), "\"/args\"\n");
}

/// HTTP/1.0 ends a body of unknown length with the connection: an orderly end would look like success.
#[test]
fn an_answer_to_http_1_0_that_breaks_off_ends_with_a_reset() {
    let wagi = Site::probe("limits = { cpu_time = '300ms', time_between_outputs = '10m' }").start(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.send("GET /spin-after-head HTTP/1.0\r\n\r\n");
    assert_eq!(connection.head().status, 200);
    let ended = std::io::Read::read_to_end(&mut connection.stream(), &mut Vec::new());
    assert_eq!(ended.expect_err("it is cut").kind(), std::io::ErrorKind::ConnectionReset);
}
