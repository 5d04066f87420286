//! HTTP/2 without TLS: recognized on the same port, with streams that end when they should.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use h2::client::SendRequest;
use http_body_util::BodyExt;

use crate::server::tests::limits::{SHORT, is_served_slowly};
use crate::server::tests::*;

async fn connect(address: SocketAddr) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let tcp = TcpStream::connect(address).await.unwrap();
    let (client, connection) = h2::client::handshake(tcp).await.unwrap();
    (client.ready().await.unwrap(), tokio::spawn(connection))
}

fn get() -> Request<()> {
    Request::get("http://a/").body(()).unwrap()
}

async fn assert_dropped_in_time(dropped: oneshot::Receiver<()>) {
    let begun = Instant::now();
    assert!(promptly(dropped).await.is_err());
    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_millis(100), "{elapsed:?}");
}

#[tokio::test]
async fn prior_knowledge_is_recognized() {
    let server = start(config(|_| {}), hello).await;
    let (mut client, _connection) = connect(server.address).await;
    let (response, _) = client.send_request(get(), true).unwrap();
    let mut response = promptly(response).await.unwrap();
    assert_eq!((response.status(), response.version()), (http::StatusCode::OK, http::Version::HTTP_2));
    assert_eq!(promptly(response.body_mut().data()).await.unwrap().unwrap(), "hello");
}

#[tokio::test]
async fn half_a_preface_is_closed() {
    let server = start(config(|limits| limits.header_timeout = Duration::from_millis(200)), hello).await;
    let mut client = send(server.address, "PRI * HTTP/2").await;
    assert_eq!(rest(&mut client).await, "");
}

#[tokio::test]
async fn reset_drops_the_request() {
    let (service, mut arrivals) = stuck();
    let server = start(config(|_| {}), service).await;
    let (mut client, _connection) = connect(server.address).await;
    let (_response, mut stream) = client.send_request(get(), true).unwrap();
    let dropped = arrival(&mut arrivals).await;
    stream.send_reset(h2::Reason::CANCEL);
    assert_dropped_in_time(dropped).await;
}

#[tokio::test]
async fn closed_connection_drops_its_requests() {
    let (service, mut arrivals) = stuck();
    let server = start(config(|_| {}), service).await;
    let (mut client, connection) = connect(server.address).await;
    let (_first, _) = client.send_request(get(), true).unwrap();
    let (_second, mut unread) = client.send_request(get(), false).unwrap();
    unread.send_data(Bytes::from(vec![b'x'; 30_000]), false).unwrap();
    let requests = [arrival(&mut arrivals).await, arrival(&mut arrivals).await];
    connection.abort();
    for dropped in requests {
        assert_dropped_in_time(dropped).await;
    }
}

