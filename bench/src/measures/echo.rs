//! How fast does a long body pass through a guest and back, and how much memory does that take?

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use serde_json::json;

use super::{Bound, Outcome};
use crate::client::Connection;
use crate::load::median;
use crate::process::Process;
use crate::servers::{HELLO_WAT, Server, hyper, wagi};
use crate::site::Site;

const MEBIBYTE: u64 = 1 << 20;

/// Takes the measure, in turns with bare hyper, which sends back what it gets.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let length = if site.is_quick { 128 * MEBIBYTE } else { 1024 * MEBIBYTE };
    let entry = wagi::entry("/echo", "examples/echo.wat");
    let hello = wagi::entry("/", HELLO_WAT);
    let limits = "[limits]\nrequest_body = \"none\"\ncpu_time = \"5m\"\n";
    let ours = wagi::serve(site, "echo", &format!("{limits}{hello}{entry}"))?.says_hello("/")?;
    let limit = hyper::http1(site)?;
    // Once for what is set up once.
    pass(&ours, MEBIBYTE)?;
    let (mut ratios, mut growth, mut rates) = (Vec::new(), 0, Vec::new());
    for _ in 0..site.rounds.min(3) {
        let (ours, theirs) = (pass(&ours, length)?, pass(&limit, length)?);
        ratios.push(theirs.time.as_secs_f64() / ours.time.as_secs_f64());
        growth = growth.max(ours.growth);
        rates.push(json!({ "wagi_mib_per_second": ours.rate(length), "hyper_mib_per_second": theirs.rate(length) }));
    }
    let size = length / MEBIBYTE;
    let memory =
        Outcome::new("echo", format!("{size} MiB echoed: growth of memory"), growth as f64 / MEBIBYTE as f64, "MiB");
    let speed = Outcome::new("echo", format!("{size} MiB echoed: throughput against bare hyper"), median(ratios), "");
    Ok(vec![
        memory.held_against(Bound::AtMost(16.0), None),
        speed.held_against(Bound::AtLeast(0.25), Some(Bound::AtLeast(0.5))).with(json!({ "rounds": rates })),
    ])
}

struct Passed {
    time: Duration,
    growth: u64,
}

impl Passed {
    fn rate(&self, length: u64) -> f64 {
        (length as f64 / MEBIBYTE as f64 / self.time.as_secs_f64()).round()
    }
}

fn pass(server: &Server, length: u64) -> Result<Passed> {
    let before = server.process.memory()?;
    let mut connection = Connection::open(server.address)?;
    let writer = connection.writer()?;
    let (highest, is_over) = (AtomicU64::new(before), AtomicBool::new(false));
    let begin = Instant::now();
    let received: Result<u64> = thread::scope(|scope| {
        let sender = scope.spawn(|| send(writer, length));
        scope.spawn(|| watch(&server.process, &highest, &is_over));
        let received = connection.head().and_then(|framing| connection.skip_body(framing));
        is_over.store(true, Ordering::Relaxed);
        sender.join().map_err(|_| anyhow!("the sender panicked"))??;
        received
    });
    let (received, time) = (received?, begin.elapsed());
    ensure!(received == length, "{received} of {length} bytes came back");
    Ok(Passed { time, growth: highest.into_inner() - before })
}

fn send(mut writer: impl Write, length: u64) -> Result<()> {
    let piece = vec![b'x'; 256 * 1024];
    write!(writer, "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n")?;
    let mut left = length;
    while left > 0 {
        let next = piece.len().min(usize::try_from(left)?);
        writer.write_all(&piece[..next])?;
        left -= next as u64;
    }
    Ok(())
}

/// Notes how much memory there is at most.
fn watch(process: &Process, highest: &AtomicU64, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        highest.fetch_max(process.memory().unwrap_or_default(), Ordering::Relaxed);
        thread::sleep(Duration::from_millis(20));
    }
}
