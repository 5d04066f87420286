//! A signal while clients ask without a pause: every request that was accepted is answered, over each protocol and each kind
//! of socket.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use http::Request;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::process::{self, Wagi};
use crate::support::site::Site;
use crate::support::{LONG, alone};

/// How often a server is stopped, and how many requests each kind of client gets answered before.
const ROUNDS: usize = 8;
const WARM: usize = 40;

/// Where a client connects to.
#[derive(Clone)]
enum Target {
    Tcp(SocketAddr),
    Tls(SocketAddr, TlsConnector),
    Unix(PathBuf),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

type Connection = BufReader<Box<dyn Stream>>;

impl Target {
    /// A connection; an error if the server does not listen any more, or leaves before anything is sent.
    async fn connect(&self) -> io::Result<Connection> {
        let stream: Box<dyn Stream> = match self {
            Self::Tcp(address) => Box::new(TcpStream::connect(address).await?),
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tls(address, connector) => {
                let tcp = TcpStream::connect(address).await?;
                let name = ServerName::try_from("localhost").expect("a name");
                Box::new(connector.connect(name, tcp).await?)
            }
        };
        Ok(BufReader::new(stream))
    }
}

fn connector() -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let cert = format!("{}/tests/fixtures/ec.cert.pem", env!("CARGO_MANIFEST_DIR"));
    roots.add(CertificateDer::from_pem_file(cert).expect("a certificate")).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Sends a request and reads the whole answer. Returns whether another request may follow.
async fn ask(connection: &mut Connection) -> io::Result<bool> {
    connection.write_all(b"GET /args HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    let (mut length, mut goes_on, mut line) = (0, true, String::new());
    loop {
        line.clear();
        if connection.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let lower = line.trim().to_ascii_lowercase();
        match lower.split_once(':') {
            Some(("content-length", value)) => length = value.trim().parse().expect("a number"),
            Some(("connection", value)) => goes_on = value.trim() != "close",
            None if lower.is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    assert_eq!(body, b"\"/args\"\n");
    Ok(goes_on)
}

/// Asks until the server is gone. Returns how many requests were lost.
async fn client(target: Target, keep_alive: bool, answered: Arc<AtomicUsize>) -> Vec<io::Error> {
    let mut lost = Vec::new();
    while let Ok(mut connection) = target.connect().await {
        loop {
            match timeout(LONG, ask(&mut connection)).await.expect("an answer in time") {
                Ok(goes_on) => {
                    answered.fetch_add(1, Relaxed);
                    if !goes_on || !keep_alive {
                        break;
                    }
                }
                Err(error) => {
                    lost.push(error);
                    break;
                }
            }
        }
    }
    lost
}

/// The same over one connection of HTTP/2, whose end the server announces.
async fn http2_client(address: SocketAddr, answered: Arc<AtomicUsize>) -> Vec<io::Error> {
    let tcp = TcpStream::connect(address).await.expect("the server listens");
    let (mut client, connection) = h2::client::handshake(tcp).await.expect("the server speaks HTTP/2");
    let connection = tokio::spawn(connection);
    let mut lost = Vec::new();
    while let Ok(ready) = client.clone().ready().await {
        client = ready;
        let Ok((response, _)) = client.send_request(Request::get("http://localhost/args").body(()).unwrap(), true)
        else {
            break;
        };
        match timeout(LONG, response).await.expect("an answer in time") {
            Ok(response) => {
                assert_eq!(response.status(), 200);
                answered.fetch_add(1, Relaxed);
            }
            // RFC 9113 §6.8: a request beyond the last one that the server names was not accepted.
            Err(error) if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) => break,
            Err(error) if error.reason() == Some(h2::Reason::REFUSED_STREAM) => break,
            Err(error) => {
                lost.push(io::Error::other(error));
                break;
            }
        }
    }
    drop(client);
    let _ = connection.await;
    lost
}

fn start() -> (Wagi, PathBuf) {
    let fixture = |name: &str| format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let tls = format!(
        "[tls]\ncertificates = [{{ cert = '{}', key = '{}' }}]\n",
        fixture("ec.cert.pem"),
        fixture("ec.pkcs8.pem")
    );
    let listen = "[server]\nlisten = ['127.0.0.1:0', 'http:127.0.0.1:0', 'unix:web.sock']\n";
    let site = Site::probe("").top(&format!("{listen}{tls}"));
    site.write();
    let mut command = process::command(site.path());
    let wagi = Wagi::spawn(command.args(["-c", "modules.toml"])).keeping(site.into_directory());
    let socket = Path::join(wagi.directory(), "web.sock");
    (wagi, socket)
}

#[test]
fn every_request_that_was_accepted_is_answered() {
    let _alone = alone();
    tokio::runtime::Runtime::new().expect("threads").block_on(stop_under_load());
}

async fn stop_under_load() {
    let mut all = 0;
    for round in 0..ROUNDS {
        let (mut wagi, socket) = start();
        let [secure, plain] = wagi.addresses()[..] else { panic!("two ports: {}", wagi.url()) };
        let targets = [Target::Tcp(plain), Target::Tls(secure, connector()), Target::Unix(socket)];
        let mut clients = Vec::new();
        let mut kinds = Vec::new();
        for (number, target) in targets.into_iter().enumerate() {
            for keep_alive in [true, true, false] {
                let answered = Arc::new(AtomicUsize::new(0));
                kinds.push((format!("{number} {keep_alive}"), Arc::clone(&answered)));
                clients.push(tokio::spawn(client(target.clone(), keep_alive, answered)));
            }
        }
        let answered = Arc::new(AtomicUsize::new(0));
        kinds.push(("http/2".to_owned(), Arc::clone(&answered)));
        clients.push(tokio::spawn(http2_client(plain, answered)));
        let warm = async {
            while kinds.iter().any(|(_, answered)| answered.load(Relaxed) < WARM) {
                tokio::task::yield_now().await;
            }
        };
        timeout(LONG, warm).await.expect("all clients are answered");
        wagi.signal("TERM");
        for (client, (kind, _)) in clients.into_iter().zip(&kinds) {
            let lost = client.await.expect("a client");
            assert!(lost.is_empty(), "round {round}, {kind}: {lost:?}\n{}", wagi.log());
        }
        assert_eq!(wagi.ended().code(), Some(0), "{}", wagi.log());
        all += kinds.iter().map(|(_, answered)| answered.load(Relaxed)).sum::<usize>();
    }
    eprintln!("{all} requests in {ROUNDS} rounds");
}
