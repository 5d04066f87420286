//! What do others notice of a thousand clients that send their bodies one byte at a time?
//!
//! ```sh
//! cargo run --release --example uploads [SECONDS]
//! ```
//!
//! Starts a gateway with a greeting, six modules and a component that read what they are sent. Ten addresses of loopback send
//! a thousand uploads between them, half over HTTP/1 and half over HTTP/2, one byte each ten seconds; one that the server
//! ends is begun again. Meanwhile the greeting is asked for 400 times, from one of these addresses and from another, and
//! honest clients send 4 KiB a second for a minute.

#![expect(clippy::print_stdout, reason = "it speaks to the terminal")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use wagi::config::{Config, ListenAddress, Options, Source};
use wagi::fetch::Silent;
use wagi::observe::LogWriter;
use wagi::server::Server;
use wagi::{fetch, startup};

const UPLOADS: usize = 1_000;
/// As many streams as one connection may have.
const STREAMS: usize = 100;
const ADDRESSES: usize = 10;
const DRIP: Duration = Duration::from_secs(10);
const LENGTH: usize = 100_000;

const PROBES: u32 = 400;
const ALLOWED: Duration = Duration::from_millis(50);

const HONEST: usize = 16;
const HONEST_PIECE: usize = 4 * 1024;
const HONEST_PIECES: usize = 60;

const GREETING: &str = include_str!("../hello.wat");
const READER: &str = include_str!("reader.wat");
const COMPONENT: &[u8] = include_bytes!("../../tests/guests/http-probe.wasm");

/// What has become of the uploads that drip.
#[derive(Default)]
struct Counts {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let seconds =
        std::env::args().nth(1).map_or(Ok(180), |seconds| seconds.parse()).context("not a number of seconds")?;
    let time = Duration::from_secs(seconds);
    allow_all_descriptors()?;
    let directory = tempfile::tempdir()?;
    let server = gateway(directory.path()).await?;
    let counts = Arc::new(Counts::default());
    let mut attack = JoinSet::new();
    for number in 0..UPLOADS / 2 {
        attack.spawn(drip_http1(server, number, counts.clone()));
    }
    for number in 0..UPLOADS / 2 / STREAMS {
        attack.spawn(drip_http2(server, number, counts.clone()));
    }
    while counts.begun.load(Relaxed) < UPLOADS {
        ensure!(attack.try_join_next().is_none(), "an upload could not begin");
        sleep(Duration::from_millis(10)).await;
    }
    println!("{UPLOADS} uploads have begun");
    let mut honest = JoinSet::new();
    for number in 0..HONEST {
        honest.spawn(send_honestly(server, number));
    }
    let times = probe(server, time).await?;
    let arrived = honest.join_all().await.into_iter().filter(Result::is_ok).count();
    let late = times.iter().filter(|&&time| time > ALLOWED).count();
    let [median, last] = [times.len() / 2, times.len() - 1].map(|index| times[index].as_secs_f64() * 1000.0);
    println!("{} greetings, median {median:.2} ms, all within {last:.2} ms", times.len());
    println!("{arrived} of {HONEST} honest uploads have arrived");
    println!("{} uploads were ended and begun again", counts.ended.load(Relaxed));
    ensure!(late == 0, "{late} greetings took longer than {} ms", ALLOWED.as_millis());
    ensure!(arrived == HONEST, "an honest upload did not arrive");
    Ok(())
}

/// Asks for the greeting at a steady pace. Returns the times from the connection to the answer, the shortest first.
async fn probe(server: SocketAddr, time: Duration) -> Result<Vec<Duration>> {
    let (start, mut times) = (Instant::now(), Vec::new());
    for number in 0..PROBES {
        sleep_until(start + time * number / PROBES).await;
        let last = if number.is_multiple_of(2) { 1 } else { ADDRESSES + 1 };
        let asked = Instant::now();
        let mut stream = connect(server, last).await?;
        stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "probe {number}: {answer}");
        times.push(asked.elapsed());
    }
    times.sort();
    Ok(times)
}

fn target(number: usize) -> String {
    match number % 7 {
        6 => "/component/count".to_owned(),
        module => format!("/module{module}"),
    }
}

fn address(number: usize) -> usize {
    number % ADDRESSES + 1
}

