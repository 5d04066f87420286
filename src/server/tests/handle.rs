//! A server that is changed while it serves: listeners that come, stay and go.

use crate::server::tests::*;
use crate::server::{Error, ListenError, Prepared, ServerHandle};

fn listening(addresses: &[SocketAddr]) -> ServerConfig {
    let listen = addresses.iter().map(|address| ListenAddress::Tcp(*address)).collect();
    ServerConfig { listen, ..config(|_| {}) }
}

/// A port that nothing listens on.
fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn is_answered(address: SocketAddr) -> bool {
    let Ok(mut client) = TcpStream::connect(address).await else { return false };
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    rest(&mut client).await.ends_with("hello")
}

fn prepared(handle: &ServerHandle, addresses: &[SocketAddr]) -> Prepared {
    handle.prepare(&listening(addresses)).unwrap()
}

#[tokio::test]
async fn listeners_come_and_go_and_connections_of_those_that_stay_are_untouched() {
    let [first, second] = [free(), free()];
    let server = start(listening(&[first]), hello).await;
    let handle = server.handle.clone();
    let mut kept = send(first, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until(&mut kept, "hello").await;
    prepared(&handle, &[second, first]).commit();
    assert_eq!(handle.addresses(), [second, first]);
    assert!(is_answered(second).await && is_answered(first).await);
    kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    until(&mut kept, "hello").await;

    let mut gone = send(second, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    until(&mut gone, "hello").await;
    prepared(&handle, &[first]).commit();
    assert_eq!(rest(&mut gone).await, "");
    assert!(TcpStream::connect(second).await.is_err());
    kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(rest(&mut kept).await.ends_with("hello"));
    server.stop.send(()).unwrap();
    promptly(server.served).await.unwrap();
}

#[tokio::test]
async fn requests_under_way_at_a_listener_that_goes_are_finished() {
    let (announce, mut arrivals) = mpsc::unbounded_channel();
    let [first, second] = [free(), free()];
    let server = start(listening(&[first, second]), move |_| {
        let (response, answered) = oneshot::channel::<()>();
        announce.send(response).unwrap();
        async move {
            answered.await.unwrap();
            text("hello")
        }
    })
    .await;
    let mut busy = send(second, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let response = promptly(arrivals.recv()).await.unwrap();
    prepared(&server.handle, &[first]).commit();
    while TcpStream::connect(second).await.is_ok() {
        tokio::task::yield_now().await;
    }
    response.send(()).unwrap();
    let response = rest(&mut busy).await;
    assert!(response.contains("connection: close") && response.ends_with("hello"), "{response}");
}

#[tokio::test]
async fn what_is_not_committed_or_cannot_be_prepared_changes_nothing() {
    let [first, second] = [free(), free()];
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = start(listening(&[first]), hello).await;
    drop(prepared(&server.handle, &[second]));
    assert!(TcpStream::connect(second).await.is_err());
    assert!(server.handle.prepare(&listening(&[second, holder.local_addr().unwrap()])).is_err());
    let tls = Some(tls_config("ec.cert.pem", "missing.pem"));
    assert!(server.handle.prepare(&ServerConfig { tls, ..listening(&[second]) }).is_err());
    assert!(TcpStream::connect(second).await.is_err());
    assert!(is_answered(first).await);
}

#[tokio::test]
async fn the_server_itself_may_be_the_one_that_has_an_address() {
    let [first, second] = [free(), free()];
    let server = start(listening(&[first]), hello).await;
    let all = SocketAddr::from(([0, 0, 0, 0], first.port()));
    for addresses in [&[all][..], &[first, all]] {
        let error = server.handle.prepare(&listening(addresses)).map(drop).unwrap_err();
        let holder = ListenAddress::Tcp(first);
        let Error::Listen(ListenError::HeldByServer { address, holder: found }) = &error else { panic!("{error}") };
        assert_eq!((address, found), (&ListenAddress::Tcp(all), &holder));
        assert!(error.help().is_some_and(|help| help.contains("restart the server")));
    }
    let other = std::net::TcpListener::bind(second).unwrap();
    let error = server.handle.prepare(&listening(&[first, second])).map(drop).unwrap_err();
    assert!(matches!(error, Error::Listen(ListenError::InUse { .. })), "{error}");
    drop(other);
    assert!(is_answered(first).await);
}

#[tokio::test]
async fn a_server_that_stops_takes_no_changes() {
    let [first, second] = [free(), free()];
    let server = start(listening(&[first]), hello).await;
    let prepared = prepared(&server.handle, &[second]);
    server.stop.send(()).unwrap();
    promptly(server.served).await.unwrap();
    prepared.commit();
    assert!(server.handle.addresses().is_empty());
    assert!(TcpStream::connect(second).await.is_err());
}
