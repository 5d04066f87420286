//! The end of the server, and the reasons not to begin.

use crate::server::tests::*;
use crate::server::{Error, ListenError, Server};

#[tokio::test]
async fn request_under_way_is_finished_and_idle_connections_end_at_once() {
    let (announce, mut arrivals) = mpsc::unbounded_channel();
    let server = start(config(|_| {}), move |_| {
        let (response, answered) = oneshot::channel::<()>();
        announce.send(response).unwrap();
        async move {
            answered.await.unwrap();
            text("hello")
        }
    })
    .await;
    let mut silent = send(server.address, "").await;
    let mut idle = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    promptly(arrivals.recv()).await.unwrap().send(()).unwrap();
    until(&mut idle, "hello").await;
    let mut busy = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let response = promptly(arrivals.recv()).await.unwrap();

    server.stop.send(()).unwrap();
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut silent).await, "");
    assert!(TcpStream::connect(server.address).await.is_err());
    response.send(()).unwrap();
    let response = rest(&mut busy).await;
    assert!(response.contains("connection: close") && response.ends_with("hello"), "{response}");
    promptly(server.served).await.unwrap();
}

#[tokio::test]
async fn request_that_outlasts_the_grace_is_dropped() {
    let (service, mut arrivals) = stuck();
    let server = start(config(|limits| limits.shutdown_grace = Duration::from_millis(100)), service).await;
    let _http1 = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let first = arrival(&mut arrivals).await;
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(tcp).await.unwrap();
    let connection = tokio::spawn(connection);
    let (_response, _) = client.send_request(Request::get("http://a/").body(()).unwrap(), true).unwrap();
    let second = arrival(&mut arrivals).await;

    server.stop.send(()).unwrap();
    promptly(server.served).await.unwrap();
    assert!(promptly(first).await.is_err());
    assert!(promptly(second).await.is_err());
    let _ = promptly(connection).await.unwrap();
}

#[tokio::test]
async fn idle_http2_connection_does_not_hold_up_the_end() {
    let server = start(config(|_| {}), hello).await;
    let tcp = TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(tcp).await.unwrap();
    let connection = tokio::spawn(connection);
    let (response, _) = client.send_request(Request::get("http://a/").body(()).unwrap(), true).unwrap();
    promptly(response).await.unwrap();
    server.stop.send(()).unwrap();
    tokio::time::timeout(TIMEOUT / 2, server.served).await.unwrap().unwrap();
    promptly(connection).await.unwrap().unwrap();
}

#[tokio::test]
async fn busy_port_is_an_error_that_names_it() {
    let first = Server::bind(&config(|_| {})).await.unwrap();
    let address = first.addresses()[0];
    assert_eq!(first.urls(), [format!("http://127.0.0.1:{}", address.port())]);
    let mut config = config(|_| {});
    config.listen = vec![ListenAddress::Tcp(address)];
    let error = Server::bind(&config).await.err().unwrap();
    assert!(matches!(error, Error::Listen(ListenError::InUse { .. })));
    assert_eq!(error.to_string(), format!("address {address} is already in use"));
}
