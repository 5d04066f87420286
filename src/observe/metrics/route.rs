//! What is counted of a route?

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use http::Method;

use crate::observe::metrics::histogram::{BucketCounts, Histogram, Sharded, add, nanoseconds};

/// How many statuses of a route are counted one by one.
const STATUSES: usize = 32;

/// The methods that have a label of their own, and the label of all others.
const METHODS: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "_OTHER"];

/// How requests end, as in the log.
pub(super) const ENDS: [&str; 14] = [
    "ok",
    "client-gone",
    "stopped",
    "none",
    "exit",
    "trap",
    "not-answered",
    "not-started",
    "timeout",
    "output-limit",
    "bad-head",
    "bad-body",
    "busy",
    "static",
];

/// What a finished request adds.
#[derive(Clone, Copy, Debug)]
pub(in crate::observe) struct Finished<'a> {
    pub method: &'a Method,
    pub status: u16,
    pub took: Duration,
    pub bytes: u64,
    pub cpu_time: Duration,
    pub end: &'a str,
    /// How long its guest took, if it had one.
    pub guest: Option<Duration>,
}

/// The counters of a route.
#[derive(Default)]
pub(crate) struct RouteCounters {
    totals: Sharded<Totals>,
    statuses: [AtomicU16; STATUSES],
    methods: [OnceLock<ByStatus>; METHODS.len()],
    guests: OnceLock<Histogram>,
    queue_waits: OnceLock<Histogram>,
    /// How many requests are in the queue. They have time.
    pub(super) queued: AtomicU64,
}

#[derive(Default)]
struct Totals {
    begun: AtomicU64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    cpu_time: AtomicU64,
    ends: [AtomicU64; ENDS.len()],
}

/// The requests with a method, by the position of their status.
struct ByStatus(Box<[OnceLock<Histogram>]>);

impl Default for ByStatus {
    fn default() -> Self {
        Self((0..=STATUSES).map(|_| OnceLock::new()).collect())
    }
}

impl RouteCounters {
    /// BucketCounts a request that begins.
    pub(in crate::observe) fn begin(&self) {
        self.totals.with(|totals| add(&totals.begun, 1));
    }

    /// BucketCounts a request that has ended.
    pub(in crate::observe) fn finish(&self, request: &Finished<'_>) {
        let method = match *request.method {
            Method::GET => 0,
            Method::HEAD => 1,
            Method::POST => 2,
            Method::PUT => 3,
            Method::DELETE => 4,
            Method::CONNECT => 5,
            Method::OPTIONS => 6,
            Method::TRACE => 7,
            Method::PATCH => 8,
            _ => METHODS.len() - 1,
        };
        let status = self.status(request.status);
        let series = self.methods.get(method).and_then(|methods| methods.get_or_init(ByStatus::default).0.get(status));
        if let Some(series) = series {
            series.get_or_init(Histogram::of_time).observe(nanoseconds(request.took));
        }
        let end = ENDS.iter().position(|end| *end == request.end);
        self.totals.with(|totals| {
            add(&totals.response_bytes, request.bytes);
            add(&totals.cpu_time, nanoseconds(request.cpu_time));
            if let Some(end) = end.and_then(|end| totals.ends.get(end)) {
                add(end, 1);
            }
        });
        if let Some(took) = request.guest {
            self.guests.get_or_init(Histogram::of_time).observe(nanoseconds(took));
        }
    }

    /// BucketCounts bytes of a request body.
    pub(crate) fn add_request_bytes(&self, bytes: u64) {
        self.totals.with(|totals| add(&totals.request_bytes, bytes));
    }

    /// BucketCounts a request that has waited for a permit, or that did not have to.
    pub(crate) fn add_queue_wait(&self, waited: Duration) {
        self.queue_waits.get_or_init(Histogram::of_time).observe(nanoseconds(waited));
    }

    /// The same for a request that waits: from now until the value is dropped.
    pub(crate) fn wait_in_queue(&self) -> QueueTimer<'_> {
        self.queued.fetch_add(1, Relaxed);
        QueueTimer { counters: self, began: Instant::now() }
    }

    /// The position of a status: that at which it is already, or the next that is free, or the one for all others.
    fn status(&self, status: u16) -> usize {
        for (position, slot) in self.statuses.iter().enumerate() {
            let found = slot.load(Relaxed);
            if found == status {
                return position;
            }
            if found == 0 {
                match slot.compare_exchange(0, status, Relaxed, Relaxed) {
                    Ok(_) => return position,
                    Err(other) if other == status => return position,
                    Err(_) => {}
                }
            }
        }
        STATUSES
    }

    /// The requests by method and status.
    pub(super) fn durations(&self) -> Vec<(&'static str, String, BucketCounts)> {
        let status = |at: usize| {
            self.statuses.get(at).map_or_else(|| "other".to_owned(), |status| status.load(Relaxed).to_string())
        };
        let mut durations = Vec::new();
        for (method, by_status) in METHODS.iter().zip(&self.methods) {
            for (at, histogram) in by_status.get().into_iter().flat_map(|found| found.0.iter().enumerate()) {
                durations.extend(histogram.get().map(|histogram| (*method, status(at), histogram.counts())));
            }
        }
        durations
    }

    /// All requests together.
    pub(super) fn all(&self) -> BucketCounts {
        let mut all = BucketCounts::default();
        self.durations().iter().for_each(|(_, _, counts)| all.add(counts));
        all
    }

    /// How many requests have begun and not ended.
    pub(super) fn active(&self) -> u64 {
        let ended = self.all().count();
        self.totals.sum(|totals| &totals.begun).saturating_sub(ended)
    }

    pub(super) fn request_bytes(&self) -> u64 {
        self.totals.sum(|totals| &totals.request_bytes)
    }

    pub(super) fn response_bytes(&self) -> u64 {
        self.totals.sum(|totals| &totals.response_bytes)
    }

    /// In nanoseconds.
    pub(super) fn cpu_time(&self) -> u64 {
        self.totals.sum(|totals| &totals.cpu_time)
    }

    /// How often requests have ended in which way.
    pub(super) fn ends(&self) -> Vec<(&'static str, u64)> {
        let count = |at: usize| self.totals.sum(|totals| totals.ends.get(at).unwrap_or(&totals.begun));
        ENDS.iter().enumerate().map(|(at, end)| (*end, count(at))).filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn guests(&self) -> Option<BucketCounts> {
        self.guests.get().map(Histogram::counts)
    }

    pub(super) fn queue_waits(&self) -> Option<BucketCounts> {
        self.queue_waits.get().map(Histogram::counts)
    }
}

/// A request in the queue.
pub(crate) struct QueueTimer<'a> {
    counters: &'a RouteCounters,
    began: Instant,
}

impl Drop for QueueTimer<'_> {
    fn drop(&mut self) {
        self.counters.queued.fetch_sub(1, Relaxed);
        self.counters.add_queue_wait(self.began.elapsed());
    }
}
