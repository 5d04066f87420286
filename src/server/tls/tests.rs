//! TLS without a socket: which certificate a client gets, who is let in, and what a replacement changes.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};

use crate::config::{ClientAuth, TlsFiles};
use crate::server::tls::*;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn files(cert: &str, key: &str) -> TlsFiles {
    TlsFiles::new(fixture(cert), fixture(key))
}

/// The certificate for `localhost`, and what clients have to show.
fn asking(client_auth: ClientAuth, client_ca: &str) -> TlsConfig {
    let client_ca = Some(fixture(client_ca));
    TlsConfig { client_ca, client_auth, ..TlsConfig::new(files("ec.cert.pem", "ec.pkcs8.pem")) }
}

/// A client that has a certificate and remembers its sessions.
fn client(certificate: Option<&str>, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in ["ec.cert.pem", "rsa.cert.pem"] {
        roots.add(CertificateDer::from_pem_file(fixture(root)).unwrap()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = vec![CertificateDer::from_pem_file(fixture(name)).unwrap()];
            builder
                .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(fixture("client.key.pem")).unwrap())
                .unwrap()
        }
    };
    config.resumption = Resumption::in_memory_sessions(8);
    Arc::new(config)
}

/// What both ends know of a connection over which a byte has come back.
#[derive(Debug)]
struct Connected {
    is_resumed: bool,
    identity: Option<ClientIdentity>,
}

async fn connect(tls: &ActiveTls, client: &Arc<ClientConfig>) -> io::Result<Connected> {
    let (near, far) = tokio::io::duplex(64 << 10);
    let serving = async {
        let (mut stream, identity) = tls.accept(far).await?;
        stream.write_all(b"x").await?;
        stream.shutdown().await?;
        Ok::<_, io::Error>(identity)
    };
    let asking = async {
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(Arc::clone(client)).connect(name, near).await?;
        let read = stream.read_u8().await.map(|_| ());
        Ok::<_, io::Error>((stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed), read))
    };
    let (served, asked) = tokio::join!(serving, asking);
    let identity = served?;
    let (is_resumed, read) = asked?;
    read.map(|()| Connected { is_resumed, identity })
}

fn verified(subject: &str) -> Option<ClientIdentity> {
    Some(ClientIdentity::Verified { subject: subject.into() })
}

#[tokio::test]
async fn clients_are_let_in_by_their_certificates() {
    const ALICE: Option<&str> = Some("CN=alice,O=Example");
    let anonymous = Some(ClientIdentity::Anonymous);
    for version in [&TLS12, &TLS13] {
        for (auth, certificate, expected) in [
            (ClientAuth::None, None, Some(None)),
            (ClientAuth::None, Some("client-alice"), Some(None)),
            (ClientAuth::None, Some("client-foreign"), Some(None)),
            (ClientAuth::Request, None, Some(anonymous.clone())),
            (ClientAuth::Request, Some("client-alice"), Some(ALICE.and_then(verified))),
            (ClientAuth::Request, Some("client-foreign"), None),
            (ClientAuth::Request, Some("client-expired"), None),
            (ClientAuth::Request, Some("client-early"), None),
            (ClientAuth::Request, Some("client-for-servers"), None),
            (ClientAuth::Require, None, None),
            (ClientAuth::Require, Some("client-alice"), Some(ALICE.and_then(verified))),
            (ClientAuth::Require, Some("client-foreign"), None),
            (ClientAuth::Require, Some("client-expired"), None),
            (ClientAuth::Require, Some("client-early"), None),
            (ClientAuth::Require, Some("client-for-servers"), None),
        ] {
            let tls = ActiveTls::load(&asking(auth, "client-ca.cert.pem"), None).unwrap();
            let file = certificate.map(|name| format!("{name}.cert.pem"));
            let connected = connect(&tls, &client(file.as_deref(), version)).await;
            let identity = connected.map(|connected| connected.identity).ok();
            assert_eq!(identity, expected, "{auth:?} {certificate:?} {version:?}");
        }
    }
}

