//! HTTP/1 as clients see it: versions, sizes, bodies, and panics of the service.

use http_body_util::BodyExt;

use crate::server::tests::*;
use crate::server::{BodyError, Peer};

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let server = start(config(|_| {}), hello).await;
    let mut client = send(server.address, "GET / HTTP/1.0\r\n\r\n").await;
    let response = rest(&mut client).await;
    assert!(response.starts_with("HTTP/1.0 200 OK\r\n") && response.ends_with("\r\n\r\nhello"), "{response}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let echo = async |request: Request<RequestBody>| text(request.uri().path().to_owned());
    let server = start(config(|_| {}), echo).await;
    let requests = "GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut client = send(server.address, requests).await;
    until(&mut client, "/first").await;
    assert!(until(&mut client, "/second").await.starts_with("HTTP/1.1 200 OK"));
    client.write_all(b"GET /third HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let response = rest(&mut client).await;
    assert!(response.contains("connection: close") && response.ends_with("/third"), "{response}");
}

#[tokio::test]
async fn response_does_not_wait_for_a_half_sent_request() {
    let server = start(config(|_| {}), hello).await;
    let mut client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT").await;
    until(&mut client, "hello").await;
    client.write_all(b"TP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until(&mut client, "hello").await;
}

#[tokio::test]
async fn requests_carry_their_peer() {
    let echo_peer =
        async |request: Request<RequestBody>| text(request.extensions().get::<Peer>().unwrap().remote.to_string());
    let server = start(config(|_| {}), echo_peer).await;
    let mut client = send(server.address, "GET / HTTP/1.0\r\n\r\n").await;
    let own = client.local_addr().unwrap().to_string();
    assert!(rest(&mut client).await.ends_with(&own));
}

#[tokio::test]
async fn heads_over_a_limit_are_refused() {
    let server = start(config(|_| {}), hello).await;
    let field = |bytes: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n", "a".repeat(bytes));
    let fields = |count: usize| format!("GET / HTTP/1.0\r\n{}\r\n", "X-A: a\r\n".repeat(count));
    for (request, status) in [
        (field(40 << 10), "HTTP/1.1 431 "),
        (field(33 << 10), "HTTP/1.1 431 "),
        (field(200 << 10), "HTTP/1.1 431 "),
        (fields(101), "HTTP/1.1 431 "),
        (fields(100), "HTTP/1.0 200 "),
        ("GET / HTTP/1.1\r\nHost: a\r\nX A: a\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
    ] {
        let mut client = send(server.address, &request).await;
        let response = rest(&mut client).await;
        assert!(response.starts_with(status), "{} bytes: {response}", request.len());
    }
    let mut client = send(server.address, field(30 << 10)).await;
    assert!(until(&mut client, "hello").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn continue_is_sent_when_the_service_reads() {
    let read = async |request: Request<RequestBody>| text(request.into_body().collect().await.unwrap().to_bytes());
    let server = start(config(|_| {}), read).await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n";
    let mut client = send(server.address, head).await;
    assert_eq!(until(&mut client, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"abc").await.unwrap();
    assert!(rest(&mut client).await.ends_with("\r\n\r\nabc"));

    let server = start(config(|_| {}), hello).await;
    let mut client = send(server.address, head).await;
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 200 "));
}

/// RFC 9110 §10.1.1: a guest may begin its response and then read.
#[tokio::test]
async fn continue_is_sent_before_the_head_if_the_body_may_still_be_read() {
    let echo = async |request: Request<RequestBody>| {
        Response::new(request.into_body().map_err(std::io::Error::other).boxed_unsync())
    };
    let server = start(config(|_| {}), echo).await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    let mut client = send(server.address, head).await;
    for _ in 0..2 {
        assert_eq!(until(&mut client, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
        assert!(until(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
        client.write_all(b"abc").await.unwrap();
        until(&mut client, "abc").await;
        client.write_all(head.as_bytes()).await.unwrap();
    }
}

/// The client is still sending when the response and the end of the connection are on their way.
#[tokio::test]
async fn refusal_of_an_unfinished_upload_arrives() {
    let refuse = async |_| {
        let mut response = text("too much");
        *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
        response
    };
    let server = start(config(|_| {}), refuse).await;
    let mut upload = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 20 << 20).into_bytes();
    upload.resize(upload.len() + (20 << 20), b'x');
    for _ in 0..5 {
        let mut client = TcpStream::connect(server.address).await.unwrap();
        promptly(client.write_all(&upload)).await.unwrap();
        let mut response = Vec::new();
        promptly(client.read_to_end(&mut response)).await.unwrap();
        let response = String::from_utf8(response).unwrap();
        assert!(response.starts_with("HTTP/1.1 413 ") && response.ends_with("\r\n\r\ntoo much"), "{response}");
    }
}

#[tokio::test]
async fn stalled_upload_fails_the_read() {
    let read = async |request: Request<RequestBody>| match request.into_body().collect().await {
        Err(BodyError::TimedOut) => text("late"),
        other => text(format!("{other:?}")),
    };
    let server = start(config(|limits| limits.body_timeout = Duration::from_millis(100)), read).await;
    let mut client = send(server.address, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc").await;
    assert!(until(&mut client, "late").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn panic_ends_only_its_connection() {
    let fragile = async |request: Request<RequestBody>| match request.uri().path() {
        "/panic" => panic!("as asked"),
        _ => text("hello"),
    };
    let server = start(config(|_| {}), fragile).await;
    let mut client = send(server.address, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(rest(&mut client).await, "");
    let mut client = send(server.address, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(rest(&mut client).await.ends_with("hello"));
    assert_eq!(server.counters.panics.load(std::sync::atomic::Ordering::Relaxed), 1);
}
