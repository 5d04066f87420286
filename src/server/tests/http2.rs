//! HTTP/2 without TLS: recognised on the same port, with streams that end when they should.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use h2::client::SendRequest;

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
async fn prior_knowledge_is_recognised() {
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