#[tokio::test]
async fn sessions_go_on_where_the_same_clients_are_let_in() {
    let require = |ca| asking(ClientAuth::Require, ca);
    let other_certificate =
        TlsConfig { default: files("rsa.cert.pem", "rsa.pkcs1.pem"), ..require("client-ca.cert.pem") };
    let request = asking(ClientAuth::Request, "client-ca.cert.pem");
    let none = asking(ClientAuth::None, "client-ca.cert.pem");
    let plain = TlsConfig::new(files("ec.cert.pem", "ec.pkcs8.pem"));
    for version in [&TLS12, &TLS13] {
        for (before, after, goes_on) in [
            (require("client-ca.cert.pem"), require("client-ca.cert.pem"), true),
            // In TLS 1.2 a session belongs to a kind of key.
            (require("client-ca.cert.pem"), other_certificate.clone(), version == &TLS13),
            (require("client-ca.cert.pem"), request.clone(), false),
            (request.clone(), require("client-ca.cert.pem"), false),
            (none.clone(), require("client-ca.cert.pem"), false),
            (none.clone(), plain.clone(), true),
            (plain.clone(), plain.clone(), true),
        ] {
            let tls = ServerTls::load(Some(&before)).unwrap();
            let client = client(Some("client-alice.cert.pem"), version);
            assert!(!connect(&tls.current().unwrap(), &client).await.unwrap().is_resumed);
            assert!(connect(&tls.current().unwrap(), &client).await.unwrap().is_resumed);
            let old = tls.current().unwrap();
            let prepared = tls.prepare(Some(&after)).unwrap();
            tls.replace(prepared);
            let connected = connect(&tls.current().unwrap(), &client).await.unwrap();
            assert_eq!(connected.is_resumed, goes_on, "{version:?} {before:?} {after:?}");
            let identity = if after.client_auth == ClientAuth::None { None } else { verified("CN=alice,O=Example") };
            assert_eq!(connected.identity, identity);
            // A connection that began before the replacement goes on as it began.
            connect(&old, &client).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_client_that_another_authority_has_signed_is_refused_after_a_replacement() {
    for version in [&TLS12, &TLS13] {
        let tls = ServerTls::load(Some(&asking(ClientAuth::Require, "client-ca.cert.pem"))).unwrap();
        let client = client(Some("client-alice.cert.pem"), version);
        connect(&tls.current().unwrap(), &client).await.unwrap();
        tls.replace(tls.prepare(Some(&asking(ClientAuth::Require, "client-ca-other.cert.pem"))).unwrap());
        connect(&tls.current().unwrap(), &client).await.expect_err("it is refused");
    }
}

#[tokio::test]
async fn the_certificate_of_a_session_that_goes_on_is_verified_again() {
    for version in [&TLS12, &TLS13] {
        let old = ActiveTls::load(&asking(ClientAuth::Require, "client-ca.cert.pem"), None).unwrap();
        let client = client(Some("client-alice.cert.pem"), version);
        connect(&old, &client).await.unwrap();
        // The certificate may have expired since then. Another authority stands for that here.
        let mut new = ActiveTls::load(&asking(ClientAuth::Require, "client-ca-other.cert.pem"), None).unwrap();
        new.config = Arc::clone(&old.config);
        let error = connect(&new, &client).await.expect_err("it is refused");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{version:?} {error}");
    }
}

#[test]
fn what_cannot_be_prepared_changes_nothing() {
    let good = TlsConfig::new(files("ec.cert.pem", "ec.pkcs8.pem"));
    let tls = ServerTls::load(Some(&good)).unwrap();
    let before = tls.current().unwrap();
    for (bad, is_transient) in [
        (TlsConfig { others: vec![files("ec.cert.pem", "rsa.pkcs1.pem")], ..good.clone() }, true),
        (TlsConfig { others: vec![files("no/such.pem", "ec.pkcs8.pem")], ..good.clone() }, true),
        (TlsConfig { others: vec![files("certificates.sh", "ec.pkcs8.pem")], ..good.clone() }, true),
        (TlsConfig { others: vec![files("ec.pkcs8.pem", "ec.cert.pem")], ..good.clone() }, false),
        (TlsConfig { others: vec![files("version1.cert.pem", "ec.pkcs8.pem")], ..good.clone() }, false),
        (asking(ClientAuth::None, "ec.pkcs8.pem"), false),
        (TlsConfig { client_auth: ClientAuth::Require, ..good.clone() }, false),
    ] {
        let error = tls.prepare(Some(&bad)).err().unwrap_or_else(|| panic!("{bad:?}"));
        assert_eq!(error.is_transient(), is_transient, "{error}");
        assert!(Arc::ptr_eq(&before, &tls.current().unwrap()));
    }
    tls.replace(tls.prepare(None).unwrap());
    assert!(tls.current().is_none());
    tls.replace(tls.prepare(Some(&good)).unwrap());
    assert_eq!(tls.current().unwrap().certificates().len(), 1);
}

#[test]
fn the_certificates_that_clients_get_are_listed() {
    let mut config = TlsConfig::new(files("rsa.cert.pem", "rsa.pkcs1.pem"));
    config.others = vec![files("sni-names.cert.pem", "ec.pkcs8.pem")];
    let tls = ActiveTls::load(&config, None).unwrap();
    let listed = tls.certificates().iter().map(|own| (own.subject.as_str(), humantime::format_rfc3339(own.not_after)));
    let listed: Vec<_> = listed.map(|(subject, time)| format!("{subject} {time}")).collect();
    assert_eq!(listed, ["CN=localhost 2126-10-28T07:47:33Z", "CN=names 2125-12-31T23:59:59Z"]);
}
