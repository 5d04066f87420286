//! What is counted of a route?

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::Method;

use crate::observe::metrics::end::RequestEnd;
use crate::observe::metrics::histogram::{BucketCounts, Cells, Histogram, SIZES, Sharded, TIMES, add, nanoseconds};
use crate::observe::requests::facts::{METHODS, OTHER_METHOD};
use crate::observe::requests::failures::FailureLog;
use crate::observe::requests::register::RequestRegister;
use crate::runtime::{CallResult, RunUsage};

/// How many statuses of a route are counted one by one.
const STATUSES: usize = 32;

/// What a finished request adds.
#[derive(Clone, Copy, Debug)]
pub(in crate::observe) struct Finished<'a> {
    pub method: &'a Method,
    pub status: u16,
    pub took: Duration,
    pub bytes: u64,
    pub end: RequestEnd,
    /// What its guest has used, if it had one.
    pub guest: Option<&'a RunUsage>,
}

/// The counters of a route.
#[derive(Default)]
pub(crate) struct RouteCounters {
    /// There are none before the first request.
    totals: OnceLock<Sharded<Totals>>,
    statuses: [AtomicU16; STATUSES],
    /// By the position of the method; the last one is for those that have no name of their own.
    methods: [OnceLock<ByStatus>; METHODS.len() + 1],
    /// Those requests that had to wait.
    queue_waits: OnceLock<Histogram>,
    calls: OnceLock<CallCounters>,
    /// How many requests are in the queue. They have time.
    pub(super) queued: AtomicU64,
    /// The most memory that a guest had.
    memory_peak: AtomicU64,
    /// Those that have not ended.
    pub(in crate::observe) requests: RequestRegister,
    /// Where those go that have failed.
    pub(in crate::observe) failures: Arc<FailureLog>,
}

#[derive(Default)]
struct Totals {
    begun: AtomicU64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    cpu_time: AtomicU64,
    moved: AtomicU64,
    ends: [AtomicU64; RequestEnd::ALL.len()],
    /// Requests with a permit that did not have to wait for it.
    at_once: AtomicU64,
    /// The guests that have ended.
    durations: Cells,
    memory: Cells,
}

/// The calls of the guests of a route to upstreams.
struct CallCounters {
    results: [AtomicU64; CallResult::ALL.len()],
    durations: Histogram,
}

impl Default for CallCounters {
    fn default() -> Self {
        Self { results: Default::default(), durations: Histogram::of_time() }
    }
}

/// The requests with a method, by the position of their status.
struct ByStatus(Box<[OnceLock<Histogram>]>);

impl Default for ByStatus {
    fn default() -> Self {
        Self((0..=STATUSES).map(|_| OnceLock::new()).collect())
    }
}

impl RouteCounters {
    /// The counters of a route whose failures go to `failures`.
    pub(super) fn new(failures: &Arc<FailureLog>) -> Arc<Self> {
        Arc::new(Self { failures: failures.clone(), ..Self::default() })
    }

    /// Counts a request that begins.
    pub(in crate::observe) fn begin(&self) {
        self.totals().with(|totals| add(&totals.begun, 1));
    }

    fn totals(&self) -> &Sharded<Totals> {
        self.totals.get_or_init(Sharded::default)
    }

    /// The sum of a counter over all threads.
    fn sum(&self, value: impl Fn(&Totals) -> &AtomicU64) -> u64 {
        self.totals.get().map_or(0, |totals| totals.sum(value))
    }

    /// A histogram over all threads, if it has counted anything.
    fn counts(&self, bounds: &[u64], cells: impl Fn(&Totals) -> &Cells) -> Option<BucketCounts> {
        self.totals.get().map(|totals| totals.counts(bounds, cells)).filter(|counts| counts.count() > 0)
    }

    /// Counts a request that has ended.
    pub(in crate::observe) fn finish(&self, request: &Finished<'_>) {
        let name = request.method.as_str();
        let method = METHODS.iter().position(|known| *known == name).unwrap_or(METHODS.len());
        let status = self.status(request.status);
        let series = self.methods.get(method).and_then(|methods| methods.get_or_init(ByStatus::default).0.get(status));
        if let Some(series) = series {
            series.get_or_init(Histogram::of_time).observe_time(request.took);
        }
        self.totals().with(|totals| {
            add(&totals.response_bytes, request.bytes);
            totals.ends.get(request.end as usize).iter().for_each(|end| add(end, 1));
            request.guest.iter().for_each(|usage| self.finish_guest(usage, totals));
        });
    }

