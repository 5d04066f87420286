//! Which metrics are there, and from where do their values come?

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::UNIX_EPOCH;

use crate::observe::metrics::histogram::{BucketCounts, TIMES};
use crate::observe::metrics::process;
use crate::observe::metrics::route::RouteCounters;
use crate::observe::metrics::text::{Family, MetricKind, MetricsText};
use crate::observe::metrics::{Gauges, Metrics, ReloadResult, lock};

const NANOSECONDS: f64 = 1e9;

const fn family(name: &'static str, kind: MetricKind, help: &'static str) -> Family {
    Family { name, kind, help }
}

const DURATION: Family = family(
    "http_server_request_duration_seconds",
    MetricKind::Histogram,
    "From the head of a request to the end of its response.",
);
const ACTIVE: Family = family("http_server_active_requests", MetricKind::Gauge, "Requests that have not ended.");
const REQUEST_BYTES: Family =
    family("http_server_request_body_size_bytes_total", MetricKind::Counter, "Bytes of request bodies that were read.");
const RESPONSE_BYTES: Family =
    family("http_server_response_body_size_bytes_total", MetricKind::Counter, "Bytes of response bodies.");
const CPU: Family = family("wagi_guest_cpu_seconds_total", MetricKind::Counter, "CPU time of guests.");
const GUEST: Family =
    family("wagi_guest_duration_seconds", MetricKind::Histogram, "From the instantiation of a guest to its end.");
const ENDS: Family = family("wagi_guest_ends_total", MetricKind::Counter, "How requests ended, as in the access log.");
const QUEUE_LENGTH: Family = family("wagi_queue_length", MetricKind::Gauge, "Requests that wait for a permit.");
const QUEUE_WAIT: Family =
    family("wagi_queue_wait_seconds", MetricKind::Histogram, "How long requests waited for a permit.");
const CONCURRENCY: Family =
    family("wagi_concurrency", MetricKind::Gauge, "Guests that run; of all modules without a name.");
const CONCURRENCY_LIMIT: Family =
    family("wagi_concurrency_limit", MetricKind::Gauge, "How many guests may run; of all modules without a name.");
const GENERATION: Family =
    family("wagi_config_generation", MetricKind::Gauge, "The number of the configuration in force.");
const RELOADS: Family = family("wagi_config_reloads_total", MetricKind::Counter, "Reloads by their result.");
const LAST_SUCCESS: Family =
    family("wagi_config_last_reload_success", MetricKind::Gauge, "Whether the last reload, or the start, succeeded.");
const LAST_TIMESTAMP: Family =
    family("wagi_config_last_reload_timestamp_seconds", MetricKind::Gauge, "When the last reload ended, in Unix time.");
const DROPPED: Family =
    family("wagi_log_lines_dropped_total", MetricKind::Counter, "Lines of the access log that were dropped.");
const BUILD: Family = family("wagi_build_info", MetricKind::Gauge, "The version of wagi, and of the engine.");

/// The version of the engine.
const WASMTIME: &str = "48.0.8";

type NamedRoutes = [(String, Arc<RouteCounters>)];

impl Metrics {
    /// The text of all metrics.
    pub fn render(&self, gauges: &Gauges) -> String {
        let (mut text, routes) = (MetricsText::default(), self.counted());
        write_requests(&mut text, &routes);
        write_guests(&mut text, &routes);
        write_concurrency(&mut text, gauges);
        self.write_reloads(&mut text, gauges);
        text.family(&DROPPED);
        text.sample(&DROPPED, &[], gauges.dropped_lines);
        text.family(&BUILD);
        text.sample(&BUILD, &[("version", env!("CARGO_PKG_VERSION")), ("wasmtime", WASMTIME)], 1);
        process::write(&mut text);
        text.finish()
    }

    fn write_reloads(&self, text: &mut MetricsText, gauges: &Gauges) {
        text.family(&GENERATION);
        text.sample(&GENERATION, &[], gauges.generation);
        text.family(&RELOADS);
        for (result, counter) in ReloadResult::ALL.iter().zip(&self.reloads) {
            text.sample(&RELOADS, &[("result", result.label())], counter.load(Relaxed));
        }
        let last = *lock(&self.last_reload);
        text.family(&LAST_SUCCESS);
        text.sample(&LAST_SUCCESS, &[], u8::from(last.is_none_or(|(_, result)| result != ReloadResult::Refused)));
        if let Some(since) = last.and_then(|(at, _)| at.duration_since(UNIX_EPOCH).ok()) {
            text.family(&LAST_TIMESTAMP);
            text.sample(&LAST_TIMESTAMP, &[], since.as_secs_f64());
        }
    }
}

/// Adds a family with one value for each route.
fn write_values(text: &mut MetricsText, family: &Family, routes: &NamedRoutes, value: impl Fn(&RouteCounters) -> f64) {
    text.family(family);
    routes.iter().for_each(|(route, counters)| text.sample(family, &[("http_route", route)], value(counters)));
}

/// Adds a family with a histogram of time for each route that has one.
fn write_times(
    text: &mut MetricsText,
    family: &Family,
    routes: &NamedRoutes,
    counts: impl Fn(&RouteCounters) -> Option<BucketCounts>,
) {
    text.family(family);
    for (route, counters) in routes {
        if let Some(counts) = counts(counters) {
            text.histogram(family, &[("http_route", route)], (&counts, TIMES), NANOSECONDS);
        }
    }
}

fn write_requests(text: &mut MetricsText, routes: &NamedRoutes) {
    text.family(&DURATION);
    for (route, counters) in routes {
        for (method, status, counts) in counters.durations() {
            let labels = [
                ("http_route", route.as_str()),
                ("http_request_method", method),
                ("http_response_status_code", status.as_str()),
            ];
            text.histogram(&DURATION, &labels, (&counts, TIMES), NANOSECONDS);
        }
    }
    write_values(text, &ACTIVE, routes, |counters| counters.active() as f64);
    write_values(text, &REQUEST_BYTES, routes, |counters| counters.request_bytes() as f64);
    write_values(text, &RESPONSE_BYTES, routes, |counters| counters.response_bytes() as f64);
}

fn write_guests(text: &mut MetricsText, routes: &NamedRoutes) {
    write_values(text, &CPU, routes, |counters| counters.cpu_time() as f64 / NANOSECONDS);
    write_times(text, &GUEST, routes, RouteCounters::guests);
    text.family(&ENDS);
    for (route, counters) in routes {
        for (end, count) in counters.ends() {
            text.sample(&ENDS, &[("http_route", route), ("end", end)], count);
        }
    }
    write_values(text, &QUEUE_LENGTH, routes, |counters| counters.queued.load(Relaxed) as f64);
    write_times(text, &QUEUE_WAIT, routes, RouteCounters::queue_waits);
}

fn write_concurrency(text: &mut MetricsText, gauges: &Gauges) {
    text.family(&CONCURRENCY);
    for (module, (running, _)) in &gauges.concurrency {
        text.sample(&CONCURRENCY, &[("module", module)], running);
    }
    text.family(&CONCURRENCY_LIMIT);
    for (module, (_, limit)) in &gauges.concurrency {
        text.sample(&CONCURRENCY_LIMIT, &[("module", module)], limit);
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::metrics::families::*;

    #[test]
    fn the_version_of_the_engine_is_that_of_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"wasmtime\"\nversion = \"{WASMTIME}\"\n")), "{WASMTIME}");
    }
}
