//! Metrics, as they are counted and written.

use std::collections::BTreeSet;

use http::Method;

use crate::observe::metrics::*;
use crate::runtime::{CallResult, RunUsage};

const PAGE: &str = include_str!("../../../docs/metrics.md");

fn gauges() -> Gauges {
    let listener = ListenerGauges { open: 1, counts: vec![("http1", "accepted", 4), ("", "closed", 2)] };
    let module = ModuleLabels { module: "a.wasm".to_owned(), digest: "sha256:0".to_owned(), kind: "module" };
    Gauges {
        generation: 3,
        concurrency: BTreeMap::from([("a.wasm".to_owned(), (1, 2))]),
        warm_starts: BTreeMap::from([("/a".to_owned(), (2, 1))]),
        dropped_lines: 7,
        malformed_forwarded: 6,
        modules: BTreeSet::from([module]),
        listeners: BTreeMap::from([("http://127.0.0.1:1".to_owned(), listener)]),
        certificates: BTreeMap::from([(
            "CN=a".to_owned(),
            SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000),
        )]),
    }
}

fn finished(method: &Method, status: u16) -> Finished<'_> {
    static USAGE: RunUsage = RunUsage {
        cpu_time: Duration::from_micros(100),
        took: Some(Duration::from_micros(200)),
        memory_peak: 1 << 17,
        is_in_background: true,
    };
    Finished { method, status, took: Duration::from_micros(300), bytes: 5, end: RequestEnd::Ok, guest: Some(&USAGE) }
}

fn counted(metrics: &Metrics, route: &str) -> Arc<RouteCounters> {
    metrics.counted().into_iter().find(|(name, _)| name == route).expect("a route").1
}