#[tokio::test]
async fn idle_connection_is_closed() {
    let server = start(config(|limits| limits.keep_alive = Duration::from_millis(200)), hello).await;
    let (mut client, connection) = connect(server.address).await;
    let (response, _) = client.send_request(get(), true).unwrap();
    promptly(response).await.unwrap();
    promptly(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn stream_whose_window_stays_shut_is_cut() {
    let flood = async |_| {
        // Two frames, so that the second waits for the first.
        let body = || text(vec![b'x'; 1 << 20]).into_body();
        Response::new(Twice { bodies: vec![body(), body()] }.boxed_unsync())
    };
    let server = start(config(|limits| limits.send_timeout = Duration::from_millis(200)), flood).await;
    let (mut client, connection) = connect(server.address).await;
    let (response, _) = client.send_request(get(), true).unwrap();
    let _unread = promptly(response).await.unwrap();
    let _ = promptly(connection).await.unwrap();
    assert_eq!(server.counters.timed_out.load(Relaxed), 1);
}

/// Bodies one after the other.
struct Twice {
    bodies: Vec<ResponseBody>,
}

impl http_body::Body for Twice {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        while let Some(body) = self.bodies.last_mut() {
            match Pin::new(body).poll_frame(cx) {
                Poll::Ready(None) => drop(self.bodies.pop()),
                frame => return frame,
            }
        }
        Poll::Ready(None)
    }
}

fn post(path: &str) -> http::request::Builder {
    Request::post(format!("http://a{path}"))
}

#[tokio::test]
async fn bodies_that_are_not_read_do_not_keep_others_from_coming_in() {
    let service = async |request: Request<RequestBody>| match request.uri().path() {
        "/unread" => {
            let _held = request;
            std::future::pending().await
        }
        _ => text(request.into_body().collect().await.unwrap().to_bytes()),
    };
    let server = start(config(|_| {}), service).await;
    let (mut client, _connection) = connect(server.address).await;
    let mut unread = Vec::new();
    for _ in 0..60 {
        let (response, mut stream) = client.send_request(post("/unread").body(()).unwrap(), false).unwrap();
        stream.send_data(Bytes::from(vec![b'x'; 200_000]), true).unwrap();
        unread.push((response, stream));
    }
    let (response, mut stream) = client.send_request(post("/").body(()).unwrap(), false).unwrap();
    stream.send_data(Bytes::from_static(b"hello"), true).unwrap();
    let mut response = promptly(response).await.unwrap();
    assert_eq!(promptly(response.body_mut().data()).await.unwrap().unwrap(), "hello");
}

#[tokio::test]
async fn client_that_waits_for_a_continue_that_is_not_sent_is_not_blamed() {
    let read = async |request: Request<RequestBody>| match request.into_body().collect().await {
        Ok(body) => text(body.to_bytes()),
        Err(error) => text(error.to_string()),
    };
    let server = start(config(|limits| limits.body_timeout = Duration::from_millis(200)), read).await;
    let (mut client, _connection) = connect(server.address).await;
    let request = || post("/").header("expect", "100-continue").body(()).unwrap();
    let (response, _waiting) = client.send_request(request(), false).unwrap();
    let mut response = promptly(response).await.unwrap();
    let seen = promptly(response.body_mut().data()).await.unwrap().unwrap();
    assert_eq!(seen, "the client waits for 100 (Continue), which is not sent over HTTP/2");
    let (response, mut stream) = client.send_request(request(), false).unwrap();
    stream.send_data(Bytes::from_static(b"hello"), true).unwrap();
    let mut response = promptly(response).await.unwrap();
    assert_eq!(promptly(response.body_mut().data()).await.unwrap().unwrap(), "hello");
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// GOAWAY with the last possible stream and the code 0xb (RFC 9113 §6.8 and §7)
const ENHANCE_YOUR_CALM: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0x0b];

#[tokio::test]
async fn head_that_is_not_finished_is_closed() {
    let half_a_head = [PREFACE, SETTINGS, &[0, 1, 0, 1, 4, 0, 0, 0, 1, 0x82]].concat();
    let without_its_end = [PREFACE, SETTINGS, &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82]].concat();
    for begin in [PREFACE.to_vec(), half_a_head, without_its_end] {
        let server = start(config(|limits| limits.header_timeout = Duration::from_millis(200)), hello).await;
        let mut client = send(server.address, &begin).await;
        rest(&mut client).await;
        assert_eq!(server.counters.timed_out.load(Relaxed), 1, "{begin:?}");
    }
}

#[tokio::test]
async fn flood_of_control_frames_is_cut() {
    let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[1; 8]].concat();
    let priority = [&[0, 0, 5, 2, 0, 0, 0, 0, 1][..], &[0, 0, 0, 3, 1]].concat();
    let window_update = [&[0, 0, 4, 8, 0, 0, 0, 0, 0][..], &[0, 0, 0, 1]].concat();
    let unknown = vec![0, 0, 0, 99, 0, 0, 0, 0, 1];
    for frame in [ping, priority, window_update, unknown, SETTINGS.to_vec()] {
        let server = start(config(|_| {}), hello).await;
        let mut client = send(server.address, [PREFACE, SETTINGS].concat()).await;
        let received = answered(&mut client, &frame.repeat(3000)).await;
        assert_eq!(&received[received.len() - 17..], ENHANCE_YOUR_CALM, "{frame:?}");
        assert_eq!(server.counters.flooded.load(Relaxed), 1, "{frame:?}");
    }
}

/// A head of a GET, which is also the end of its stream.
fn head_of_get(stream: u32) -> Vec<u8> {
    [&[0, 0, 6, 1, 5][..], &stream.to_be_bytes(), &[0x82, 0x86, 0x84, 0x41, 1, b'a']].concat()
}

fn reset(stream: u32) -> Vec<u8> {
    [&[0, 0, 4, 3, 0][..], &stream.to_be_bytes(), &[0, 0, 0, 8]].concat()
}

