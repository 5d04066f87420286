//! What is counted, and what does the text for Prometheus say of it?
//!
//! Each route has its counters, which stay when the configuration changes. A route that is gone keeps them for an hour.

pub(in crate::observe) mod end;
mod families;
mod format;
pub(in crate::observe) mod histogram;
mod names;
mod process;
mod requests;
mod route;
mod text;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::observe::access::{AccessLog, RouteName};
use crate::observe::log_writer::LogWriter;
pub use crate::observe::metrics::end::RequestEnd;
pub use crate::observe::metrics::format::MetricsFormat;
use crate::observe::metrics::histogram::{BucketCounts, Histogram, TIMES};
pub(in crate::observe) use crate::observe::metrics::route::Finished;
pub(crate) use crate::observe::metrics::route::RouteCounters;
use crate::observe::requests::failures::FailureLog;
use crate::observe::requests::profiles::ProfileLog;

/// How long counters of a route stay that is gone.
const KEPT: Duration = Duration::from_secs(3600);

/// How far the quantiles look back, and how often they need to be asked to look.
const WINDOW: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_secs(5);

/// The counters of all routes, and of reloads.
#[derive(Default)]
pub(crate) struct Metrics {
    routes: Mutex<BTreeMap<String, KeptRoute>>,
    /// Those of requests without a route.
    pub unrouted: Arc<RouteCounters>,
    window: Mutex<VecDeque<PastCounts>>,
    reloads: [AtomicU64; ReloadResult::ALL.len()],
    last_reload: Mutex<LastReload>,
    compilations: ModuleTimes,
    fetches: ModuleTimes,
    /// The log of everything; the lines of requests may have another one.
    log: Option<LogWriter>,
    /// The lines that are missing in the files of the log directory.
    missing_lines: OnceLock<Arc<AtomicU64>>,
    /// The last requests that have failed.
    failures: Arc<FailureLog>,
    /// The profiles of guests that have computed for long.
    pub profiles: Arc<ProfileLog>,
}

/// How the last reload, or the start, ended.
#[derive(Clone, Copy)]
struct LastReload {
    at: SystemTime,
    result: ReloadResult,
}

impl Default for LastReload {
    fn default() -> Self {
        Self { at: SystemTime::now(), result: ReloadResult::Swapped }
    }
}

/// How long something took that is done for modules.
struct ModuleTimes(Histogram);

impl Default for ModuleTimes {
    fn default() -> Self {
        Self(Histogram::of_time())
    }
}

struct KeptRoute {
    counters: Arc<RouteCounters>,
    gone: Option<Instant>,
}

/// What the routes had counted at a time.
struct PastCounts {
    at: Instant,
    counts: BTreeMap<String, BucketCounts>,
}

/// How a reload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReloadResult {
    Swapped,
    Unchanged,
    Refused,
}

impl ReloadResult {
    const ALL: [Self; 3] = [Self::Swapped, Self::Unchanged, Self::Refused];

    fn label(self) -> &'static str {
        match self {
            Self::Swapped => "success",
            Self::Unchanged => "unchanged",
            Self::Refused => "failure",
        }
    }
}

/// What others know at the time when the text is written.
pub(crate) struct Gauges {
    pub generation: u64,
    /// The guests that run, and the limit: of each module, and of all with an empty name.
    pub concurrency: BTreeMap<String, (usize, usize)>,
    pub dropped_lines: u64,
    /// Fields of trusted proxies that cannot be read.
    pub malformed_forwarded: u64,
    /// Requests whose guests began at a checkpoint, and those that could have, by their route.
    pub warm_starts: BTreeMap<String, (u64, u64)>,
    pub modules: BTreeSet<ModuleLabels>,
    /// By the name of the listener.
    pub listeners: BTreeMap<String, ListenerGauges>,
    /// When certificates end, by their subject.
    pub certificates: BTreeMap<String, SystemTime>,
}

/// A module that is served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ModuleLabels {
    /// As the configuration names it.
    pub module: String,
    pub digest: String,
    pub kind: &'static str,
}

/// The connections of a listener.
pub(crate) struct ListenerGauges {
    pub open: u64,
    /// Those since the start, by protocol and result.
    pub counts: Vec<(&'static str, &'static str, u64)>,
}

