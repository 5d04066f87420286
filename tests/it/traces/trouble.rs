//! Collectors that are slow, refuse or hang: no request waits for them.

use std::io::{self, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;

use crate::support::site::Site;
use crate::support::upstream::{Upstream, reply};
use crate::support::{LONG, eventually, port};
use crate::traces::{get, variable};

const QUICK: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "10");

#[test]
fn a_collector_that_hangs_delays_neither_a_request_nor_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (sender, connected) = mpsc::channel();
    std::thread::spawn(move || {
        // It takes the connection and what comes, and says nothing.
        let mut held = Vec::new();
        for stream in listener.incoming() {
            held.push(stream);
            let _ = sender.send(());
        }
    });
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        QUICK,
        ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "3600000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "3600000"),
    ];
    let mut wagi = Site::probe("").start_with(&[], &variables);
    get(&wagi, "/env", "");
    connected.recv_timeout(LONG).expect("the server sends its spans");
    for _ in 0..100 {
        assert_eq!(get(&wagi, "/env", "").status, 200);
    }
    wagi.logged(&["spans are dropped: the collector takes them too slowly"]);
    assert_eq!(wagi.log().matches("spans are dropped").count(), 1, "{}", wagi.log());
    wagi.signal("TERM");
    assert!(wagi.ended().success());
    wagi.logged(&["the last spans are lost: the collector did not take them within 3 s"]);
    let line = wagi.logged(&["spans were dropped since the start"]);
    let spans = line.split("spans=").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    assert!(spans.is_some_and(|spans| spans >= 100), "{line}");
}

#[test]
fn what_a_collector_refuses_is_lost_and_said_once() {
    let upstream = Upstream::start(|_| reply("401 Unauthorized", "", "\u{1b}[2J"));
    // The body of its answer never comes.
    let broken = Upstream::start_with(|_, stream| {
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n")?;
        Err(io::ErrorKind::ConnectionAborted.into())
    });
    let closed = port::free();
    // A collector that is not there is tried again until the timeout.
    for (endpoint, reason, timeout) in [
        (upstream.url(""), "it answers with status 401", "30000"),
        (broken.url(""), "it answers with status 401", "30000"),
        (format!("http://{closed}"), "cannot reach", "1000"),
    ] {
        let variables =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), QUICK, ("OTEL_BSP_EXPORT_TIMEOUT", timeout)];
        let wagi = Site::probe("").start_with(&[], &variables);
        for _ in 0..3 {
            assert_eq!(get(&wagi, "/env", "").status, 200);
        }
        wagi.logged(&["spans are lost: the collector has not taken them", reason]);
        assert_eq!(wagi.log().matches("spans are lost").count(), 1, "{}", wagi.log());
    }
}

#[test]
fn a_collector_that_is_busy_gets_the_spans_again() {
    let asked = AtomicUsize::new(0);
    let upstream = Upstream::start(move |_| match asked.fetch_add(1, Relaxed) {
        0 => reply("503 Busy", "Retry-After: 0\r\n", ""),
        _ => reply("200 OK", "", ""),
    });
    let endpoint = upstream.url("/x");
    let wagi = Site::probe("").start_with(&[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), QUICK]);
    get(&wagi, "/env", "");
    let received = eventually(|| Some(upstream.received()).filter(|received| received.len() >= 2));
    assert_eq!(received[0].line, "POST /x/v1/traces");
    assert_eq!(received[0].body, received[1].body);
    assert!(!wagi.log().contains("spans are lost"));
}

#[test]
fn a_collector_that_is_always_busy_is_not_asked_without_a_pause_and_gets_the_next_spans() {
    let upstream = Upstream::start(|_| reply("503 Busy", "Retry-After: 0\r\n", ""));
    let endpoint = upstream.url("");
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), QUICK, ("OTEL_BSP_EXPORT_TIMEOUT", "2000")];
    let wagi = Site::probe("").start_with(&[], &variables);
    get(&wagi, "/env", "");
    wagi.logged(&["spans are lost: the collector has not taken them"]);
    let received = upstream.received();
    // A second lies between two attempts, and there are two seconds. Other spans may have come too late for this batch.
    let attempts = received.iter().filter(|attempt| attempt.body == received[0].body).count();
    assert!(attempts <= 2, "{attempts}");
    let query = "the-next-batch";
    get(&wagi, &format!("/env?{query}"), "");
    let is_told = |body: &[u8]| body.windows(query.len()).any(|part| part == query.as_bytes());
    eventually(|| upstream.received().iter().any(|received| is_told(&received.body)).then_some(()));
}

#[test]
fn a_collector_that_answers_without_end_is_given_up() {
    let upstream = Upstream::start_with(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        loop {
            stream.write_all(format!("1000\r\n{}\r\n", "x".repeat(4096)).as_bytes())?;
        }
    });
    let endpoint = upstream.url("");
    let wagi = Site::probe("").start_with(&[], &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), QUICK]);
    get(&wagi, "/env", "");
    wagi.logged(&["spans are lost", "has more than 65536 bytes"]);
}

#[test]
fn traces_that_are_not_kept_cost_no_span_and_go_on_all_the_same() {
    let upstream = Upstream::start(|_| reply("200 OK", "", ""));
    let endpoint = upstream.url("");
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), QUICK, ("OTEL_TRACES_SAMPLER", "always_off")];
    let mut wagi = Site::probe("").start_with(&[], &variables);
    let parent = variable(&get(&wagi, "/env", ""), "HTTP_TRACEPARENT").expect("a trace");
    assert!(parent.ends_with("-00"), "{parent}");
    wagi.logged(&[&format!(" trace_id={}", &parent[3..35])]);
    wagi.signal("TERM");
    assert!(wagi.ended().success());
    assert!(upstream.received().is_empty());
}
