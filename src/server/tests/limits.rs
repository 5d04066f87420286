//! Limits of time and number: clients that are slow, silent or too many.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use crate::server::tests::*;

const SHORT: Duration = Duration::from_millis(200);

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
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(SHORT / 10).await;
    }
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(server.tally.timed_out.load(Relaxed), 1);
}

#[tokio::test]
async fn dripped_head_of_a_later_request_is_closed_too() {
    let server = start(config(|limits| limits.header_timeout = SHORT), hello).await;
    let mut client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until(&mut client, "hello").await;
    client.write_all(b"GET / HT").await.unwrap();
    assert_eq!(rest(&mut client).await, "");
}

#[tokio::test]
async fn idle_connection_is_closed_but_not_early() {
    let server = start(config(|limits| limits.keep_alive = SHORT), hello).await;
    let mut client = send(server.address, "").await;
    for _ in 0..3 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        until(&mut client, "hello").await;
        tokio::time::sleep(SHORT / 2).await;
    }
    let begun = Instant::now();
    assert_eq!(rest(&mut client).await, "");
    assert!(begun.elapsed() < SHORT * 2);
}

#[tokio::test]
async fn client_that_takes_nothing_is_cut() {
    let flood = async |_| text(vec![b'x'; 64 << 20]);
    let server = start(config(|limits| limits.send_timeout = SHORT), flood).await;
    let client = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    promptly(async {
        while server.tally.timed_out.load(Relaxed) == 0 {
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
    assert!(begun.elapsed() < PATIENCE / 2);
}
