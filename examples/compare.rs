//! How much does a fresh sandbox per request cost? This program serves the same few bytes from bare hyper and from a
//! WebAssembly guest behind the gateway, loads them in turns with `wrk`, and prints both rates and their ratio.
//!
//! ```sh
//! cargo run --release --example compare
//! ```
//!
//! Rates depend on the machine; the ratio within one run is what counts. Turns are alternated so that drift cancels.

use std::convert::Infallible;
use std::net::SocketAddr;
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

#[tokio::main]
async fn main() -> Result<()> {
    let guest = std::env::args().nth(1).unwrap_or_else(|| "examples/hello.wat".to_owned());
    let bare = bare_hyper().await?;
    let gateway = gateway(&guest).await?;
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (rates, address) in rates.iter_mut().zip([bare, gateway]) {
            rates.push(tokio::task::spawn_blocking(move || load(address)).await??);
        }
    }
    let [bare, gateway] = rates.map(median);
    println!("bare hyper                       {bare:>9.0} requests/s");
    println!("{guest:<32} {gateway:>9.0} requests/s, a fresh instance each");
    println!("ratio                            {:>9.2}", gateway / bare);
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// Requests per second at one address.
fn load(address: SocketAddr) -> Result<f64> {
    let url = format!("http://{address}/");
    let output = Command::new("wrk")
        .args(["-t1", "-c", CONNECTIONS, "-d", SECONDS, &url])
        .output()
        .context("cannot start `wrk`, which makes the load: install it (Debian: `apt install wrk`)")?;
    let report = String::from_utf8_lossy(&output.stdout);
    ensure!(!report.contains("Non-2xx"), "not every answer was a success:\n{report}");
    let rate = report.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    rate.and_then(|rate| rate.trim().parse().ok()).with_context(|| format!("`wrk` reported no rate:\n{report}"))
}

/// The limit: the same HTTP library and nothing else.
async fn bare_hyper() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let service = service_fn(async |_: Request<Incoming>| {
                let body = Full::new(Bytes::from_static(b"Hello from WebAssembly\n"));
                let mut response = Response::new(body);
                let text = http::HeaderValue::from_static("text/plain");
                response.headers_mut().insert(http::header::CONTENT_TYPE, text);
                Ok::<_, Infallible>(response)
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(address)
}

/// The gateway with everything on: limits, log lines (thrown away when written) and all.
async fn gateway(guest: &str) -> Result<SocketAddr> {
    let mut options = Options::new(Source::Module(guest.into()));
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