/// What the server sends until it closes, after it got these bytes.
async fn answered(client: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    // The server may close while this is sent.
    let _ = promptly(client.write_all(bytes)).await;
    let mut received = Vec::new();
    // A reset counts as the end.
    let _ = promptly(client.read_to_end(&mut received)).await;
    received
}

/// Each costs a request that is not wanted (CVE-2023-44487), or nothing: the server cannot know.
#[tokio::test]
async fn flood_of_resets_is_cut() {
    let odd = |count: u32| (0..count).map(|number| 2 * number + 1);
    let rapid: Vec<u8> = odd(3000).flat_map(|stream| [head_of_get(stream), reset(stream)].concat()).collect();
    let of_one = [head_of_get(1), reset(1).repeat(3000)].concat();
    for flood in [rapid, of_one] {
        let server = start(config(|_| {}), hello).await;
        let mut client = send(server.address, [PREFACE, SETTINGS].concat()).await;
        let received = answered(&mut client, &flood).await;
        // The library adds a reason to its own.
        let goaway = received.windows(17).any(|bytes| bytes[3] == 7 && bytes[13..] == [0, 0, 0, 0x0b]);
        assert!(goaway, "{:?}", &received[received.len().saturating_sub(60)..]);
    }
}

/// One reads from its socket slowly, the other from its window.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[tokio::test]
async fn client_that_reads_slowly_but_steadily_is_served() {
    let flood = async |_| text(vec![b'x'; 64 << 20]);
    let server = start(config(|limits| limits.send_timeout = SHORT * 6), flood).await;
    let wide = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff];
    let window = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0, 0];
    let mut socket_is_kept = false;
    for _ in 0..ATTEMPTS {
        let client = send(server.address, [PREFACE, &wide, &window, &head_of_get(1)].concat()).await;
        socket_is_kept |= is_served_slowly(&server, client).await;
        if socket_is_kept {
            break;
        }
    }
    assert!(socket_is_kept, "cut each time");
    let before = server.counters.timed_out.load(Relaxed);
    let (mut client, _connection) = connect(server.address).await;
    let (response, _) = client.send_request(get(), true).unwrap();
    let mut body = promptly(response).await.unwrap().into_body();
    let begun = Instant::now();
    while begun.elapsed() < SHORT * 10 {
        let piece = promptly(body.data()).await.unwrap().unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        tokio::time::sleep(SHORT / 5).await;
    }
    assert_eq!(server.counters.timed_out.load(Relaxed), before);
}

#[tokio::test]
async fn pings_beside_requests_are_no_flood() {
    let server = start(config(|_| {}), hello).await;
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let (client, mut connection) = h2::client::handshake(tcp).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    for _ in 0..300 {
        promptly(pings.ping(h2::Ping::opaque())).await.unwrap();
        let (response, _) = client.send_request(get(), true).unwrap();
        assert_eq!(promptly(response).await.unwrap().status(), 200);
    }
}

/// The response is handed over to the HTTP library long before it is sent.
#[tokio::test]
async fn slow_reader_is_not_idle() {
    let large = async |_| text(vec![b'x'; 1 << 20]);
    let keep_alive = Duration::from_millis(300);
    let server = start(config(|limits| limits.keep_alive = keep_alive), large).await;
    let (mut client, _connection) = connect(server.address).await;
    let (response, _) = client.send_request(get(), true).unwrap();
    let mut body = promptly(response).await.unwrap().into_body();
    let (begun, mut length) = (Instant::now(), 0);
    while let Some(piece) = promptly(body.data()).await {
        let piece = piece.unwrap().len();
        length += piece;
        tokio::time::sleep(Duration::from_millis(piece as u64 / 400)).await;
        body.flow_control().release_capacity(piece).unwrap();
    }
    assert_eq!(length, 1 << 20);
    assert!(begun.elapsed() > keep_alive * 2);
}

#[tokio::test]
async fn panic_resets_only_its_stream() {
    let fragile = async |request: Request<RequestBody>| match request.uri().path() {
        "/panic" => panic!("as asked"),
        _ => text("hello"),
    };
    let server = start(config(|_| {}), fragile).await;
    let (mut client, _connection) = connect(server.address).await;
    let (broken, _) = client.send_request(Request::get("http://a/panic").body(()).unwrap(), true).unwrap();
    assert!(promptly(broken).await.is_err());
    let (response, _) = client.send_request(get(), true).unwrap();
    assert_eq!(promptly(response).await.unwrap().status(), 200);
    assert_eq!(server.counters.panics.load(Relaxed), 1);
}
