//! Clients that ask all the time, and check each answer.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::Request;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

const KEEP_ALIVE: usize = 32;
const HTTP_2: usize = 4;
const STREAMS: usize = 8;

/// How often each client asks: the reloads are measured, not the clients.
const PAUSE: Duration = Duration::from_millis(5);

/// Clients that ask until they are told to stop.
pub struct Clients {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    tasks: JoinSet<Result<()>>,
}

impl Clients {
    pub fn start(plain: SocketAddr, secure: SocketAddr) -> Self {
        let (stop, answers, mut tasks) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default(), JoinSet::new());
        let told = Told { stop: stop.clone(), answers: answers.clone() };
        for _ in 0..KEEP_ALIVE {
            tasks.spawn(keep_alive(plain, told.clone()));
        }
        for _ in 0..HTTP_2 {
            tasks.spawn(over_http_2(plain, told.clone()));
        }
        for _ in 0..STREAMS {
            tasks.spawn(streams(plain, told.clone()));
        }
        tasks.spawn(handshakes(secure, told));
        Self { stop, answers, tasks }
    }

    /// Stops all of them. Fails if one request has failed.
    pub async fn end(mut self) -> Result<usize> {
        self.stop.store(true, Relaxed);
        while let Some(ended) = self.tasks.join_next().await {
            ended??;
        }
        Ok(self.answers.load(Relaxed))
    }
}

#[derive(Clone)]
struct Told {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
}

impl Told {
    async fn goes_on(&self) -> bool {
        self.answers.fetch_add(1, Relaxed);
        tokio::time::sleep(PAUSE).await;
        !self.stop.load(Relaxed)
    }
}

async fn keep_alive(address: SocketAddr, told: Told) -> Result<()> {
    let (mut socket, mut last) = (TcpStream::connect(address).await?, 0);
    while told.goes_on().await {
        let (named, body) = get(&mut socket, "/", "keep-alive").await?;
        ensure!(named == body, "{named} in the head, {body} in the body");
        let now: u32 = named.parse()?;
        ensure!(now >= last, "{now} after {last}");
        last = now;
    }
    Ok(())
}

async fn streams(address: SocketAddr, told: Told) -> Result<()> {
    while told.goes_on().await {
        let mut socket = TcpStream::connect(address).await?;
        let (named, body) = get(&mut socket, "/stream", "close").await?;
        let lines: Vec<&str> = body.lines().filter(|line| line.len() >= named.len() && *line != "0").collect();
        ensure!(lines.iter().filter(|line| **line == named).count() >= 100, "{named}: {body}");
    }
    Ok(())
}

async fn over_http_2(address: SocketAddr, told: Told) -> Result<()> {
    let (mut client, connection) = h2::client::handshake(TcpStream::connect(address).await?).await?;
    tokio::spawn(connection);
    while told.goes_on().await {
        client = client.ready().await?;
        let (answer, _) = client.send_request(Request::get(format!("http://{address}/")).body(())?, true)?;
        let answer = answer.await?;
        let named = answer.headers().get("x-generation").context("the field is there")?.clone();
        let (mut body, mut text) = (answer.into_body(), Vec::new());
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            text.extend_from_slice(&piece);
        }
        ensure!(named.as_bytes() == text, "{named:?} in the head, {text:?} in the body");
    }
    Ok(())
}

/// Connections over TLS, one for each request, to a server with either certificate.
async fn handshakes(address: SocketAddr, told: Told) -> Result<()> {
    let mut roots = RootCertStore::empty();
    for name in ["ec.cert.pem", "rsa.cert.pem"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        roots.add(CertificateDer::from_pem_file(path)?)?;
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    while told.goes_on().await {
        let socket = TcpStream::connect(address).await?;
        let mut socket = connector.connect(ServerName::try_from("localhost")?, socket).await?;
        let (named, body) = get(&mut socket, "/", "keep-alive").await?;
        ensure!(named == body, "{named} in the head, {body} in the body");
        // The server may have closed the connection first.
        let _ = socket.shutdown().await;
    }
    Ok(())
}

/// Asks, and returns the generation that the head names, and the body.
async fn get<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut S,
    path: &str,
    connection: &str,
) -> Result<(String, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = socket.read(&mut piece).await?;
        answer.extend_from_slice(piece.get(..read).unwrap_or_default());
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            ensure!(read > 0, "the answer is cut: {text}");
            continue;
        };
        let field = |name: &str| {
            head.lines().find_map(|line| line.split_once(": ").filter(|field| field.0.eq_ignore_ascii_case(name)))
        };
        let is_whole = match field("content-length") {
            Some((_, length)) => body.len() == length.parse::<usize>()?,
            None => body.ends_with("0\r\n\r\n"),
        };
        if is_whole {
            ensure!(head.starts_with("HTTP/1.1 200 "), "{head}");
            let named = field("x-generation").map(|(_, value)| value.to_owned()).unwrap_or_default();
            return Ok((named, body.to_owned()));
        }
        ensure!(read > 0, "the answer is cut: {text}");
    }
}

/// How long each of many requests for the greeting takes.
pub async fn latencies(address: SocketAddr, time: Duration) -> Result<Vec<Duration>> {
    let (mut socket, began, mut latencies) = (TcpStream::connect(address).await?, Instant::now(), Vec::new());
    while began.elapsed() < time {
        let asked = Instant::now();
        get(&mut socket, "/0", "keep-alive").await?;
        latencies.push(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(latencies)
}

pub fn percentile(mut latencies: Vec<Duration>, percent: usize) -> Duration {
    latencies.sort_unstable();
    latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default()
}
