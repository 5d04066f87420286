//! Limits of time and number: clients that are slow, silent or too many.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use tokio::io::AsyncRead;

use crate::server::tests::*;

pub(super) const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn silent_client_is_closed() {
    let server = start(config(|limits| limits.header_timeout = SHORT), hello).await;
    let mut client = send(server.address, "").await;
    assert_eq!(rest(&mut client).await, "");
}

#[tokio::test]
async fn dripped_head_is_closed_after_the_total_time() {
    let server = start(config(|limits| limits.header_timeout = SHORT), hello).await;
    let begun = Instant::now();
    let mut client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\nX-A: ").await;
    while client.write_all(b"a").await.is_ok() {
        assert!(begun.elapsed() < TIMEOUT);
        tokio::time::sleep(SHORT / 10).await;
    }
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(server.counters.timed_out.load(Relaxed), 1);
}

#[tokio::test]
async fn dripped_head_of_a_later_request_is_closed_too() {
    let server = start(config(|limits| limits.header_timeout = SHORT), hello).await;
    let mut client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until(&mut client, "hello").await;
    client.write_all(b"GET / HT").await.unwrap();
    assert_eq!(rest(&mut client).await, "");
}

/// A client that uses its connection for longer than that may be idle, with pauses that are not too long, and when it sent
/// its last request; `None` if the machine did not let it keep the pace.
async fn busy_client(address: SocketAddr) -> Option<(TcpStream, Instant)> {
    let mut client = send(address, "").await;
    let begun = Instant::now();
    let mut used = Instant::now();
    while begun.elapsed() < SHORT * 3 / 2 {
        let idle_since = used;
        used = Instant::now();
        let sent = client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let answered = sent.is_ok() && promptly(client.read_u8()).await.is_ok();
        if !answered {
            assert!(idle_since.elapsed() >= SHORT, "closed after {:?}", idle_since.elapsed());
            return None;
        }
        until(&mut client, "hello").await;
        tokio::time::sleep(SHORT / 4).await;
    }
    Some((client, used))
}

#[tokio::test]
async fn idle_connection_is_closed_but_not_early() {
    let server = start(config(|limits| limits.keep_alive = SHORT), hello).await;
    within(SHORT * 2, async || {
        let Some((mut client, used)) = busy_client(server.address).await else { return TIMEOUT };
        assert_eq!(rest(&mut client).await, "");
        assert!(used.elapsed() >= SHORT, "closed after {:?}", used.elapsed());
        used.elapsed()
    })
    .await;
}

#[tokio::test]
async fn client_that_takes_nothing_is_cut() {
    let flood = async |_| text(vec![b'x'; 64 << 20]);
    let server = start(config(|limits| limits.send_timeout = SHORT), flood).await;
    let client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    promptly(async {
        while server.counters.timed_out.load(Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    drop(client);
}

#[tokio::test]
async fn idle_connections_make_room_when_the_server_is_full() {
    let server = start(config(|limits| limits.connections = 2), hello).await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        until(&mut client, "hello").await;
        idle.push(client);
    }
    let begun = Instant::now();
    let mut client = send(server.address, "GET / HTTP/1.0\r\n\r\n").await;
    assert!(rest(&mut client).await.ends_with("hello"));
    assert!(begun.elapsed() < TIMEOUT / 2);
}

/// Says that it has begun, and goes on for ever, if the path is `/wait`.
async fn wait_or_greet(request: Request<RequestBody>, began: mpsc::Sender<()>) -> TestResponse {
    if request.uri().path() == "/wait" {
        began.send(()).await.expect("the test waits for it");
        std::future::pending::<()>().await;
    }
    text("hello")
}

/// Clients that send nothing, a part of a head, or a request that is answered. Those with an open request stay.
#[tokio::test]
async fn the_oldest_connection_without_a_request_makes_room_where_that_is_the_rule() {
    for begin in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let config = ServerConfig { when_full: WhenFull::CloseOldest, ..config(|limits| limits.connections = 3) };
        let (began, mut begun) = mpsc::channel(1);
        let server = start(config, move |request| wait_or_greet(request, began.clone())).await;
        let mut busy = send(server.address, "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n").await;
        promptly(begun.recv()).await;
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = send(server.address, begin).await;
            if begin.ends_with('\n') {
                until(&mut client, "hello").await;
            }
            clients.push(client);
        }
        let mut client = send(server.address, "GET / HTTP/1.0\r\n\r\n").await;
        assert!(rest(&mut client).await.ends_with("hello"), "{begin}");
        for mut gone in clients.drain(..19) {
            assert!(!rest(&mut gone).await.contains("200"), "{begin}");
        }
        let mut byte = [0];
        let quiet = tokio::time::timeout(SHORT, busy.read(&mut byte)).await;
        assert!(quiet.is_err(), "{begin}: the open request was ended");
    }
}

/// Reads a few kilobytes of a long response now and then, for several times as long as a client may take nothing. Returns
/// whether the server kept the connection.
pub(super) async fn is_served_slowly(server: &Running, mut client: impl AsyncRead + Unpin) -> bool {
    let before = server.counters.timed_out.load(Relaxed);
    let begun = Instant::now();
    while begun.elapsed() < SHORT * 20 {
        promptly(client.read(&mut [0; 8 << 10])).await.unwrap();
        tokio::time::sleep(SHORT / 5).await;
    }
    server.counters.timed_out.load(Relaxed) == before
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[tokio::test]
async fn client_that_reads_slowly_but_steadily_is_served() {
    let flood = async |_| text(vec![b'x'; 64 << 20]);
    let server = start(config(|limits| limits.send_timeout = SHORT * 6), flood).await;
    for _ in 0..ATTEMPTS {
        let client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        if is_served_slowly(&server, client).await {
            return;
        }
    }
    panic!("cut each time");
}
