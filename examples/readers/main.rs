//! What do others notice of a thousand clients that stop reading their responses?
//!
//! ```sh
//! cargo run --release --example readers [SECONDS]
//! ```
//!
//! Starts a gateway with a greeting, six modules and a component that print far more than any buffer holds. Ten addresses of
//! loopback ask for a thousand responses between them, half over HTTP/1 and half over HTTP/2, and take a byte each five seconds;
//! one that the server cuts, or that is half a minute old, is begun again. Meanwhile the greeting is asked for 400 times, from one of these addresses and
//! from another, and honest clients of other addresses take 8 KiB a second.

#![expect(clippy::print_stdout, reason = "it speaks to the terminal")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use wagi::config::{Config, ListenAddress, Options, Source};
use wagi::fetch::Silent;
use wagi::observe::LogWriter;
use wagi::server::Server;
use wagi::{fetch, startup};

const READERS: usize = 1_000;
/// As many streams as one connection may have.
const STREAMS: usize = 100;
const ADDRESSES: usize = 10;
const PAUSE: Duration = Duration::from_secs(5);
/// After this number of bytes it begins again.
const BYTES: u32 = 6;

/// How long the thousand have to get their first bytes.
const SETTLED: Duration = Duration::from_secs(2);

const PROBES: u32 = 400;
const ALLOWED: Duration = Duration::from_millis(50);

const HONEST: usize = 16;
const HONEST_PIECE: usize = 8 * 1024;
const HONEST_LENGTH: usize = 60 * HONEST_PIECE;

const GREETING: &str = include_str!("../hello.wat");
const FLOOD: &[u8] = include_bytes!("../../tests/guests/probe.wasm");
const COMPONENT: &[u8] = include_bytes!("../../tests/guests/http-probe.wasm");

/// What has become of the responses that are not read.
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
    for number in 0..READERS / 2 {
        attack.spawn(stop_http1(server, number, counts.clone()));
    }
    for number in 0..READERS / 2 / STREAMS {
        attack.spawn(stop_http2(server, number, counts.clone()));
    }
    while counts.begun.load(Relaxed) < READERS {
        ensure!(attack.try_join_next().is_none(), "a response could not begin");
        sleep(Duration::from_millis(10)).await;
    }
    println!("{READERS} responses have begun");
    // Until then the server is busy with starting them.
    sleep(SETTLED).await;
    let mut honest = JoinSet::new();
    for number in 0..HONEST {
        honest.spawn(read_honestly(server, number));
    }
    let times = probe(server, time).await?;
    let honest = honest.join_all().await;
    honest.iter().filter_map(|result| result.as_ref().err()).for_each(|error| println!("an honest client: {error:#}"));
    let arrived = honest.iter().filter(|result| result.is_ok()).count();
    let late = times.iter().filter(|&&time| time > ALLOWED).count();
    let [median, last] = [times.len() / 2, times.len() - 1].map(|index| times[index].as_secs_f64() * 1000.0);
    println!("{} greetings, median {median:.2} ms, all within {last:.2} ms", times.len());
    println!("{arrived} of {HONEST} honest clients got everything");
    println!("{} responses were begun again", counts.ended.load(Relaxed));
    ensure!(late == 0, "{late} greetings took longer than {} ms", ALLOWED.as_millis());
    ensure!(arrived == HONEST, "an honest client did not get everything");
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
        6 => "/component/much?100000".to_owned(),
        module => format!("/module{module}/flood?10000000000"),
    }
}

fn address(number: usize) -> usize {
    number % ADDRESSES + 1
}

/// Connects from 127.0.0.`last`.
async fn connect(server: SocketAddr, last: usize) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // Next to no room for what comes: the server learns soon that nothing is read.
    socket.set_recv_buffer_size(4 << 10)?;
    socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, u8::try_from(last)?)), 0))?;
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn ask(server: SocketAddr, last: usize, target: &str) -> Result<TcpStream> {
    let mut stream = connect(server, last).await?;
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    Ok(stream)
}

/// Takes a byte each five seconds, and begins again whenever the server has had enough.
async fn stop_http1(server: SocketAddr, number: usize, counts: Arc<Counts>) -> Result<()> {
    loop {
        let mut stream = ask(server, address(number), &target(number)).await?;
        counts.begun.fetch_add(1, Relaxed);
        // Its own buffer hides for long that the server has cut it.
        for _ in 0..BYTES {
            if stream.read_u8().await.is_err() {
                break;
            }
            sleep(PAUSE).await;
        }
        counts.ended.fetch_add(1, Relaxed);
    }
}

/// The same over all streams of one connection, which is begun again when the server closes it.
async fn stop_http2(server: SocketAddr, number: usize, counts: Arc<Counts>) -> Result<()> {
    loop {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(1);
        let (client, connection) = builder.handshake(connect(server, address(number)).await?).await?;
        let mut streams = JoinSet::new();
        for stream in 0..STREAMS {
            streams.spawn(stop_stream(client.clone(), number + stream, counts.clone()));
        }
        tokio::select! {
            _ = connection => {}
            Some(_) = streams.join_next() => {}
        }
    }
}

async fn stop_stream(mut client: SendRequest<Bytes>, number: usize, counts: Arc<Counts>) -> Result<()> {
    loop {
        client = client.ready().await?;
        let request = Request::get(format!("http://localhost{}", target(number))).body(())?;
        let (response, _) = client.send_request(request, true)?;
        counts.begun.fetch_add(1, Relaxed);
        let mut body = response.await?.into_body();
        while let Some(Ok(byte)) = body.data().await {
            sleep(PAUSE).await;
            body.flow_control().release_capacity(byte.len())?;
        }
        counts.ended.fetch_add(1, Relaxed);
    }
}

/// Takes 8 KiB a second to the end.
async fn read_honestly(server: SocketAddr, number: usize) -> Result<()> {
    let last = ADDRESSES + 2 + number % ADDRESSES;
    let mut stream = ask(server, last, &format!("/module0/flood?{HONEST_LENGTH}")).await?;
    let (mut piece, mut read) = ([0; HONEST_PIECE], 0);
    loop {
        sleep(Duration::from_secs(1)).await;
        let mut filled = 0;
        while filled < HONEST_PIECE {
            match stream.read(&mut piece[filled..]).await? {
                0 => {
                    ensure!(read + filled > HONEST_LENGTH, "only {}", read + filled);
                    return Ok(());
                }
                count => filled += count,
            }
        }
        read += filled;
    }
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
    let flood = write("flood.wasm", FLOOD)?;
    for module in 0..6 {
        manifest += &format!("[[module]]\nroute = '/module{module}/...'\nmodule = '{flood}'\n");
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

/// Each response over HTTP/1 takes two descriptors here: both ends of its connection.
fn allow_all_descriptors() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let allowed = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, ..allowed }).context("cannot raise a limit")
}