/// What was counted of a route.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouteFigures {
    /// The pattern; empty for requests without a route.
    pub route: String,
    /// Requests that have ended.
    pub requests: u64,
    /// How many ended in which way, as in the log.
    pub ends: Vec<(&'static str, u64)>,
    /// Requests that have not ended.
    pub in_flight: u64,
    /// Those that wait for a permit.
    pub queued: u64,
    /// The durations of the last minute that half, 90 and 99 of 100 requests do not exceed.
    pub p50: Option<Duration>,
    /// See `p50`.
    pub p90: Option<Duration>,
    /// See `p50`.
    pub p99: Option<Duration>,
    /// The most memory that a guest had, in bytes.
    pub memory_peak: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Metrics {
    /// Counters for a server with this log.
    pub fn new(log: LogWriter) -> Self {
        Self { log: Some(log), ..Self::default() }
    }

    /// Gives the routes of a configuration their counters: those that they had before.
    pub fn enter<'a>(&self, names: impl Iterator<Item = &'a RouteName>) {
        let mut routes = lock(&self.routes);
        Self::forget_routes_that_are_gone(&mut routes);
        let now = Instant::now();
        routes.values_mut().for_each(|route| route.gone = route.gone.or(Some(now)));
        for name in names {
            if name.route.is_empty() {
                // It would stand beside the requests without a route, under the same name.
                name.count_with(self.unrouted.clone());
                continue;
            }
            let new = || KeptRoute { counters: RouteCounters::new(&self.failures), gone: None };
            let kept = routes.entry(name.route.clone()).or_insert_with(new);
            kept.gone = None;
            name.count_with(kept.counters.clone());
        }
    }

    /// Counts a reload.
    pub fn add_reload(&self, result: ReloadResult) {
        let counters = ReloadResult::ALL.iter().zip(&self.reloads);
        counters.filter(|(own, _)| **own == result).for_each(|(_, counter)| _ = counter.fetch_add(1, Relaxed));
        *lock(&self.last_reload) = LastReload { at: SystemTime::now(), result };
    }

    /// Counts a module that was compiled.
    pub fn add_compilation(&self, took: Duration) {
        self.compilations.0.observe_time(took);
    }

    /// Counts a module that was fetched.
    pub fn add_fetch(&self, took: Duration) {
        self.fetches.0.observe_time(took);
    }

    /// How many lines of the log were dropped, with those of requests.
    pub fn dropped_lines(&self, requests: &AccessLog) -> u64 {
        let others = self.log.as_ref().filter(|log| !requests.is_part_of(log));
        let missing = self.missing_lines.get().map_or(0, |missing| missing.load(Relaxed));
        requests.dropped() + others.map_or(0, LogWriter::dropped) + missing
    }

    /// Counts the lines that are missing in the files of a log directory, too. Only the first call has an effect.
    pub fn count_missing_lines(&self, missing: Arc<AtomicU64>) {
        let _ = self.missing_lines.set(missing);
    }

    fn forget_routes_that_are_gone(routes: &mut BTreeMap<String, KeptRoute>) {
        routes.retain(|_, route| route.gone.is_none_or(|gone| gone.elapsed() < KEPT));
    }

    /// All routes with their counters, without those that are gone for long.
    fn counted(&self) -> Vec<(String, Arc<RouteCounters>)> {
        let mut routes = lock(&self.routes);
        Self::forget_routes_that_are_gone(&mut routes);
        let unrouted = std::iter::once((String::new(), self.unrouted.clone()));
        unrouted.chain(routes.iter().map(|(name, route)| (name.clone(), route.counters.clone()))).collect()
    }

    /// Remembers what was counted until now. Quantiles of the last minute need it every few seconds.
    pub fn tick(&self) {
        let counts = self.counted().into_iter().map(|(name, counters)| (name, counters.all())).collect();
        let (mut window, at) = (lock(&self.window), Instant::now());
        if window.back().is_some_and(|last| at.duration_since(last.at) < STEP) {
            return;
        }
        window.push_back(PastCounts { at, counts });
        while window.get(1).is_some_and(|second| at.duration_since(second.at) >= WINDOW) {
            window.pop_front();
        }
    }

    /// The figures of all routes.
    pub fn figures(&self) -> Vec<RouteFigures> {
        self.tick();
        let window = lock(&self.window);
        let figures = |(route, counters): (String, Arc<RouteCounters>)| {
            let all = counters.all();
            let is_young = window.front().is_none_or(|past| past.at.elapsed() < STEP);
            let before = window.front().filter(|_| !is_young).and_then(|past| past.counts.get(&route));
            let recent = before.map_or_else(|| all.clone(), |before| all.since(before));
            let quantile = |share| Some(Duration::from_nanos(recent.quantile(share, TIMES)? as u64));
            RouteFigures {
                requests: all.count(),
                ends: counters.ends(),
                in_flight: counters.active(),
                queued: counters.queued.load(Relaxed),
                p50: quantile(0.5),
                p90: quantile(0.9),
                p99: quantile(0.99),
                memory_peak: counters.memory_peak(),
                route,
            }
        };
        self.counted().into_iter().map(figures).collect()
    }
}

#[cfg(test)]
mod tests;
