//! How is a gateway asked without any socket? For instruction counts and micro-benchmarks.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};

use wagi::config::{Config, Diagnostic, Options, Source};
use wagi::fetch::Silent;
use wagi::observe::LogWriter;
use wagi::{Gateway, ResponseBody, fetch, startup};

/// A gateway that serves what `source` says, with its log thrown away behind its last buffer.
pub async fn gateway(source: Source) -> Result<Gateway> {
    let (config, problems) = Config::load(&Options::new(source));
    started(config, problems).await
}

async fn started(config: Config, mut problems: Vec<Diagnostic>) -> Result<Gateway> {
    let mut resolved = fetch::complete(config, &mut problems, Arc::new(Silent)).await;
    let gateway = startup::load(&mut resolved, &LogWriter::spawn(std::io::sink())?, &mut problems).await?;
    if let Some(problem) = problems.first() {
        bail!(problem.render(false));
    }
    Ok(gateway)
}

/// A gateway for the entries of a `modules.toml`, written to `file` first.
pub async fn gateway_of(entries: &str, file: &Path) -> Result<Gateway> {
    std::fs::write(file, entries)?;
    gateway(Source::Manifest(file.to_owned())).await
}

/// A module of the repository, wherever the benchmark is run.
pub fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// What `wrk` asks for.
pub fn request(path: &str) -> Request<Empty<Bytes>> {
    let request = Request::get(path).header("host", "localhost").body(Empty::new());
    request.unwrap_or_else(|_| unreachable!("{path} is not a path"))
}

/// Answers one request that needs no waiting, and takes the body in.
pub fn ask(gateway: &Gateway, path: &str) -> Response<Bytes> {
    let whole = answer_of(gateway, path);
    // A runtime is around, but nothing below needs to be woken: a guest that answers at once is polled to its end.
    match pin!(whole).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => response,
        Poll::Pending => unreachable!("the guest at {path} does not answer at once"),
    }
}

/// Answers one request, and takes the body in.
pub async fn answer_of(gateway: &Gateway, path: &str) -> Response<Bytes> {
    let (head, body) = gateway.handle(request(path)).await.into_parts();
    Response::from_parts(head, collect(body).await)
}

async fn collect(body: ResponseBody) -> Bytes {
    body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default()
}

/// Answers `requests` requests with `module`, for somebody who counts instructions.
pub fn answer(module: &str, requests: u32) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut config, problems) = Config::load(&Options::new(Source::Module(module.into())));
    // One guest at a time is all there is, and a debugger has less address space to give.
    config.limits.total_concurrency = 1;
    let gateway = runtime.block_on(started(config, problems))?;
    println!("{}", if reserved()? > LEAST_POOL { POOLED } else { "instances are made one by one" });
    let _inside = runtime.enter();
    for _ in 0..requests {
        let response = ask(&gateway, "/");
        ensure!(response.status().is_success(), "{module} was answered with {}", response.status());
    }
    Ok(())
}

/// What [`answer`] says if instances come from a pool, as they do when serving.
pub const POOLED: &str = "instances come from a pool";

/// A pool reserves address space for many memories, of which each alone takes a few of these.
const LEAST_POOL: u64 = 20 << 30;

/// Address space of this process, in bytes.
fn reserved() -> Result<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = pages.split(' ').next().unwrap_or_default().parse()?;
    Ok(pages * 4096)
}
