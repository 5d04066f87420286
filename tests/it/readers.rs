//! Clients that take their responses slowly: what they may hold of the server, and that others are served beside them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, client};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{interval, timeout};

use crate::support::guest::{component, printing, probe};
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::{LONG, alone};

/// Far less than there are readers.
const FEW: &str = "[limits]\ntotal_concurrency = 16";

/// More than all buffers between a guest and its client hold.
const TARGETS: [&str; 8] = [
    "/m0/flood?1000000000",
    "/m1/flood?1000000000",
    "/m2/flood?1000000000",
    "/m3/flood?1000000000",
    "/m4/flood?1000000000",
    "/m5/flood?1000000000",
    "/p2/much?100000",
    "/p2/much?200000",
];

/// What an honest client takes: more than the buffers hold, at twice the rate that is asked of it.
const HONEST: usize = 400_000;
const HONEST_PIECE: usize = 8 << 10;

fn site() -> Wagi {
    let mut site = Site::new().top(FEW).text_module("/hello", &printing("Content-Type: text/plain\n\nhello\n"), "");
    for route in 0..6 {
        site = site.module(&format!("/m{route}/..."), &probe(), "");
    }
    site.module("/p2/...", &component("http-probe.wasm"), "").start(&[])
}

/// Connects from 127.0.0.`last`, with next to no room for what comes.
async fn connect(server: SocketAddr, last: usize) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4 << 10).expect("a small buffer is allowed");
    let last = u8::try_from(last).expect("a byte");
    socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0)).expect("loopback has such addresses");
    socket.connect(server).await.expect("the server listens")
}

/// Sends a GET and takes the beginning of the response.
async fn begin(server: SocketAddr, last: usize, target: &str) -> TcpStream {
    let mut stream = connect(server, last).await;
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.expect("it reads");
    let mut status = [0; 12];
    timeout(LONG, stream.read_exact(&mut status)).await.expect("an answer in time").expect("an answer");
    assert_eq!(String::from_utf8_lossy(&status), "HTTP/1.1 200", "{target}");
    stream
}

/// Asks for the greeting from an address of slow readers, and from another.
async fn greeted(server: SocketAddr) {
    for last in [1, 11] {
        let mut stream = connect(server, last).await;
        stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("it reads");
        let mut answer = String::new();
        let read = timeout(LONG, stream.read_to_string(&mut answer)).await;
        read.expect("an answer in time").expect("a whole answer");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello\n"), "{answer}");
    }
}