#[test]
fn a_request_is_in_all_metrics_of_its_route() {
    let metrics = Metrics::default();
    metrics.enter([RouteName::new(&"/a/...", &"a.wasm")].iter());
    let route = counted(&metrics, "/a/...");
    (0..3).for_each(|_| route.begin());
    route.finish(&finished(&Method::GET, 200));
    route.finish(&finished(&Method::from_bytes(b"BREW").unwrap(), 418));
    route.add_request_bytes(11);
    route.skip_queue();
    route.add_call(CallResult::Ok, Duration::from_millis(2));
    route.add_call(CallResult::Denied, Duration::ZERO);
    metrics.add_compilation(Duration::from_millis(20));
    metrics.add_fetch(Duration::from_millis(200));
    let text = metrics.render(&gauges(), MetricsFormat::Text);
    for line in [
        "http_server_request_duration_seconds_count{http_route=\"/a/...\",http_request_method=\"GET\",http_response_status_code=\"200\"} 1",
        "http_server_request_duration_seconds_count{http_route=\"/a/...\",http_request_method=\"_OTHER\",http_response_status_code=\"418\"} 1",
        "http_server_active_requests{http_route=\"/a/...\"} 1",
        "http_server_active_requests{http_route=\"\"} 0",
        "http_server_request_body_size_bytes_total{http_route=\"/a/...\"} 11",
        "http_server_response_body_size_bytes_total{http_route=\"/a/...\"} 10",
        "wagi_guest_cpu_seconds_total{http_route=\"/a/...\"} 0.0002",
        "wagi_guest_duration_seconds_count{http_route=\"/a/...\"} 2",
        "wagi_guest_duration_seconds_sum{http_route=\"/a/...\"} 0.0004",
        "wagi_guest_memory_peak_bytes_bucket{http_route=\"/a/...\",le=\"65536\"} 0",
        "wagi_guest_memory_peak_bytes_bucket{http_route=\"/a/...\",le=\"262144\"} 2",
        "wagi_guest_moved_to_background_total{http_route=\"/a/...\"} 2",
        "wagi_guest_ends_total{http_route=\"/a/...\",end=\"ok\"} 2",
        "wagi_queue_wait_seconds_bucket{http_route=\"/a/...\",le=\"0.00005\"} 1",
        "wagi_queue_length{http_route=\"/a/...\"} 0",
        "wagi_concurrency{module=\"a.wasm\"} 1",
        "wagi_concurrency_limit{module=\"a.wasm\"} 2",
        "wagi_config_generation 3",
        "wagi_config_last_reload_success 1",
        "wagi_log_lines_dropped_total 7",
        "wagi_forwarded_malformed_total 6",
        "wagi_connections{listener=\"http://127.0.0.1:1\"} 1",
        "wagi_connections_total{listener=\"http://127.0.0.1:1\",protocol=\"http1\",result=\"accepted\"} 4",
        "wagi_connections_total{listener=\"http://127.0.0.1:1\",protocol=\"\",result=\"closed\"} 2",
        "wagi_outbound_requests_total{http_route=\"/a/...\",result=\"ok\"} 1",
        "wagi_outbound_requests_total{http_route=\"/a/...\",result=\"denied\"} 1",
        "wagi_outbound_requests_total{http_route=\"/a/...\",result=\"timeout\"} 0",
        "wagi_outbound_request_duration_seconds_count{http_route=\"/a/...\"} 1",
        "wagi_module_compile_seconds_bucket{le=\"0.025\"} 1",
        "wagi_module_fetch_seconds_sum 0.2",
        "wagi_module_info{module=\"a.wasm\",digest=\"sha256:0\",kind=\"module\"} 1",
        "wagi_tls_certificate_not_after_timestamp_seconds{subject=\"CN=a\"} 2000000000",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
}

#[test]
fn the_33rd_status_of_a_route_is_counted_as_other() {
    let metrics = Metrics::default();
    (200..240).for_each(|status| metrics.unrouted.finish(&finished(&Method::GET, status)));
    let durations = metrics.unrouted.durations();
    assert_eq!(durations.len(), 33);
    let (_, status, counts) = durations.last().unwrap();
    assert_eq!((status.as_str(), counts.count()), ("other", 8));
}

/// Prometheus text format: a series occurs once.
#[test]
fn a_route_without_a_name_has_the_series_of_requests_without_a_route() {
    let metrics = Metrics::default();
    let name = RouteName::new(&"", &"a.wasm");
    metrics.enter([&name].into_iter());
    let text = metrics.render(&gauges(), MetricsFormat::Text);
    let series = text.lines().filter(|line| line.starts_with("http_server_active_requests{http_route=\"\""));
    assert_eq!(series.count(), 1, "{text}");
}

#[test]
fn a_route_that_stays_goes_on_counting_and_one_that_is_gone_is_dropped_after_an_hour() {
    let metrics = Metrics::default();
    metrics.enter([RouteName::new(&"/a", &"a.wasm"), RouteName::new(&"/b", &"b.wasm")].iter());
    counted(&metrics, "/a").finish(&finished(&Method::GET, 200));
    metrics.enter([RouteName::new(&"/a", &"other.wasm")].iter());
    assert_eq!(counted(&metrics, "/a").all().count(), 1);
    assert!(metrics.counted().iter().any(|(route, _)| route == "/b"));
    let long_ago = Instant::now().checked_sub(KEPT);
    if let Some(route) = lock(&metrics.routes).get_mut("/b") {
        route.gone = long_ago;
    }
    assert_eq!(metrics.counted().iter().any(|(route, _)| route == "/b"), long_ago.is_none());
}

#[test]
fn reloads_are_counted_by_result() {
    let metrics = Metrics::default();
    metrics.add_reload(ReloadResult::Swapped);
    metrics.add_reload(ReloadResult::Refused);
    let text = metrics.render(&gauges(), MetricsFormat::Text);
    assert!(text.contains("wagi_config_reloads_total{result=\"failure\"} 1\n"), "{text}");
    assert!(text.contains("wagi_config_last_reload_success 0\n"), "{text}");
}

#[test]
fn figures_have_the_quantiles_of_the_route() {
    let metrics = Metrics::default();
    metrics.unrouted.begin();
    metrics.unrouted.finish(&finished(&Method::GET, 404));
    let figures = metrics.figures().into_iter().next().unwrap();
    assert_eq!((figures.requests, figures.in_flight, figures.ends), (1, 0, vec![("ok", 1)]));
    assert!(figures.p99.unwrap() <= Duration::from_micros(500));
}

#[test]
fn the_table_of_metrics_has_all_of_them_with_their_types() {
    let metrics = Metrics::default();
    metrics.add_reload(ReloadResult::Swapped);
    let text = metrics.render(&gauges(), MetricsFormat::Text);
    let written = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(str::to_owned);
    // The system may not tell some of these.
    let of_process = process::FAMILIES.iter().map(|family| format!("{} {}", family.name, family.kind.name()));
    let written: BTreeSet<String> = written.chain(of_process).collect();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        Some(format!("{} {}", cells.next()?.trim_end_matches('`'), cells.next()?))
    };
    let told: BTreeSet<String> = PAGE.lines().filter_map(row).collect();
    assert_eq!(told, written);
}

#[test]
fn samples_have_the_labels_of_the_table() {
    let metrics = Metrics::default();
    metrics.unrouted.finish(&finished(&Method::GET, 200));
    metrics.unrouted.skip_queue();
    metrics.unrouted.add_call(CallResult::Ok, Duration::ZERO);
    let text = metrics.render(&gauges(), MetricsFormat::Text);
    for line in PAGE.lines().filter(|line| line.starts_with("| `")) {
        let name = line.split('`').nth(1).unwrap();
        let told: Vec<_> = line.split(" | ").nth(2).unwrap().split('`').skip(1).step_by(2).collect();
        let is_sample =
            |line: &&str| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name}_count{{"));
        let Some(sample) = text.lines().find(is_sample) else {
            assert!(told.is_empty(), "no sample of {name}");
            continue;
        };
        let written: Vec<_> =
            sample.split(['{', ',']).skip(1).filter_map(|label| label.split_once("=\"")).map(|label| label.0).collect();
        assert_eq!(written, told, "{name}");
    }
}
