//! Disconnects: what is dropped, how soon, and what a half-closed connection still gets.

use std::time::Instant;

use socket2::SockRef;

use crate::server::tests::*;

/// The longest time from the disconnect to the end of its request.
const DROP_LIMIT: Duration = Duration::from_millis(100);

const UNREAD_POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n";

/// How long it takes until a request is dropped.
async fn until_dropped(dropped: oneshot::Receiver<()>) -> Duration {
    let begun = Instant::now();
    assert!(promptly(dropped).await.is_err());
    begun.elapsed()
}

#[tokio::test]
async fn request_is_dropped_with_its_client() {
    let unread = format!("{UNREAD_POST}{}", "x".repeat(100_000));
    let pipelined = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned();
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), unread, pipelined] {
        let (service, mut arrivals) = stuck();
        let server = start(config(|_| {}), service).await;
        for reset in [false, true] {
            within(DROP_LIMIT, async || {
                let client = send(server.address, &request).await;
                let dropped = arrival(&mut arrivals).await;
                if reset {
                    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
                }
                drop(client);
                until_dropped(dropped).await
            })
            .await;
        }
    }
}

/// Unread bytes are no sign of a disconnect, however many come.
#[tokio::test]
async fn request_with_an_unread_body_stays_with_its_client() {
    let (service, mut arrivals) = stuck();
    let server = start(config(|_| {}), service).await;
    within(DROP_LIMIT, async || {
        let mut client = send(server.address, UNREAD_POST).await;
        let mut dropped = arrival(&mut arrivals).await;
        for _ in 0..20 {
            client.write_all(&[b'x'; 1000]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert!(matches!(dropped.try_recv(), Err(oneshot::error::TryRecvError::Empty)));
        }
        drop(client);
        until_dropped(dropped).await
    })
    .await;
}

#[tokio::test]
async fn response_body_is_dropped_with_its_client() {
    let (announce, mut arrivals) = mpsc::unbounded_channel();
    let server = start(config(|_| {}), move |_| {
        let (alive, dropped) = oneshot::channel::<()>();
        announce.send(dropped).unwrap();
        let body = Trickle { first: Some(Bytes::from_static(b"begun")), _alive: alive };
        async move { Response::new(body.boxed_unsync()) }
    })
    .await;
    within(DROP_LIMIT, async || {
        let mut client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        until(&mut client, "begun").await;
        let dropped = arrival(&mut arrivals).await;
        drop(client);
        until_dropped(dropped).await
    })
    .await;
}

/// A body of one frame that never ends.
struct Trickle {
    first: Option<Bytes>,
    _alive: oneshot::Sender<()>,
}

impl http_body::Body for Trickle {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        match self.first.take() {
            Some(bytes) => Poll::Ready(Some(Ok(http_body::Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn half_closed_connection_gets_a_response_that_is_nearly_ready() {
    let soon = async |_| {
        tokio::time::sleep(Duration::from_millis(10)).await;
        text("hello")
    };
    let server = start(config(|_| {}), soon).await;
    let mut client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.shutdown().await.unwrap();
    assert!(rest(&mut client).await.ends_with("hello"));
}

/// RFC 9112 §9.6: half-closed is not gone. Clients of the kind of `printf ... | nc` close their side at once.
#[tokio::test]
async fn half_closed_connection_gets_a_late_response_to_its_last_request() {
    let late = async |_| {
        tokio::time::sleep(DROP_LIMIT * 3).await;
        text("hello")
    };
    let server = start(config(|_| {}), late).await;
    for request in LAST_REQUESTS {
        let mut client = send(server.address, request).await;
        client.shutdown().await.unwrap();
        assert!(rest(&mut client).await.ends_with("hello"), "{request}");
    }
    let mut client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await, "");
}

pub(super) const LAST_REQUESTS: [&str; 3] = [
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\nContent-Length: 3\r\n\r\nabc",
];

/// A client that half-closes does so at once. One that has waited for a while has left, whatever its last request was.
#[tokio::test]
async fn last_request_is_dropped_with_its_client() {
    let (service, mut arrivals) = stuck();
    let server = start(config(|_| {}), service).await;
    for request in LAST_REQUESTS {
        within(DROP_LIMIT, async || {
            let client = send(server.address, request).await;
            let dropped = arrival(&mut arrivals).await;
            tokio::time::sleep(Duration::from_millis(1100)).await;
            drop(client);
            until_dropped(dropped).await
        })
        .await;
        within(DROP_LIMIT, async || {
            let mut client = send(server.address, request).await;
            let dropped = arrival(&mut arrivals).await;
            client.shutdown().await.unwrap();
            tokio::time::sleep(DROP_LIMIT).await;
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
            drop(client);
            until_dropped(dropped).await
        })
        .await;
    }
}

#[tokio::test]
async fn half_closed_connection_gets_all_of_a_long_response() {
    let long = async |_| text(vec![b'x'; 20 << 20]);
    let server = start(config(|_| {}), long).await;
    let mut client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.shutdown().await.unwrap();
    // Longer than a client that is gone is waited for: this one reads late.
    tokio::time::sleep(DROP_LIMIT).await;
    assert!(rest(&mut client).await.len() > 20 << 20);
}

#[tokio::test]
async fn idle_connection_ends_with_its_client() {
    let server = start(config(|limits| limits.connections = 1), hello).await;
    for _ in 0..10 {
        let mut client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        until(&mut client, "hello").await;
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut client).await, "");
    }
}
