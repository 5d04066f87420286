//! How much does a fresh sandbox per request cost, and what do neighbours notice of a guest that computes for ever?
//!
//! ```sh
//! cargo run --release --example compare
//! ```
//!
//! Serves the same few bytes from bare hyper and from WebAssembly guests behind the gateway, loads them in turns with
//! `wrk` on the same machine, and prints rates and ratios. Rates depend on the machine; the ratios within one run are
//! what counts. Turns alternate so that drift cancels.

use std::convert::Infallible;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use wagi::config::{Config, Options, Source};
use wagi::observe::Lines;
use wagi::server::Server;
use wagi::startup;

const ROUNDS: usize = 5;
const SECONDS: &str = "3s";
const CONNECTIONS: &str = "32";
const SPINNERS: usize = 8;

/// What `wrk` found out.
#[derive(Clone, Debug)]
struct Load {
    per_second: f64,
    median: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let (bare, gateway) = (bare_hyper().await?, gateway().await?);
    let urls = [format!("http://{bare}/"), format!("http://{gateway}/"), format!("http://{gateway}/rust/args")];
    let mut loads: [Vec<Load>; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (loads, url) in loads.iter_mut().zip(&urls) {
            loads.push(load(url).await?);
        }
    }
    let [hyper, text, rust] = loads.map(median);
    println!("{:<42} {:>9} {:>7} {:>9}", "", "req/s", "ratio", "median");
    print("bare hyper", &hyper, &hyper);
    print("WAT guest, a fresh instance each", &text, &hyper);
    print("Rust guest, a fresh instance each", &rust, &hyper);

    let spinners = spin(gateway)?;
    let mut beside = Vec::new();
    for _ in 0..ROUNDS {
        beside.push(load(&urls[1]).await?);
    }
    drop(spinners);
    let beside = median(beside);
    print(&format!("the same beside {SPINNERS} guests that never end"), &beside, &hyper);
    println!("\nbeside them the WAT guest keeps {:.0} % of its rate", 100.0 * beside.per_second / text.per_second);
    Ok(())
}

fn print(name: &str, load: &Load, limit: &Load) {
    let ratio = load.per_second / limit.per_second;
    println!("{name:<42} {:>9.0} {ratio:>7.2} {:>9}", load.per_second, load.median);
}

fn median(mut loads: Vec<Load>) -> Load {
    loads.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    loads.swap_remove(loads.len() / 2)
}

async fn load(url: &str) -> Result<Load> {
    let url = url.to_owned();
    tokio::task::spawn_blocking(move || run_wrk(&url)).await?
}

fn run_wrk(url: &str) -> Result<Load> {
    let output = Command::new("wrk")
        .args(["-t1", "-c", CONNECTIONS, "-d", SECONDS, "--latency", url])
        .output()
        .context("cannot start `wrk`, which makes the load: install it (Debian: `apt install wrk`)")?;
    let report = String::from_utf8_lossy(&output.stdout);
    ensure!(!report.contains("Non-2xx"), "not every answer was a success:\n{report}");
    let value = |name: &str| {
        let line = report.lines().map(str::trim).find_map(|line| line.strip_prefix(name));
        line.map(str::trim).with_context(|| format!("`wrk` did not report {name}:\n{report}"))
    };
    Ok(Load { per_second: value("Requests/sec:")?.parse()?, median: value("50%")?.to_owned() })
}

/// Requests that keep guests busy as long as they are held.
fn spin(gateway: SocketAddr) -> Result<Vec<TcpStream>> {
    let request = |_| {
        let mut stream = TcpStream::connect(gateway)?;
        stream.write_all(b"GET /spin HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        Ok(stream)
    };
    (0..SPINNERS).map(request).collect()
}

/// The limit: the same HTTP library and nothing else.
async fn bare_hyper() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let service = service_fn(async |_: Request<Incoming>| {
                let mut response = Response::new(Full::new(Bytes::from_static(b"Hello from WebAssembly\n")));
                let text = http::HeaderValue::from_static("text/plain");
                response.headers_mut().insert(http::header::CONTENT_TYPE, text);
                Ok::<_, Infallible>(response)
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}

/// The gateway with everything on: limits, and log lines, thrown away where they would be written.
async fn gateway() -> Result<SocketAddr> {
    let mut options = Options::new(Source::Manifest("examples/compare/modules.toml".into()));
    options.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let (config, mut problems) = Config::load(&options);
    let gateway = startup::load(&config, &Lines::to(std::io::sink())?, &mut problems).await?;
    if let Some(problem) = problems.first() {
        anyhow::bail!(problem.render(false));
    }
    let server = Server::bind(&config.server).await?;
    let address = server.address();
    tokio::spawn(server.serve(gateway, std::future::pending()));
    Ok(address)
}
