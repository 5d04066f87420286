//! What are the metrics called, of which type are they, and what do they say? `families` has their values.

use crate::observe::metrics::text::{Family, MetricKind};

const fn family(name: &'static str, kind: MetricKind, help: &'static str) -> Family {
    Family { name, kind, help }
}

pub(super) const DURATION: Family = family(
    "http_server_request_duration_seconds",
    MetricKind::Histogram,
    "From the head of a request to the end of its response.",
);
pub(super) const ACTIVE: Family =
    family("http_server_active_requests", MetricKind::Gauge, "Requests that have not ended.");
pub(super) const REQUEST_BYTES: Family =
    family("http_server_request_body_size_bytes_total", MetricKind::Counter, "Bytes of request bodies that were read.");
pub(super) const RESPONSE_BYTES: Family =
    family("http_server_response_body_size_bytes_total", MetricKind::Counter, "Bytes of response bodies.");
pub(super) const CPU: Family = family("wagi_guest_cpu_seconds_total", MetricKind::Counter, "CPU time of guests.");
pub(super) const GUEST: Family =
    family("wagi_guest_duration_seconds", MetricKind::Histogram, "From the instantiation of a guest to its end.");
pub(super) const GUEST_MEMORY: Family =
    family("wagi_guest_memory_peak_bytes", MetricKind::Histogram, "The most memory that a guest had.");
pub(super) const MOVED: Family = family(
    "wagi_guest_moved_to_background_total",
    MetricKind::Counter,
    "Guests that computed for so long that they were moved to the background.",
);
pub(super) const ENDS: Family =
    family("wagi_guest_ends_total", MetricKind::Counter, "How requests ended, as in the access log.");
pub(super) const WARM_STARTS: Family = family(
    "wagi_warm_starts_total",
    MetricKind::Counter,
    "Requests to routes with `warm_start`, by where their guests began.",
);
pub(super) const QUEUE_LENGTH: Family =
    family("wagi_queue_length", MetricKind::Gauge, "Requests that wait for a permit.");
pub(super) const QUEUE_WAIT: Family =
    family("wagi_queue_wait_seconds", MetricKind::Histogram, "How long requests waited for a permit.");
pub(super) const CONCURRENCY: Family =
    family("wagi_concurrency", MetricKind::Gauge, "Guests that run; of all modules without a name.");
pub(super) const CONCURRENCY_LIMIT: Family =
    family("wagi_concurrency_limit", MetricKind::Gauge, "How many guests may run; of all modules without a name.");
pub(super) const GENERATION: Family =
    family("wagi_config_generation", MetricKind::Gauge, "The number of the configuration in force.");
pub(super) const RELOADS: Family = family("wagi_config_reloads_total", MetricKind::Counter, "Reloads by their result.");
pub(super) const LAST_SUCCESS: Family =
    family("wagi_config_last_reload_success", MetricKind::Gauge, "Whether the last reload, or the start, succeeded.");
pub(super) const LAST_TIMESTAMP: Family =
    family("wagi_config_last_reload_timestamp_seconds", MetricKind::Gauge, "When the last reload ended, in Unix time.");
pub(super) const DROPPED: Family =
    family("wagi_log_lines_dropped_total", MetricKind::Counter, "Lines of the access log that were dropped.");
pub(super) const MALFORMED: Family = family(
    "wagi_forwarded_malformed_total",
    MetricKind::Counter,
    "Fields of trusted proxies about the client that cannot be read.",
);
pub(super) const BUILD: Family =
    family("wagi_build_info", MetricKind::Gauge, "The version of wagi, and of the engine.");
pub(super) const CONNECTIONS: Family = family("wagi_connections", MetricKind::Gauge, "Connections that are open.");
pub(super) const CONNECTIONS_TOTAL: Family =
    family("wagi_connections_total", MetricKind::Counter, "Connections by their protocol, and by what came of them.");
pub(super) const CALLS: Family =
    family("wagi_outbound_requests_total", MetricKind::Counter, "Requests of guests to upstreams by their result.");
pub(super) const CALL_DURATION: Family = family(
    "wagi_outbound_request_duration_seconds",
    MetricKind::Histogram,
    "How long requests of guests to upstreams took until there was a response, or until they failed.",
);
pub(super) const COMPILATION: Family =
    family("wagi_module_compile_seconds", MetricKind::Histogram, "How long modules were compiled.");
pub(super) const FETCH: Family =
    family("wagi_module_fetch_seconds", MetricKind::Histogram, "How long modules were fetched.");
pub(super) const MODULE: Family = family("wagi_module_info", MetricKind::Gauge, "The modules that are served.");
pub(super) const CERTIFICATE: Family = family(
    "wagi_tls_certificate_not_after_timestamp_seconds",
    MetricKind::Gauge,
    "When the certificate ends, in Unix time.",
);
