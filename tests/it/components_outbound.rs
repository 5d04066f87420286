//! Components that call other servers through `wasi:http`: what is sent, what comes back as it comes, and what is refused.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use tokio::net::TcpSocket;

use crate::support::guest::component;
use crate::support::harness::{Answer, Running, Test};
use crate::support::http1::Connection;
use crate::support::process::{Wagi, command};
use crate::support::site::Site;
use crate::support::upstream::{Upstream, redirect, reply};
use crate::support::{LONG, eventually, port};

const LOOPBACK: &str = "allowed_hosts = ['http://127.0.0.1']";

async fn started(keys: &str) -> Running {
    Test::new().file_module("/...", &component("http-probe.wasm"), keys).start().await
}

async fn called(running: &Running, url: &str) -> Answer {
    running.get(&format!("/call?{url}")).await
}

#[tokio::test]
async fn a_call_is_sent_as_the_guest_wants_it_and_its_answer_comes_back() {
    let upstream = Upstream::start(|_| reply("203 Fine", "X-Theirs: 1\r\n", "hello"));
    let running = started(LOOPBACK).await;
    let answer = called(&running, &upstream.url("/a%20b/../c?d=e&f")).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (203, "hello"));
    let received = upstream.only();
    // What is signed must not be tidied up.
    assert_eq!(received.line, "GET /a%20b/../c?d=e&f");
    assert_eq!(received.header("x-from"), Some("the probe"));
    assert_eq!(received.header("host"), Some(format!("127.0.0.1:{}", upstream.port()).as_str()));
    assert_eq!(received.header("transfer-encoding"), None);
}

#[tokio::test]
async fn redirects_are_the_guests_to_follow() {
    let upstream = Upstream::start(|_| redirect("302 Found", "http://192.0.2.1/"));
    let answer = called(&started(LOOPBACK).await, &upstream.url("/")).await;
    assert_eq!(answer.status.as_u16(), 302);
}

#[tokio::test]
async fn what_is_not_allowed_is_denied() {
    let closed = port::free().port();
    let refused = format!("http://127.0.0.1:{closed}/");
    for (keys, url, code) in [
        ("", "http://127.0.0.1/", "HttpRequestDenied"),
        (LOOPBACK, "http://example.com/", "HttpRequestDenied"),
        (LOOPBACK, "http://127.0.0.2/", "HttpRequestDenied"),
        ("allowed_hosts = ['insecure:allow-all']", "http://169.254.169.254/", "DestinationIpProhibited"),
        ("allowed_hosts = ['nowhere.invalid']", "http://nowhere.invalid/", "Dns"),
        (LOOPBACK, refused.as_str(), "ConnectionRefused"),
    ] {
        let answer = called(&started(keys).await, url).await;
        assert_eq!(answer.status.as_u16(), 502, "{url}");
        assert!(answer.text().contains(code), "{url}: {}", answer.text());
    }
}

#[tokio::test]
async fn decimal_and_mixed_spellings_lead_nowhere_else() {
    let running = started("allowed_hosts = ['http://example.com']").await;
    for url in
        ["http://2130706433/", "http://0x7f.1/", "http://EXAMPLE.com@127.0.0.1/", "http://127.0.0.1#example.com/"]
    {
        let answer = called(&running, &url.replace('#', "%23")).await;
        assert!(answer.status.is_server_error(), "{url}: {} {}", answer.status, answer.text());
    }
}

#[test]
fn bodies_pass_piece_by_piece_in_both_directions() {
    let (sender, more) = mpsc::channel::<&[u8]>();
    let more = Mutex::new(more);
    let upstream = Upstream::start_with(move |_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        while let Ok(piece) = more.lock().unwrap().recv() {
            write!(stream, "{:x}\r\n", piece.len())?;
            stream.write_all(piece)?;
            stream.write_all(b"\r\n")?;
        }
        stream.write_all(b"0\r\n\r\n")
    });
    let wagi = Site::new().module("/...", &component("http-probe.wasm"), LOOPBACK).start(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.send(format!("GET /call?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", upstream.url("/")));
    assert_eq!(connection.head().status, 200);
    for piece in [&b"one"[..], b"two"] {
        sender.send(piece).unwrap();
        assert_eq!(connection.chunk().unwrap().unwrap(), piece);
    }
    drop(sender);
    assert!(connection.chunk().unwrap().is_none());
}

