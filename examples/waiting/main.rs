//! What does a thousand guests cost that wait for somebody else's server, and what do their neighbours notice?
//!
//! ```sh
//! cargo run --release --example waiting
//! ```
//!
//! Starts a server on loopback that answers after a second, and a gateway with two routes: a greeting, and a guest that
//! calls that server. The greeting is asked for at a steady pace throughout; how long it takes is measured from the moment
//! it was due, so that a stall counts for all who would have come meanwhile. First nobody else is there, then a thousand
//! guests arrive within half a second and wait.

#![expect(clippy::print_stdout, reason = "it speaks to the terminal")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use wagi::config::{Config, ListenAddress, Options, Source};
use wagi::fetch::Silent;
use wagi::observe::LogWriter;
use wagi::server::Server;
use wagi::{fetch, startup};

const GUESTS: u32 = 1000;
const ROUNDS: usize = 9;
/// How long the other server takes to answer.
const WAIT: Duration = Duration::from_secs(1);
/// Within which time the guests arrive. After it, and before the first has its answer, all of them wait at once.
const ARRIVAL: Duration = Duration::from_millis(900);
/// What all of them together may take.
const ALLOWED: Duration = Duration::from_secs(3);

/// Clients that ask for the greeting, and how often each does.
const CLIENTS: u32 = 8;
const PACE: Duration = Duration::from_millis(20);
const QUIET: Duration = Duration::from_secs(2);

const GREETING: &str = include_str!("../hello.wat");
const WAITER: &str = include_str!("waiter.wat");

#[tokio::main]
async fn main() -> Result<()> {
    allow_all_descriptors()?;
    let directory = tempfile::tempdir()?;
    let gateway = gateway(directory.path(), slow_server().await?).await?;
    // Whatever happens once only has happened then.
    wave(gateway).await?;

    let (mut quiet, mut busy, mut longest) = (Times::default(), Times::default(), Duration::ZERO);
    for _ in 0..ROUNDS {
        quiet.add(
            beside(gateway, async {
                sleep(QUIET).await;
                Ok(())
            })
            .await?
            .1,
        );
        let (took, times) = beside(gateway, wave(gateway)).await?;
        busy.add(times);
        longest = longest.max(took);
    }
    quiet.print("the greeting, nobody else there");
    busy.print(&format!("the greeting beside {GUESTS} guests that wait"));
    let ratio = busy.percentile(99).as_secs_f64() / quiet.percentile(99).as_secs_f64();
    println!("\n99 % of the greetings are there within {ratio:.2} times the quiet time");
    println!("the {GUESTS} guests, of which each waits a second, are done in {:.2} s", longest.as_secs_f64());
    ensure!(longest < ALLOWED, "that is longer than {} s", ALLOWED.as_secs());
    Ok(())
}

/// Times, the shortest first.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    fn add(&mut self, others: Self) {
        self.0.extend(others.0);
        self.0.sort();
    }

    fn percentile(&self, percent: usize) -> Duration {
        let index = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(index).copied().unwrap_or_default()
    }

    fn print(&self, what: &str) {
        let [median, late, last] = [50, 99, 100].map(|percent| self.percentile(percent).as_secs_f64() * 1000.0);
        println!("{what:<40} {:>6} answers, median {median:.2} ms, 99 % {late:.2} ms, all {last:.2} ms", self.0.len());
    }
}

/// Does something while the greeting is asked for, and says how long both took.
async fn beside<T>(gateway: SocketAddr, something: impl Future<Output = Result<T>>) -> Result<(T, Times)> {
    let (stop, stopped) = watch::channel(false);
    let mut clients = JoinSet::new();
    let start = Instant::now();
    for number in 0..CLIENTS {
        clients.spawn(keep_asking(gateway, start + PACE * number / CLIENTS, stopped.clone()));
    }
    let done = something.await?;
    stop.send(true)?;
    let mut times = Times::default();
    for asked in clients.join_all().await {
        times.add(Times(asked?));
    }
    Ok((done, times))
}

async fn keep_asking(gateway: SocketAddr, mut due: Instant, stopped: watch::Receiver<bool>) -> Result<Vec<Duration>> {
    let mut connection = connect(gateway).await?;
    let mut times = Vec::new();
    while !*stopped.borrow() {
        sleep_until(due).await;
        ask(&mut connection, "/").await?;
        times.push(due.elapsed());
        due += PACE;
    }
    Ok(times)
}

/// Lets all guests wait once; the time from the first client to the last answer.
async fn wave(gateway: SocketAddr) -> Result<Duration> {
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for number in 0..GUESTS {
        clients.spawn(async move {
            sleep_until(start + ARRIVAL * number / GUESTS).await;
            ask(&mut connect(gateway).await?, "/wait").await
        });
    }
    clients.join_all().await.into_iter().collect::<Result<()>>()?;
    Ok(start.elapsed())
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a GET and reads the answer, which has to be a success.
async fn ask(stream: &mut TcpStream, path: &str) -> Result<()> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the connection ended");
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        ensure!(head.starts_with("http/1.1 200"), "{path}: {head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.with_context(|| format!("no length in {head}"))?.parse()?;
        if answer.len() >= end + 4 + length {
            return Ok(());
        }
    }
}

/// Somebody else's server, which takes its time.
async fn slow_server() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(async |_: Request<Incoming>| {
                sleep(WAIT).await;
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"at last"))))
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}

/// The gateway, with room for all of them.
async fn gateway(directory: &std::path::Path, slow: SocketAddr) -> Result<SocketAddr> {
    // As many digits as the program reserves for them.
    let waiter = WAITER.replace("PORT", &format!("{:05}", slow.port()));
    let file = |name: &str| directory.join(name);
    std::fs::write(file("hello.wat"), GREETING)?;
    std::fs::write(file("waiter.wat"), waiter)?;
    let (hello, waiter) = (file("hello.wat").display().to_string(), file("waiter.wat").display().to_string());
    let manifest = format!(
        "[limits]\ntotal_concurrency = {}\nconnections_per_address = \"unlimited\"\n\
        [[module]]\nroute = \"/\"\nmodule = '{hello}'\n\
        [[module]]\nroute = \"/wait\"\nmodule = '{waiter}'\nallowed_hosts = [\"127.0.0.1\"]\n\
        limits = {{ concurrency = {GUESTS}, memory = \"1MiB\" }}\n",
        GUESTS + 100,
    );
    std::fs::write(file("modules.toml"), manifest)?;
    let mut options = Options::new(Source::Manifest(file("modules.toml")));
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

/// Each guest takes four descriptors here: both ends of its client's connection, and of its own.
fn allow_all_descriptors() -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let allowed = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, ..allowed }).context("cannot raise a limit")
}