/// Connects from 127.0.0.`last`.
async fn connect(server: SocketAddr, last: usize) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, u8::try_from(last)?)), 0))?;
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn begin(server: SocketAddr, number: usize, last: usize, length: usize) -> Result<TcpStream> {
    let mut stream = connect(server, last).await?;
    let head = format!("POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n", target(number));
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

/// Sends a byte each ten seconds, and begins again whenever the server has had enough.
async fn drip_http1(server: SocketAddr, number: usize, counts: Arc<Counts>) -> Result<()> {
    loop {
        let mut stream = begin(server, number, address(number), LENGTH).await?;
        stream.write_all(b"x").await?;
        counts.begun.fetch_add(1, Relaxed);
        // An answer, or the end, comes before the body is complete: the server has ended the upload.
        while timeout(DRIP, stream.read_u8()).await.is_err() && stream.write_all(b"x").await.is_ok() {}
        counts.ended.fetch_add(1, Relaxed);
    }
}

/// The same over all streams of one connection.
async fn drip_http2(server: SocketAddr, number: usize, counts: Arc<Counts>) -> Result<()> {
    let (client, connection) = h2::client::handshake(connect(server, address(number)).await?).await?;
    let mut streams = JoinSet::new();
    for stream in 0..STREAMS {
        streams.spawn(drip_stream(client.clone(), number + stream, counts.clone()));
    }
    tokio::select! {
        ended = connection => ended.context("a connection has ended"),
        Some(ended) = streams.join_next() => ended?,
    }
}

async fn drip_stream(mut client: SendRequest<Bytes>, number: usize, counts: Arc<Counts>) -> Result<()> {
    loop {
        client = client.ready().await?;
        let uri = format!("http://localhost{}", target(number));
        let request = Request::builder().method(Method::POST).uri(uri).header("content-length", LENGTH).body(())?;
        let (mut answer, mut body) = client.send_request(request, false)?;
        body.send_data(Bytes::from_static(b"x"), false)?;
        counts.begun.fetch_add(1, Relaxed);
        while timeout(DRIP, &mut answer).await.is_err() && body.send_data(Bytes::from_static(b"x"), false).is_ok() {}
        counts.ended.fetch_add(1, Relaxed);
    }
}

/// Sends 4 KiB a second for a minute.
async fn send_honestly(server: SocketAddr, number: usize) -> Result<()> {
    // Half of them from the address of a client that drips.
    let last = if number.is_multiple_of(2) { 1 } else { ADDRESSES + 2 };
    let mut stream = begin(server, number, last, HONEST_PIECE * HONEST_PIECES).await?;
    for _ in 0..HONEST_PIECES {
        stream.write_all(&[0; HONEST_PIECE]).await?;
        sleep(Duration::from_secs(1)).await;
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await?;
    ensure!(answer.ends_with(b"200"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

async fn gateway(directory: &std::path::Path) -> Result<SocketAddr> {
    let write = |name: &str, content: &[u8]| -> Result<String> {
        let path = directory.join(name);
        std::fs::write(&path, content)?;
        Ok(path.display().to_string())
    };
    let mut manifest =
        format!("[[module]]\nroute = '/hello'\nmodule = '{}'\n", write("hello.wat", GREETING.as_bytes())?);
    let component = write("component.wasm", COMPONENT)?;
    manifest += &format!("[[module]]\nroute = '/component/...'\nmodule = '{component}'\n");
    for module in 0..6 {
        // Each is a module of its own.
        let text = format!("{READER}\n;; {module}\n");
        let path = write(&format!("reader{module}.wat"), text.as_bytes())?;
        manifest += &format!("[[module]]\nroute = '/module{module}'\nmodule = '{path}'\n");
    }
    let mut options = Options::new(Source::Manifest(write("modules.toml", manifest.as_bytes())?.into()));
    options.listen = vec![ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))];
    let (config, mut problems) = Config::load(&options);
    let mut resolved = fetch::complete(config, &mut problems, Arc::new(Silent)).await;
    let gateway = startup::load(&mut resolved, &LogWriter::spawn(std::io::sink())?, &mut problems).await?;
    if let Some(problem) = problems.first() {
        bail!(problem.render(false));
    }
    let server = Server::bind(&resolved.config().server).await?;
    let address = server.addresses().first().copied().context("a port is open")?;
    tokio::spawn(server.serve(gateway, std::future::pending()));
    Ok(address)
}

/// Each upload over HTTP/1 takes two descriptors here: both ends of its connection.
fn allow_all_descriptors() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let allowed = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, ..allowed }).context("cannot raise a limit")
}
