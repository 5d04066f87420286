//! Calls over TLS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::net::connect::own_addresses::OwnAddresses;
use crate::outbound::tests::*;

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A server for `localhost` that tells the version it is spoken to in.
async fn tls_server(alpn: &[&[u8]]) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_file(fixture("ec.cert.pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(fixture("ec.pkcs8.pem")).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a pair");
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn serve(stream: tokio_rustls::server::TlsStream<TcpStream>) {
    let h2 = stream.get_ref().1.alpn_protocol() == Some(crate::net::tls::ALPN_H2);
    let service = service_fn(|request: ServerRequest| async move {
        let body = format!("{:?} {}", request.version(), request.uri().host().unwrap_or("-"));
        let long = if request.uri().path() == "/long" { 100 * 1024 } else { 0 };
        Ok::<_, Infallible>(answer(200, &[("x-long", &"x".repeat(long))], body))
    });
    let stream = TokioIo::new(stream);
    if h2 {
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await;
    } else {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
    }
}

fn trusting(transport: &Arc<FakeTransport>) -> Client {
    let mut roots = RootCertStore::empty();
    crate::net::tls::add_file(&mut roots, &fixture("ec.cert.pem")).expect("a root");
    let tls = crate::net::tls::verified(roots).expect("TLS");
    let network = Network::with(Handle::current(), tls, transport.clone());
    network.client(allowed(&["localhost", "http://127.0.0.1", "other.example"]), CallLimits::default())
}

#[tokio::test]
async fn http2_is_spoken_where_it_is_offered() {
    for (alpn, expected) in [
        (&[crate::net::tls::ALPN_H2, b"http/1.1"][..], "HTTP/2.0 localhost"),
        (&[b"http/1.1"], "HTTP/1.1 -"),
        (&[], "HTTP/1.1 -"),
    ] {
        let transport = FakeTransport::new(tls_server(alpn).await);
        transport.name("localhost", &["127.0.0.1"]);
        let client = trusting(&transport);
        for _ in 0..2 {
            assert_eq!(text(&get(&client, "https://localhost/").await.expect("an answer")), expected);
        }
        assert_eq!(transport.dialled(), ["127.0.0.1:443"]);
        let answered = get(&client, "https://localhost/long").await;
        let code = answered.map_or_else(|error| error.code(), |_| 0);
        assert_eq!(code, 11);
    }
}

#[tokio::test]
async fn certificates_are_for_the_name_or_address_in_the_url() {
    let transport = FakeTransport::new(tls_server(&[]).await);
    transport.name("other.example", &["93.184.216.34"]);
    let trusting = trusting(&transport);
    get(&trusting, "https://127.0.0.1:8443/").await.expect("an answer");
    let error = get(&trusting, "https://other.example/").await.expect_err("another name");
    assert_eq!(error.code(), 11, "{error}");
    let doubting = client(&transport, &["http://127.0.0.1"]);
    let error = get(&doubting, "https://127.0.0.1/").await.expect_err("no certificate is trusted");
    assert!(matches!(error, Error::Connect { .. }), "{error}");
}

#[tokio::test]
async fn roots_come_from_a_file_that_has_some() {
    let known =
        Network::new(Handle::current(), Some(&fixture("ec.cert.pem")), OwnAddresses::default()).expect("roots").roots();
    let system = Network::new(Handle::current(), None, OwnAddresses::default()).expect("roots").roots();
    assert_eq!(known, system + 1);
    for (file, expected) in [("missing.pem", "cannot read"), ("ec.pkcs8.pem", "there is no certificate")] {
        let error = Network::new(Handle::current(), Some(&fixture(file)), OwnAddresses::default())
            .err()
            .expect(file)
            .to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
