//! Which metrics are written, and from where do their values come?

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::observe::metrics::format::MetricsFormat;
use crate::observe::metrics::histogram::{BucketCounts, SIZES, TIMES};
use crate::observe::metrics::names::{
    ACTIVE, BUILD, CALL_DURATION, CALLS, CERTIFICATE, COMPILATION, CONCURRENCY, CONCURRENCY_LIMIT, CONNECTIONS,
    CONNECTIONS_TOTAL, CPU, DROPPED, DURATION, ENDS, FETCH, GENERATION, GUEST, GUEST_MEMORY, LAST_SUCCESS,
    LAST_TIMESTAMP, MALFORMED, MODULE, MOVED, QUEUE_LENGTH, QUEUE_WAIT, RELOADS, REQUEST_BYTES, RESPONSE_BYTES,
    WARM_STARTS,
};
use crate::observe::metrics::process;
use crate::observe::metrics::route::RouteCounters;
use crate::observe::metrics::text::{Family, MetricsText};
use crate::observe::metrics::{Gauges, LastReload, Metrics, ModuleLabels, ReloadResult, lock};

const NANOSECONDS: f64 = 1e9;

/// The version of the engine.
const WASMTIME: &str = "48.0.8";

type NamedRoutes = [(String, Arc<RouteCounters>)];

impl Metrics {
    /// The text of all metrics.
    pub fn render(&self, gauges: &Gauges, format: MetricsFormat) -> String {
        let (mut text, routes) = (MetricsText::new(format), self.counted());
        write_requests(&mut text, &routes);
        write_guests(&mut text, &routes);
        write_warm_starts(&mut text, gauges);
        write_calls(&mut text, &routes);
        write_concurrency(&mut text, gauges);
        write_connections(&mut text, gauges);
        self.write_modules(&mut text, gauges);
        self.write_reloads(&mut text, gauges);
        write_certificates(&mut text, gauges);
        text.family(&DROPPED);
        text.sample(&DROPPED, &[], gauges.dropped_lines);
        text.family(&MALFORMED);
        text.sample(&MALFORMED, &[], gauges.malformed_forwarded);
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
        let LastReload { at, result } = *lock(&self.last_reload);
        text.family(&LAST_SUCCESS);
        text.sample(&LAST_SUCCESS, &[], u8::from(result != ReloadResult::Refused));
        text.family(&LAST_TIMESTAMP);
        text.sample(&LAST_TIMESTAMP, &[], timestamp(at));
    }

    fn write_modules(&self, text: &mut MetricsText, gauges: &Gauges) {
        for (family, times) in [(&COMPILATION, &self.compilations), (&FETCH, &self.fetches)] {
            text.family(family);
            text.histogram(family, &[], (&times.0.counts(), TIMES), NANOSECONDS);
        }
        text.family(&MODULE);
        for ModuleLabels { module, digest, kind } in &gauges.modules {
            text.sample(&MODULE, &[("module", module), ("digest", digest), ("kind", kind)], 1);
        }
    }
}

/// In seconds since 1970.
fn timestamp(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
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
    write_times(text, &GUEST, routes, RouteCounters::guest_durations);
    text.family(&GUEST_MEMORY);
    for (route, counters) in routes {
        if let Some(counts) = counters.guest_memory() {
            text.histogram(&GUEST_MEMORY, &[("http_route", route)], (&counts, SIZES), 1.0);
        }
    }
    write_values(text, &MOVED, routes, |counters| counters.moved() as f64);
    text.family(&ENDS);
    for (route, counters) in routes {
        for (end, count) in counters.ends() {
            text.sample(&ENDS, &[("http_route", route), ("end", end)], count);
        }
    }
    write_values(text, &QUEUE_LENGTH, routes, |counters| counters.queued.load(Relaxed) as f64);
    write_times(text, &QUEUE_WAIT, routes, RouteCounters::queue_waits);
}

fn write_warm_starts(text: &mut MetricsText, gauges: &Gauges) {
    text.family(&WARM_STARTS);
    for (route, (warm, cold)) in &gauges.warm_starts {
        for (result, count) in [("warm", *warm), ("cold", *cold)] {
            text.sample(&WARM_STARTS, &[("http_route", route), ("result", result)], count);
        }
    }
}

fn write_calls(text: &mut MetricsText, routes: &NamedRoutes) {
    text.family(&CALLS);
    for (route, counters) in routes {
        for (result, count) in counters.calls() {
            text.sample(&CALLS, &[("http_route", route), ("result", result)], count);
        }
    }
    write_times(text, &CALL_DURATION, routes, RouteCounters::call_durations);
}

fn write_connections(text: &mut MetricsText, gauges: &Gauges) {
    text.family(&CONNECTIONS);
    for (listener, of_listener) in &gauges.listeners {
        text.sample(&CONNECTIONS, &[("listener", listener)], of_listener.open);
    }
    text.family(&CONNECTIONS_TOTAL);
    for (listener, of_listener) in &gauges.listeners {
        for (protocol, result, count) in &of_listener.counts {
            let labels = [("listener", listener.as_str()), ("protocol", protocol), ("result", result)];
            text.sample(&CONNECTIONS_TOTAL, &labels, count);
        }
    }
}

fn write_certificates(text: &mut MetricsText, gauges: &Gauges) {
    text.family(&CERTIFICATE);
    for (subject, not_after) in &gauges.certificates {
        text.sample(&CERTIFICATE, &[("subject", subject)], timestamp(*not_after));
    }
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