/// Takes 8 KiB a second to the end, and returns how much of the body that was.
async fn read_honestly(server: SocketAddr, last: usize) -> usize {
    let mut stream = connect(server, last).await;
    let request = format!("GET /m0/flood?{HONEST} HTTP/1.0\r\nHost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let (mut second, mut read, mut piece) = (interval(Duration::from_secs(1)), Vec::new(), [0; HONEST_PIECE]);
    loop {
        second.tick().await;
        let mut filled = 0;
        while filled < HONEST_PIECE {
            match timeout(LONG, stream.read(&mut piece[filled..])).await.expect("a piece in time") {
                Ok(0) => return body_length(&read),
                Ok(count) => {
                    read.extend_from_slice(&piece[filled..filled + count]);
                    filled += count;
                }
                Err(error) => panic!("{error} after {}", read.len()),
            }
        }
    }
}

fn body_length(response: &[u8]) -> usize {
    let head = response.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
    response.len() - head - 4
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn readers_that_stop_leave_permits_for_all_others() {
    let _alone = alone();
    let wagi = site();
    let server = wagi.address();
    let mut readers = Vec::new();
    for number in 0..200 {
        readers.push(begin(server, number % 10 + 1, TARGETS[number % TARGETS.len()]).await);
    }
    // Of an address that nobody else reads from.
    let honest = tokio::spawn(read_honestly(server, 12));
    let mut second = interval(Duration::from_secs(1));
    while !honest.is_finished() {
        second.tick().await;
        greeted(server).await;
        // All of them stay slow; some begin again.
        let number = readers.len();
        readers.push(begin(server, number % 10 + 1, TARGETS[number % TARGETS.len()]).await);
    }
    assert_eq!(honest.await.expect("no panic"), HONEST);
    drop(readers);
    wagi.logged(&["/m0/flood", "end=client-gone", "cut after the head: the client takes the response too slowly"]);
}

/// A connection of HTTP/2 that allows a byte of each response at once.
async fn connect_http2(server: SocketAddr, last: usize) -> (SendRequest<Bytes>, JoinHandle<()>) {
    let tcp = connect(server, last).await;
    let mut builder = client::Builder::new();
    builder.initial_window_size(1);
    let (client, connection) = builder.handshake(tcp).await.expect("the server speaks HTTP/2");
    (client, tokio::spawn(async move { drop(connection.await) }))
}

async fn begin_http2(client: &mut SendRequest<Bytes>, target: &str) -> RecvStream {
    *client = client.clone().ready().await.expect("room for a stream");
    let request = Request::get(format!("http://localhost{target}")).body(()).expect("a request");
    let (response, _) = client.send_request(request, true).expect("a stream");
    let response = timeout(LONG, response).await.expect("an answer in time").expect("an answer");
    assert_eq!(response.status(), 200, "{target}");
    response.into_body()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stop_over_http_2_leave_permits_for_all_others() {
    let wagi = site();
    let mut held = Vec::new();
    for last in 1..=3 {
        let (mut client, driver) = connect_http2(wagi.address(), last).await;
        for number in 0..50 {
            held.push(begin_http2(&mut client, TARGETS[number % TARGETS.len()]).await);
        }
        greeted(wagi.address()).await;
        // On the same connection, so behind all of them. Its window lets five bytes fewer pass.
        let mut hello = begin_http2(&mut client, "/hello").await;
        assert_eq!(timeout(LONG, hello.data()).await.expect("in time").expect("a byte").expect("a byte"), "h");
        held.push(hello);
        drop(driver);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn a_client_that_takes_a_byte_now_and_then_loses_its_guest_after_send_timeout() {
    let _alone = alone();
    let keys = "limits = { concurrency = 1 }";
    let wagi = Site::new()
        .top("[limits]\nsend_timeout = '3s'\nqueue_wait = '10m'")
        .module("/m0/...", &probe(), keys)
        .module("/p2/...", &component("http-probe.wasm"), keys)
        .start(&[]);
    let mut tasks = JoinSet::new();
    for (slow, other) in [("/m0/flood?1000000000", "/m0/flood?1"), ("/p2/much?100000", "/p2/much?0")] {
        let server = wagi.address();
        tasks.spawn(async move {
            let (mut client, _driver) = connect_http2(server, 1).await;
            let mut body = begin_http2(&mut client, slow).await;
            let other = tokio::spawn(async move { drop(begin(server, 2, other).await) });
            // The connection is never silent for long.
            while !other.is_finished() {
                let byte = timeout(Duration::from_millis(100), body.data()).await;
                if let Ok(byte) = byte {
                    let byte = byte.expect("a byte").expect("the connection is kept");
                    body.flow_control().release_capacity(byte.len()).expect("as much as was read");
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            other.await.expect("an answer");
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no panic");
    }
    for target in ["/m0/flood?1000000000", "/p2/much?100000"] {
        wagi.logged(&[target, "end=client-gone", "cut after the head: the client takes the response too slowly"]);
    }
}

#[test]
fn an_event_stream_waits_for_its_guest_and_not_for_its_client() {
    use crate::support::http1::Connection;

    let wagi = Site::new()
        .top("[limits]\nsend_timeout = '300ms'\ntotal_concurrency = 1")
        .module("/m0/...", &probe(), "")
        .start(&[]);
    let mut connection = Connection::open(wagi.address());
    let answer = connection.get("/m0/slow-lines?5&500");
    assert_eq!(answer.text(), "line 1\nline 2\nline 3\nline 4\nline 5\n");
    wagi.logged(&["/m0/slow-lines", "end=ok"]);
}
