//! TLS: which files are accepted, which protocol is agreed on, and that a slow handshake delays no other client.

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::sync::atomic::Ordering::Relaxed;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::server::tests::disconnect::LAST_REQUESTS;
use crate::server::tests::limits::{SHORT, is_served_slowly};
use crate::server::tests::*;
use crate::server::{Error, Server};

const CERT: &str = "ec.cert.pem";

fn secure(cert: &str, key: &str) -> ServerConfig {
    ServerConfig { tls: Some(tls_config(cert, key)), ..config(|_| {}) }
}

async fn connect(address: SocketAddr, cert: &str, protocols: &[&str]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture(cert)).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    promptly(TlsConnector::from(Arc::new(config)).connect(name, tcp)).await.unwrap()
}

async fn assert_answered(mut client: TlsStream<TcpStream>) {
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut response = String::new();
    promptly(client.read_to_string(&mut response)).await.unwrap();
    assert!(response.ends_with("hello"), "{response}");
}

#[tokio::test]
async fn every_kind_of_key_is_accepted() {
    for (cert, key) in [(CERT, "ec.pkcs8.pem"), (CERT, "ec.sec1.pem"), ("rsa.cert.pem", "rsa.pkcs1.pem")] {
        let server = start(secure(cert, key), hello).await;
        assert_answered(connect(server.address, cert, &[]).await).await;
    }
}

#[tokio::test]
async fn http2_is_agreed_on() {
    let server = start(secure(CERT, "ec.pkcs8.pem"), hello).await;
    let client = connect(server.address, CERT, &["h2", "http/1.1"]).await;
    assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) = h2::client::handshake(client).await.unwrap();
    tokio::spawn(connection);
    let (response, _) = client.send_request(Request::get("https://a/").body(()).unwrap(), true).unwrap();
    assert_eq!(promptly(response).await.unwrap().status(), 200);
    assert_answered(connect(server.address, CERT, &["http/1.1"]).await).await;
}

#[tokio::test]
async fn silent_and_vanishing_clients_do_not_harm_others() {
    let mut config = secure(CERT, "ec.pkcs8.pem");
    config.limits.tls_handshake = Duration::from_millis(300);
    let server = start(config, hello).await;
    let mut silent = send(server.address, "").await;
    for _ in 0..20 {
        drop(TcpStream::connect(server.address).await.unwrap());
    }
    let mut plain = send(server.address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_answered(connect(server.address, CERT, &[]).await).await;
    let refused = rest(&mut plain).await;
    assert!(refused.starts_with("HTTP/1.1 400 ") && refused.contains("HTTPS is served here"), "{refused}");
    assert_eq!(rest(&mut silent).await, "");
    assert_eq!(server.counters.handshakes_failed.load(Relaxed), 22);
}

#[tokio::test]
async fn request_is_dropped_with_its_client() {
    let (service, mut arrivals) = stuck();
    let server = start(secure(CERT, "ec.pkcs8.pem"), service).await;
    let mut client = connect(server.address, CERT, &[]).await;
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\nxxxxx").await.unwrap();
    client.flush().await.unwrap();
    let dropped = arrival(&mut arrivals).await;
    drop(client);
    let outcome = tokio::time::timeout(Duration::from_millis(100), dropped).await;
    assert!(outcome.expect("late").is_err());
}

/// RFC 9112 §9.6, for clients of the kind of `printf ... | openssl s_client`: some say in TLS that they send nothing more, others
/// only close their side of the connection.
#[tokio::test]
async fn half_closed_connection_gets_a_late_response_to_its_last_request() {
    let late = async |_| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        text("hello")
    };
    let server = start(secure(CERT, "ec.pkcs8.pem"), late).await;
    for request in LAST_REQUESTS {
        for says_so in [true, false] {
            let mut client = connect(server.address, CERT, &[]).await;
            client.write_all(request.as_bytes()).await.unwrap();
            client.flush().await.unwrap();
            match says_so {
                true => client.shutdown().await.unwrap(),
                false => client.get_mut().0.shutdown().await.unwrap(),
            }
            let mut response = String::new();
            promptly(client.read_to_string(&mut response)).await.unwrap();
            assert!(response.ends_with("hello"), "{request} {says_so}: {response}");
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[tokio::test]
async fn client_that_reads_slowly_but_steadily_is_served() {
    let flood = async |_| text(vec![b'x'; 64 << 20]);
    let mut config = secure(CERT, "ec.pkcs8.pem");
    config.limits.send_timeout = SHORT * 6;
    let server = start(config, flood).await;
    for _ in 0..ATTEMPTS {
        let mut client = connect(server.address, CERT, &[]).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        client.flush().await.unwrap();
        if is_served_slowly(&server, client).await {
            return;
        }
    }
    panic!("cut each time");
}

#[tokio::test]
async fn unusable_files_are_named() {
    for (cert, key, expected) in [
        ("absent.pem", "ec.pkcs8.pem", "cannot read the TLS certificate file `"),
        (CERT, "absent.pem", "cannot read the TLS key file `"),
        (CERT, CERT, "the TLS key file `"),
        ("ec.pkcs8.pem", "ec.pkcs8.pem", "the TLS certificate file `"),
        (CERT, "rsa.pkcs1.pem", "the TLS key `"),
    ] {
        let error = Server::bind(&secure(cert, key)).await.err().unwrap();
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(error.help().is_some(), "{error}");
    }
    let mismatch = Server::bind(&secure(CERT, "rsa.pkcs1.pem")).await.err().unwrap();
    assert!(matches!(mismatch, Error::KeyMismatch { .. }));
}
