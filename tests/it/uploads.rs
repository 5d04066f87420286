//! Clients that send their bodies slowly: what they may hold of the server, and that others are served beside them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{Method, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::LONG;
use crate::support::guest::{component, printing, probe};
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;

/// Uploads may have four of the eight permits, one client one of these. Nobody waits for a permit: whoever finds none is told.
const FEW: &str = "[limits]\ntotal_concurrency = 8\nqueue = 0\nqueue_wait = '1ms'";

fn site() -> Wagi {
    let mut site = Site::new().top(FEW).text_module("/hello", &printing("Content-Type: text/plain\n\nhello\n"), "");
    for route in 0..6 {
        site = site.module(&format!("/m{route}/..."), &probe(), "");
    }
    site.module("/p2/...", &component("http-probe.wasm"), "")
        .module("/p3/...", &component("http3-probe.wasm"), "")
        .start(&[])
}

const TARGETS: [&str; 8] = [
    "/m0/count-stdin",
    "/m1/count-stdin",
    "/m2/count-stdin",
    "/m3/count-stdin",
    "/m4/count-stdin",
    "/m5/count-stdin",
    "/p2/count",
    "/p3/echo",
];

/// Connects from 127.0.0.`last`.
pub async fn connect(server: SocketAddr, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0)).expect("loopback has such addresses");
    socket.connect(server).await.expect("the server listens")
}

/// Begins an upload of 1,000 bytes and sends one of them as soon as the server wants them.
async fn begin(server: SocketAddr, number: usize) -> TcpStream {
    let last = u8::try_from(number % 10 + 1).expect("a byte");
    let mut stream = connect(server, last).await;
    let target = TARGETS[number % TARGETS.len()];
    let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    let mut wanted = vec![0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    timeout(LONG, stream.read_exact(&mut wanted)).await.expect("an answer in time").expect("an answer");
    assert!(wanted.starts_with(b"HTTP/1.1 100"), "{target}: {}", String::from_utf8_lossy(&wanted));
    stream.write_all(b"x").await.expect("the server reads");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_drip_leave_permits_for_all_others() {
    let wagi = site();
    let mut uploads = Vec::new();
    for number in 0..40 {
        uploads.push(begin(wagi.address(), number).await);
    }
    // From an address of theirs, and from another.
    for last in [1, 11] {
        for _ in 0..20 {
            let mut stream = connect(wagi.address(), last).await;
            stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("it reads");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("a whole answer");
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello\n"), "{answer}");
        }
    }
    // Uploads of others arrive too, and so does each of those that drip if its client goes on.
    let answer = Connection::open(wagi.address()).post("/m0/count-stdin", vec![0; 100_000]);
    assert!(answer.status == 200 && answer.text().starts_with("100000 "), "{answer:?}");
    for mut stream in uploads {
        stream.write_all(&[0; 999]).await.expect("the server reads");
        let mut answer = [0; 12];
        timeout(LONG, stream.read_exact(&mut answer)).await.expect("an answer in time").expect("an answer");
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 200");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_drip_over_http_2_leave_permits_for_all_others() {
    let wagi = site();
    let tcp = connect(wagi.address(), 2).await;
    let (mut client, connection) = h2::client::handshake(tcp).await.expect("the server speaks HTTP/2");
    let driver = tokio::spawn(async move { drop(connection.await) });
    let mut uploads = Vec::new();
    for number in 0..40 {
        let target = format!("http://localhost{}", TARGETS[number % TARGETS.len()]);
        let request = Request::builder().method(Method::POST).uri(target).header("content-length", 1_000);
        client = client.ready().await.expect("room for a stream");
        let (answer, mut stream) = client.send_request(request.body(()).expect("a request"), false).expect("a stream");
        stream.send_data(Bytes::from_static(b"x"), false).expect("room for a byte");
        uploads.push((answer, stream));
    }
    // On the same connection, so behind all of them.
    for _ in 0..20 {
        client = client.ready().await.expect("room for a stream");
        let request = Request::get("http://localhost/hello").body(()).expect("a request");
        let (answer, _) = client.send_request(request, true).expect("a stream");
        let answer = timeout(LONG, answer).await.expect("an answer in time").expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    for (answer, mut stream) in uploads {
        stream.send_data(Bytes::from_static(&[0; 999]), true).expect("room");
        let answer = timeout(LONG, answer).await.expect("an answer in time").expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    driver.abort();
}

#[test]
fn an_upload_that_finds_a_permit_is_streamed_and_a_second_of_the_same_client_is_collected_first() {
    let wagi = site();
    let post = |path: &str| {
        let mut connection = Connection::open(wagi.address());
        connection.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc"));
        connection
    };
    let mut streamed = post("/m0/echo");
    assert_eq!(streamed.head().status, 200);
    assert_eq!(streamed.chunk().expect("a chunk").as_deref(), Some(&b"abc"[..]));
    let mut collected = post("/m0/echo");
    collected.send("def");
    // In one piece: its guest was started when all of the body was there.
    let answer = collected.answer();
    assert_eq!((answer.header("content-length"), answer.text().as_str()), (Some("6"), "abcdef"));
    streamed.send("def");
    assert_eq!(streamed.chunk().expect("a chunk").as_deref(), Some(&b"def"[..]));
    assert_eq!(streamed.chunk().expect("the end"), None);
    // The permit is back.
    let mut streamed = post("/p2/echo");
    assert_eq!(streamed.head().status, 200);
    assert_eq!(streamed.chunk().expect("a chunk").as_deref(), Some(&b"abc"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_a_body_that_is_collected_reach_their_component() {
    let wagi = site();
    let _first = begin(wagi.address(), 6).await;
    let mut second = connect(wagi.address(), 7).await;
    let request = "POST /p2/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
        3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n";
    second.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = [0; 12];
    timeout(LONG, second.read_exact(&mut answer)).await.expect("an answer in time").expect("an answer");
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 200");
    wagi.logged(&["trailer x-sum: 6"]);
}
