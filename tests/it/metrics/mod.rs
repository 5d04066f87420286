//! What is counted of requests and guests, and how it is written.
//!
//! | file | question |
//! | --- | --- |
//! | `server` | what is counted of reloads, connections and certificates |
//! | `prometheus` | whether promtool understands it, with the alerts and the dashboard |
//! | `scraped` | what a real Prometheus answers about a real server |

mod prometheus;
mod scraped;
mod server;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;

use wagi::Gateway;
use wagi::observe::{MetricsFormat, sha256_hex};

use crate::support::caller::Caller;
use crate::support::guest::{component, printing, printing_then, probe};
use crate::support::harness::{Running, Test};
use crate::support::upstream::{Upstream, reply};
use crate::support::{LONG, port};

/// The value of a sample, 0 if it is not there.
fn value(gateway: &Gateway, sample: &str) -> f64 {
    let text = gateway.render_metrics();
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().expect("a number"))
}

/// Waits until the samples have these values: a request is counted when its response is sent, and the client may know before.
#[track_caller]
fn has(gateway: &Gateway, samples: &[(&str, f64)]) {
    let begun = Instant::now();
    for (sample, expected) in samples {
        loop {
            let found = value(gateway, sample);
            if (found - expected).abs() < 1e-9 {
                break;
            }
            assert!(begun.elapsed() < LONG, "{sample} is {found} and not {expected}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

async fn send(running: &Running, method: &str, target: &str) {
    running.send(Request::builder().method(method).uri(target).body(Bytes::new()).expect("a request")).await;
}

/// The label of a count of requests.
fn requests(route: &str, method: &str, status: &str) -> String {
    format!(
        "http_server_request_duration_seconds_count{{http_route=\"{route}\",http_request_method=\"{method}\",\
         http_response_status_code=\"{status}\"}}"
    )
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_status() {
    let guest = printing("Status: 418\nContent-Type: text/plain\n\nshort and stout");
    let running = Test::new().module("/a/...", &guest, "").start().await;
    for target in ["/a", "/a/b", "/a/c?d=e"] {
        running.get(target).await;
    }
    running.post("/a", "0123456789").await;
    for target in ["/nowhere", "/elsewhere", "/healthz"] {
        running.get(target).await;
    }
    has(
        running.gateway(),
        &[
            (&requests("/a/...", "GET", "418"), 3.0),
            (&requests("/a/...", "POST", "418"), 1.0),
            (&requests("", "GET", "404"), 2.0),
            (&requests("", "GET", "200"), 1.0),
            ("http_server_active_requests{http_route=\"/a/...\"}", 0.0),
            ("http_server_response_body_size_bytes_total{http_route=\"/a/...\"}", 60.0),
            ("wagi_guest_duration_seconds_count{http_route=\"/a/...\"}", 4.0),
            ("wagi_guest_duration_seconds_count{http_route=\"\"}", 0.0),
            ("wagi_guest_ends_total{http_route=\"/a/...\",end=\"ok\"}", 4.0),
            ("wagi_guest_ends_total{http_route=\"\",end=\"none\"}", 3.0),
            ("wagi_queue_wait_seconds_count{http_route=\"/a/...\"}", 4.0),
        ],
    );
}

#[tokio::test]
async fn methods_are_the_nine_that_are_known_or_other() {
    let running = Test::printing("Content-Type: text/plain\n\nhi").start().await;
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW", "get", "PROPFIND"] {
        send(&running, method, "/").await;
    }
    for method in ["CONNECT", "TRACE"] {
        send(&running, method, "http://example.com/").await;
    }
    let text = running.gateway().render_metrics();
    let label = |line: &str| Some(line.split_once("http_request_method=\"")?.1.split_once('"')?.0.to_owned());
    let methods: std::collections::BTreeSet<_> = text.lines().filter_map(label).collect();
    let expected = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "_OTHER"];
    assert_eq!(methods.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    has(running.gateway(), &[(&requests("/", "_OTHER", "200"), 3.0)]);
}

#[tokio::test]
async fn a_guest_cannot_make_more_than_33_statuses() {
    // The status is the query.
    let guest = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\08\00\00\00\00\02\00\00\03\00\00\00\30\00\00\00\02\00\00\00")
        (data (i32.const 16) "Status: ") (data (i32.const 48) "\n\n")
        (func (export "_start")
            (drop (call $args (i32.const 256) (i32.const 512)))
            (i32.store (i32.const 64) (i32.const 16)) (i32.store (i32.const 68) (i32.const 8))
            (i32.store (i32.const 72) (i32.load (i32.const 260))) (i32.store (i32.const 76) (i32.const 3))
            (i32.store (i32.const 80) (i32.const 48)) (i32.store (i32.const 84) (i32.const 2))
            (drop (call $write (i32.const 1) (i32.const 64) (i32.const 3) (i32.const 128)))))"#;
    let running = Test::at("/", guest).start().await;
    for status in 200..260 {
        assert_eq!(running.get(&format!("/?{status}")).await.status, status);
    }
    let text = running.gateway().render_metrics();
    let counts =
        text.lines().filter(|line| line.starts_with("http_server_request_duration_seconds_count{http_route=\"/\""));
    assert_eq!(counts.count(), 33);
    has(running.gateway(), &[(&requests("/", "GET", "other"), 28.0), (&requests("/", "GET", "231"), 1.0)]);
}

#[tokio::test]
async fn guests_are_counted_by_how_they_end() {
    let trap = printing_then("", "(unreachable)");
    let exit = printing_then("", "(call $exit (i32.const 3))");
    let running = Test::new()
        .module("/trap", &trap, "")
        .module("/exit", &exit, "")
        .module("/none", &printing("x"), "")
        .start()
        .await;
    for target in ["/trap", "/trap", "/exit", "/none"] {
        running.get(target).await;
    }
    has(
        running.gateway(),
        &[
            ("wagi_guest_ends_total{http_route=\"/trap\",end=\"trap\"}", 2.0),
            ("wagi_guest_ends_total{http_route=\"/exit\",end=\"exit\"}", 1.0),
            ("wagi_guest_ends_total{http_route=\"/none\",end=\"bad-head\"}", 1.0),
            (&requests("/trap", "GET", "500"), 2.0),
        ],
    );
}

#[tokio::test]
async fn the_most_memory_of_a_guest_is_counted_in_steps_of_four() {
    let grows = printing_then("Content-Type: text/plain\n\n", "(drop (memory.grow (i32.const 31)))");
    let small = printing("Content-Type: text/plain\n\n");
    let running = Test::new().module("/grows", &grows, "").module("/small", &small, "").start().await;
    running.get("/grows").await;
    running.get("/small").await;
    let bucket = |route: &str, bound: u64| {
        format!("wagi_guest_memory_peak_bytes_bucket{{http_route=\"{route}\",le=\"{bound}\"}}")
    };
    has(
        running.gateway(),
        &[
            (&bucket("/small", 65_536), 1.0),
            (&bucket("/grows", 1 << 20), 0.0),
            (&bucket("/grows", 1 << 22), 1.0),
            ("wagi_guest_memory_peak_bytes_sum{http_route=\"/grows\"}", 2_097_152.0),
        ],
    );
}

#[tokio::test]
async fn a_guest_that_computes_for_long_is_counted_where_it_goes() {
    let running = Test::new()
        .file_module("/...", &probe(), "limits = { cpu_time = '200ms', time_to_head = '10m' }")
        .start()
        .await;
    running.get("/spin").await;
    running.get("/").await;
    let gateway = running.gateway();
    has(
        gateway,
        &[
            ("wagi_guest_moved_to_background_total{http_route=\"/...\"}", 1.0),
            ("wagi_guest_ends_total{http_route=\"/...\",end=\"timeout\"}", 1.0),
        ],
    );
    assert!(value(gateway, "wagi_guest_cpu_seconds_total{http_route=\"/...\"}") >= 0.19);
    assert!(value(gateway, "wagi_guest_duration_seconds_sum{http_route=\"/...\"}") >= 0.19);
    assert!(value(gateway, "process_cpu_seconds_total") >= 0.19);
}

#[tokio::test]
async fn bytes_of_request_bodies_are_counted_as_they_are_read() {
    let running = Test::new().file_module("/...", &probe(), "").start().await;
    running.post("/echo", vec![b'a'; 70_000]).await;
    let read = value(running.gateway(), "http_server_request_body_size_bytes_total{http_route=\"/...\"}");
    assert!((read - 70_000.0).abs() < 1e-9, "{read}");
}

#[tokio::test]
async fn requests_that_wait_for_a_permit_are_counted_while_they_do_and_after() {
    let test = Test::new().top("[limits]\nqueue_wait = '10m'");
    let running = test.file_module("/...", &probe(), "limits = { concurrency = 1 }").start().await;
    let gateway = running.gateway();
    let look = async {
        let begun = Instant::now();
        while value(gateway, "wagi_queue_length{http_route=\"/...\"}") < 1.0 {
            assert!(begun.elapsed() < LONG, "nobody waits");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        has(gateway, &[("http_server_active_requests{http_route=\"/...\"}", 2.0)]);
        has(gateway, &[("wagi_concurrency{module=\"\"}", 1.0)]);
    };
    tokio::join!(running.get("/sleep?3000"), running.get("/sleep?1"), look);
    has(
        gateway,
        &[
            ("wagi_queue_length{http_route=\"/...\"}", 0.0),
            ("wagi_queue_wait_seconds_count{http_route=\"/...\"}", 2.0),
            ("wagi_queue_wait_seconds_bucket{http_route=\"/...\",le=\"0.00005\"}", 1.0),
            ("wagi_concurrency{module=\"\"}", 0.0),
        ],
    );
    assert!(value(gateway, "wagi_queue_wait_seconds_sum{http_route=\"/...\"}") > 0.0);
}

#[tokio::test]
async fn calls_to_upstreams_are_counted_by_what_came_of_them() {
    let upstream = Upstream::start(|_| reply("404 Not Found", "", "no"));
    let call = |url: String| Caller::new().request("GET", url, "", "").module();
    let (called, refused) = (call(upstream.url("/")), call("http://192.0.2.1/".to_owned()));
    let closed = port::free();
    let nobody = call(format!("http://{closed}/"));
    let allowed = "allowed_hosts = ['http://127.0.0.1']";
    let running = Test::new()
        .module("/called", &called, allowed)
        .module("/refused", &refused, allowed)
        .module("/nobody", &nobody, allowed)
        .module("/none", &called, "")
        .start()
        .await;
    for target in ["/called", "/called", "/refused", "/nobody", "/none"] {
        running.get(target).await;
    }
    let result = |route: &str, result: &str| {
        format!("wagi_outbound_requests_total{{http_route=\"{route}\",result=\"{result}\"}}")
    };
    has(
        running.gateway(),
        &[
            (&result("/called", "ok"), 2.0),
            (&result("/called", "denied"), 0.0),
            (&result("/refused", "denied"), 1.0),
            (&result("/nobody", "not-connected"), 1.0),
            (&result("/none", "denied"), 1.0),
            ("wagi_outbound_request_duration_seconds_count{http_route=\"/called\"}", 2.0),
            ("wagi_outbound_request_duration_seconds_count{http_route=\"/refused\"}", 0.0),
        ],
    );
}

#[tokio::test]
async fn modules_are_named_with_their_digest_and_kind() {
    let guest = printing("Content-Type: text/plain\n\nhi");
    let probe = component("http-probe.wasm");
    let running =
        Test::new().module("/a", &guest, "").module("/b", &guest, "").file_module("/c", &probe, "").start().await;
    let text = running.gateway().render_metrics();
    let of = |digest: String, kind: &str| {
        let labels = format!("digest=\"sha256:{digest}\",kind=\"{kind}\"}} 1");
        text.lines().filter(|line| line.starts_with("wagi_module_info{module=\"") && line.ends_with(&labels)).count()
    };
    assert_eq!(of(sha256_hex(guest.as_bytes()), "module"), 2);
    assert_eq!(of(sha256_hex(&std::fs::read(probe).expect("a file")), "component"), 1);
    has(running.gateway(), &[("wagi_concurrency{module=\"\"}", 0.0), ("wagi_config_generation", 1.0)]);
}

#[tokio::test]
async fn what_a_configuration_says_is_escaped() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("a\\b\"c.wat");
    std::fs::write(&path, printing("Content-Type: a/b\n\n")).expect("a file");
    let running = Test::new().file_module("/", &path, "").start().await;
    let text = running.gateway().render_metrics();
    assert!(text.contains("a\\\\b\\\"c.wat\",digest=\"sha256:"), "{text}");
}

#[tokio::test]
async fn open_metrics_ends_with_its_last_line_and_has_the_same_samples() {
    let running = Test::printing("Content-Type: text/plain\n\nhi").start().await;
    running.get("/").await;
    let open = running.gateway().render_metrics_as(MetricsFormat::OpenMetrics);
    assert!(open.ends_with("\n# EOF\n"), "{open}");
    assert!(open.contains("# TYPE wagi_guest_ends counter\n"), "{open}");
    assert!(open.contains("wagi_guest_ends_total{http_route=\"/\",end=\"ok\"} 1\n"), "{open}");
    let samples = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(samples(&open), samples(&running.gateway().render_metrics()));
}