#[tokio::test]
async fn an_upload_of_known_length_arrives_whole() {
    // The length is the client's here; the guest sends on what it reads, in chunks.
    let echo = Test::new()
        .file_module("/call/...", &component("http-probe.wasm"), LOOPBACK)
        .file_module("/...", &component("http-probe.wasm"), LOOPBACK)
        .start()
        .await;
    assert_eq!(echo.get("/print").await.text(), "printed\n");
    let start = || Site::new().module("/...", &component("http-probe.wasm"), LOOPBACK).start(&[]);
    let (wagi, upstream) = (start(), start());
    let body: Vec<u8> = (0..500_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let inner = format!("http://{}/echo", upstream.address());
    let answer = Connection::open(wagi.address()).post(&format!("/call?{inner}"), &body);
    assert_eq!(answer.status, 200);
    assert!(answer.body == body, "the body comes back changed");
}

#[tokio::test]
async fn an_upload_whose_guest_traps_does_not_look_complete() {
    let start = || Site::new().module("/...", &component("http-probe.wasm"), LOOPBACK).start(&[]);
    let (wagi, upstream) = (start(), start());
    let inner = format!("http://{}/count", upstream.address());
    let answer = Connection::open(wagi.address()).get(&format!("/cut-upload?{inner}"));
    assert_eq!(answer.status, 500);
    let line = eventually(|| upstream.log().lines().find(|line| line.contains("POST /count")).map(str::to_owned));
    assert!(line.contains("end=bad-body") || line.contains("end=client-gone"), "{line}");
}

#[tokio::test]
async fn so_many_calls_may_be_under_way_and_no_more() {
    let upstream = Upstream::start(|_| reply("200 OK", "", "hello"));
    let running = started(&format!("{LOOPBACK}\nhttp_max_concurrency = 2")).await;
    let text = running.get(&format!("/calls?4,{}", upstream.url("/"))).await.text();
    assert_eq!(text.matches("200").count(), 2, "{text}");
    assert_eq!(text.matches("ConnectionLimitReached").count(), 2, "{text}");
}

#[tokio::test]
async fn the_guests_own_patience_counts() {
    let upstream = Upstream::start(|_| {
        std::thread::sleep(Duration::from_secs(20));
        reply("200 OK", "", "late")
    });
    let answer = called(&started(LOOPBACK).await, &format!("timeout=100;{}", upstream.url("/"))).await;
    assert_eq!(answer.status.as_u16(), 502);
    assert!(answer.text().contains("Timeout"), "{}", answer.text());
}

/// A port of this machine where nobody gets through: clients wait there to be let in, and there is room for no other.
fn full() -> (Vec<TcpStream>, TcpListener) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let listener = socket.listen(1).and_then(tokio::net::TcpListener::into_std).expect("it listens");
    let address = listener.local_addr().expect("an address");
    let patience = Duration::from_millis(200);
    let waiting = std::iter::from_fn(|| TcpStream::connect_timeout(&address, patience).ok()).collect();
    (waiting, listener)
}

#[tokio::test]
async fn the_guests_own_patience_counts_for_a_connection_too() {
    let (_waiting, listener) = full();
    let address = listener.local_addr().expect("an address");
    let answer = called(&started(LOOPBACK).await, &format!("connect=100;http://{address}/")).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (502, "ErrorCode::ConnectionTimeout\n"));
}

#[test]
fn an_error_does_not_show_the_guest_what_the_host_is_made_of() {
    let upstream = Upstream::start_with(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
        Err(std::io::Error::other("no more"))
    });
    let site = Site::new().module("/...", &component("http-probe.wasm"), LOOPBACK);
    site.write();
    let mut command = command(site.path());
    let wagi = Wagi::spawn(command.env("RUST_BACKTRACE", "1").args(["-l", "127.0.0.1:0", "-c", "modules.toml"]));
    let mut connection = Connection::open(wagi.address());
    connection.send(format!("GET /call?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", upstream.url("/")));
    wagi.logged(&["GET /call", "end="]);
    let told = wagi.logged(&["the answer broke off: "]);
    assert!(told.contains("HTTP protocol error") && !wagi.log().contains("backtrace"), "{}", wagi.log());
}

#[test]
fn a_call_ends_with_its_guest() {
    let (sender, closed) = mpsc::channel();
    let sender = Mutex::new(sender);
    let upstream = Upstream::start_with(move |_, stream| {
        use std::io::Read;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")?;
        let ended = stream.read(&mut [0; 1]);
        sender.lock().unwrap().send(ended.is_err() || ended.is_ok_and(|count| count == 0)).unwrap();
        Ok(())
    });
    let wagi = Site::new().module("/...", &component("http-probe.wasm"), LOOPBACK).start(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.send(format!("GET /call?{} HTTP/1.1\r\nHost: localhost\r\n\r\n", upstream.url("/")));
    assert_eq!(connection.head().status, 200);
    drop(connection);
    assert!(closed.recv_timeout(LONG).expect("the connection is closed"));
}
