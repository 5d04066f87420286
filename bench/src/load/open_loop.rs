//! How long does a request take that comes when it comes, whether or not the one before is answered?
//!
//! Requests are due at fixed times, and the time an answer takes counts from when its request was due, not from when it
//! could be sent: a server that stands still for a second delays all requests of that second, and each is counted
//! (what a closed loop hides is known as coordinated omission). Each connection is a thread of its own, which sleeps until
//! its next request is due: no event loop, no timer wheel, nothing that rounds.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use crate::client::{Connection, get};

const CONNECTIONS: u32 = 16;

/// How long answers took, sorted.
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// So many percent of the answers took no longer, in milliseconds.
    pub fn percentile(&self, percent: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * percent / 100.0).round() as usize;
        self.0.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }

    /// For the result file.
    pub fn json(&self) -> Value {
        let [p50, p90, p99, p999] = [50.0, 90.0, 99.0, 99.9].map(|percent| self.percentile(percent));
        json!({ "requests": self.0.len(), "p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "p99.9_ms": p999 })
    }

    /// Those of one run.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// Of several runs.
    pub fn merge(all: impl IntoIterator<Item = Self>) -> Self {
        Self::of(all.into_iter().flat_map(|latencies| latencies.0).collect())
    }
}

/// Sends so many requests a second for a while.
pub fn load(address: SocketAddr, path: &str, per_second: f64, time: Duration) -> Result<Latencies> {
    let gap = Duration::from_secs_f64(f64::from(CONNECTIONS) / per_second);
    let request = get(path);
    let connections: Vec<Connection> = (0..CONNECTIONS).map(|_| Connection::open(address)).collect::<Result<_>>()?;
    let start = Instant::now() + Duration::from_millis(20);
    let all: Result<Vec<Latencies>> = thread::scope(|scope| {
        let senders = (0..CONNECTIONS).zip(connections).map(|(number, connection)| {
            let first = start + gap * number / CONNECTIONS;
            let request = request.as_bytes();
            scope.spawn(move || send(connection, request, &Schedule { first, gap, end: start + time }))
        });
        // All of them first, or each would be waited for before the next begins.
        let senders: Vec<_> = senders.collect();
        let joined = senders.into_iter().map(|sender| sender.join().map_err(|_| anyhow!("a sender panicked"))?);
        joined.collect()
    });
    Ok(Latencies::merge(all?))
}

/// When requests are due.
struct Schedule {
    first: Instant,
    gap: Duration,
    end: Instant,
}

fn send(mut connection: Connection, request: &[u8], schedule: &Schedule) -> Result<Latencies> {
    let mut latencies = Vec::new();
    let mut due = schedule.first;
    while due < schedule.end {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        connection.send(request)?;
        let framing = connection.head()?;
        connection.skip_body(framing)?;
        latencies.push(due.elapsed());
        due += schedule.gap;
    }
    Ok(Latencies(latencies))
}