    fn finish_guest(&self, usage: &RunUsage, totals: &Totals) {
        add(&totals.cpu_time, nanoseconds(usage.cpu_time));
        add(&totals.moved, u64::from(usage.is_in_background));
        if let Some(took) = usage.took {
            totals.durations.observe(nanoseconds(took), TIMES);
            totals.memory.observe(usage.memory_peak, SIZES);
            // Few guests have more than all before.
            if usage.memory_peak > self.memory_peak.load(Relaxed) {
                self.memory_peak.fetch_max(usage.memory_peak, Relaxed);
            }
        }
    }

    /// Counts CPU time of a guest that went on after the end of its response.
    pub(in crate::observe) fn add_cpu_time(&self, time: Duration) {
        self.totals().with(|totals| add(&totals.cpu_time, nanoseconds(time)));
    }

    /// Counts bytes of a request body.
    pub(crate) fn add_request_bytes(&self, bytes: u64) {
        self.totals().with(|totals| add(&totals.request_bytes, bytes));
    }

    /// Counts a request that did not have to wait for a permit.
    pub(crate) fn skip_queue(&self) {
        self.totals().with(|totals| add(&totals.at_once, 1));
    }

    /// Counts a request that waits for a permit: from now until the value is dropped.
    pub(crate) fn wait_in_queue(&self) -> QueueTimer<'_> {
        self.queued.fetch_add(1, Relaxed);
        QueueTimer { counters: self, began: Instant::now() }
    }

    /// Counts a call of a guest to an upstream.
    pub(in crate::observe) fn add_call(&self, result: CallResult, took: Duration) {
        let calls = self.calls.get_or_init(CallCounters::default);
        calls.results.get(result as usize).iter().for_each(|count| add(count, 1));
        if result.was_sent() {
            calls.durations.observe_time(took);
        }
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
        for (method, by_status) in METHODS.iter().chain([&OTHER_METHOD]).zip(&self.methods) {
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
        // First what has ended: it had begun before.
        let ended = self.all().count();
        self.sum(|totals| &totals.begun).saturating_sub(ended)
    }

    pub(super) fn request_bytes(&self) -> u64 {
        self.sum(|totals| &totals.request_bytes)
    }

    pub(super) fn response_bytes(&self) -> u64 {
        self.sum(|totals| &totals.response_bytes)
    }

    /// In nanoseconds.
    pub(super) fn cpu_time(&self) -> u64 {
        self.sum(|totals| &totals.cpu_time)
    }

    /// How often requests have ended in which way.
    pub(super) fn ends(&self) -> Vec<(&'static str, u64)> {
        let count = |at: usize| self.sum(|totals| totals.ends.get(at).unwrap_or(&totals.begun));
        let ends = RequestEnd::ALL.iter().map(|end| (end.as_str(), count(*end as usize)));
        ends.filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn guest_durations(&self) -> Option<BucketCounts> {
        self.counts(TIMES, |totals| &totals.durations)
    }

    pub(super) fn guest_memory(&self) -> Option<BucketCounts> {
        self.counts(SIZES, |totals| &totals.memory)
    }

    /// The most memory that a guest had, in bytes.
    pub(super) fn memory_peak(&self) -> u64 {
        self.memory_peak.load(Relaxed)
    }

    /// How many guests were moved to the background.
    pub(super) fn moved(&self) -> u64 {
        self.sum(|totals| &totals.moved)
    }

    /// How many calls to upstreams ended in which way; empty without any call.
    pub(super) fn calls(&self) -> Vec<(&'static str, u64)> {
        let results = |calls: &CallCounters| {
            CallResult::ALL
                .iter()
                .zip(&calls.results)
                .map(|(result, count)| (result.as_str(), count.load(Relaxed)))
                .collect()
        };
        self.calls.get().map(results).unwrap_or_default()
    }

    pub(super) fn call_durations(&self) -> Option<BucketCounts> {
        self.calls.get().map(|calls| calls.durations.counts())
    }

    pub(super) fn queue_waits(&self) -> Option<BucketCounts> {
        let (waits, at_once) = (self.queue_waits.get(), self.sum(|totals| &totals.at_once));
        let mut counts = waits.map_or_else(|| BucketCounts::none(TIMES), Histogram::counts);
        counts.add_nothing(at_once);
        if counts.count() > 0 { Some(counts) } else { None }
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
        self.counters.queue_waits.get_or_init(Histogram::of_time).observe_time(self.began.elapsed());
    }
}
