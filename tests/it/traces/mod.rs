//! Traces: whose span is below which, what is told of them, and what programs and their servers learn of a trace.

mod receiver;
mod told;
mod trouble;
mod variables;

use crate::support::caller::Caller;
use crate::support::guest::{component, probe};
use crate::support::http1::{Answer, Connection};
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::upstream::{Upstream, reply};
use crate::traces::receiver::Receiver;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
const LOOPBACK: &str = "allowed_hosts = ['http://127.0.0.1']";

/// An endpoint at which nothing listens.
const NOWHERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");

/// The field `traceparent` of a client that keeps its trace.
fn traceparent() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

/// A GET with more header lines, each ended.
fn get(wagi: &Wagi, target: &str, lines: &str) -> Answer {
    let mut connection = Connection::open(wagi.address());
    connection.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"));
    connection.answer()
}

/// The same in the trace of the client.
fn get_traced(wagi: &Wagi, target: &str) -> Answer {
    get(wagi, target, &format!("traceparent: {}\r\ntracestate: a=1,b=2\r\n", traceparent()))
}

/// The value of a variable that the probe has printed.
fn variable(answer: &Answer, name: &str) -> Option<String> {
    answer.text().lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

/// The probe at `/...` with a server that sends its spans to `receiver`, and more variables.
fn probed(receiver: &Receiver, variables: &[(&str, &str)]) -> Wagi {
    start(Site::probe(""), receiver, variables)
}

fn start(site: Site, receiver: &Receiver, variables: &[(&str, &str)]) -> Wagi {
    let endpoint = receiver.url("http");
    let ours = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "10")];
    site.start_with(&["--log-format", "json"], &[&ours, variables].concat())
}

/// A site with a module and a component that call `url`, and the probe.
fn calling(url: &str) -> Site {
    let module = Caller::new().get(url).module();
    Site::new()
        .text_module("/module", &module, LOOPBACK)
        .module("/component/...", &component("http-probe.wasm"), LOOPBACK)
        .module("/...", &probe(), "")
}

#[test]
#[ignore = "needs python3 with opentelemetry-proto"]
fn ids_join_from_the_client_over_the_request_to_the_calls_of_modules_and_components() {
    let upstream = Upstream::start(|_| reply("200 OK", "", "hello"));
    let receiver = Receiver::start(&[]);
    let wagi = start(calling(&upstream.url("/from/module")), &receiver, &[]);
    let call = format!("/component/call?{}", upstream.url("/from/component"));
    for (number, (target, route)) in [("/module", "/module"), (call.as_str(), "/component/...")].into_iter().enumerate()
    {
        assert_eq!(get_traced(&wagi, target).status, 200, "{target}");
        let request = receiver.span(&format!("GET {route}"));
        let below = |kind: &str, parent: &serde_json::Value| {
            crate::support::eventually(|| {
                let mut spans = receiver.spans().into_iter();
                spans.find(|span| span["kind"] == kind && span["parent"] == parent["span"])
            })
        };
        assert_eq!((&request["trace"], &request["parent"]), (&TRACE.into(), &SPAN.into()));
        assert_eq!((&request["kind"], &request["state"]), (&"SPAN_KIND_SERVER".into(), &"a=1,b=2".into()));
        let guest = crate::support::eventually(|| {
            let mut spans = receiver.spans().into_iter();
            spans.find(|span| span["name"] == "guest" && span["parent"] == request["span"])
        });
        let call = below("SPAN_KIND_CLIENT", &guest);
        assert_eq!((&call["trace"], &call["name"]), (&TRACE.into(), &"GET".into()));
        // The server that is called learns of the span of the call.
        let received = upstream.received()[number].clone();
        let expected = format!("00-{TRACE}-{}-01", call["span"].as_str().unwrap());
        assert_eq!(received.header("traceparent"), Some(expected.as_str()));
        assert_eq!(received.header("tracestate"), Some("a=1,b=2"));
        let queue = below("SPAN_KIND_INTERNAL", &request);
        assert_eq!(queue["trace"], TRACE);
    }
}

#[test]
#[ignore = "needs python3 with opentelemetry-proto"]
fn a_program_learns_of_the_span_of_its_request() {
    let receiver = Receiver::start(&[]);
    let wagi = start(calling("http://127.0.0.1/"), &receiver, &[]);
    let answer = get_traced(&wagi, "/env");
    let request = receiver.span("GET /...");
    let expected = format!("00-{TRACE}-{}-01", request["span"].as_str().unwrap());
    assert_eq!(variable(&answer, "HTTP_TRACEPARENT").as_deref(), Some(expected.as_str()));
    assert_eq!(variable(&answer, "HTTP_TRACESTATE").as_deref(), Some("a=1,b=2"));
    let answer = get(&wagi, "/env", "");
    let begun = variable(&answer, "HTTP_TRACEPARENT").expect("a trace begins here");
    let root = crate::support::eventually(|| receiver.spans().into_iter().find(|span| span["trace"] == begun[3..35]));
    assert_eq!(root["trace"].as_str().map(str::len), Some(32));
    let line = wagi.logged(&[&format!("\"trace_id\":\"{}\"", &begun[3..35]), "\"end\":\"ok\""]);
    assert!(line.contains("\"target\":\"/env\""), "{line}");
}

#[test]
fn a_traceparent_of_a_program_is_sent_as_it_is() {
    let upstream = Upstream::start(|_| reply("200 OK", "", ""));
    let own = format!("00-{TRACE}-{SPAN}-00");
    let module = Caller::new()
        .request("GET", upstream.url("/"), format!("traceparent:{own}\n"), "")
        .request("GET", upstream.url("/"), "tracestate:x=1\n", "")
        .module();
    let wagi = Site::new().text_module("/", &module, LOOPBACK).start_with(&[], &[NOWHERE]);
    assert_eq!(get(&wagi, "/", "").text(), "0 200 0\n0 200 1\n");
    let received = upstream.received();
    assert_eq!((received[0].header("traceparent"), received[0].header("tracestate")), (Some(own.as_str()), None));
    // A state without a parent means nothing.
    assert!(received[1].header("traceparent").is_some());
    assert_eq!(received[1].header("tracestate"), None);
}

#[test]
fn without_the_variables_a_trace_passes_as_any_field_does() {
    let upstream = Upstream::start(|_| reply("200 OK", "", ""));
    for variables in [
        &[][..],
        &[("OTEL_SERVICE_NAME", "shop"), ("OTEL_TRACES_SAMPLER", "nonsense")],
        &[NOWHERE, ("OTEL_SDK_DISABLED", "true")],
        &[NOWHERE, ("OTEL_TRACES_EXPORTER", "none")],
    ] {
        let wagi = calling(&upstream.url("/")).start_with(&["--log-format", "json"], variables);
        let answer = get(&wagi, "/env", "traceparent: anything\r\ntracestate: at all\r\n");
        assert_eq!(variable(&answer, "HTTP_TRACEPARENT").as_deref(), Some("anything"));
        assert_eq!(variable(&answer, "HTTP_TRACESTATE").as_deref(), Some("at all"));
        assert_eq!(variable(&get(&wagi, "/env", ""), "HTTP_TRACEPARENT"), None);
        assert_eq!(get_traced(&wagi, "/module").status, 200);
        assert_eq!(upstream.received().last().unwrap().header("traceparent"), None);
        let line = wagi.logged(&["\"target\":\"/module\"", "\"kind\":\"access\""]);
        assert!(!line.contains("trace_id") && !wagi.log().contains("OTEL_"), "{}", wagi.log());
    }
}

#[test]
fn what_is_no_traceparent_begins_a_new_trace() {
    let wagi = Site::probe("").start_with(&[], &[NOWHERE]);
    let good = traceparent();
    for lines in [
        format!("traceparent: {}\r\n", good.to_uppercase()),
        format!("traceparent: {good}\r\ntraceparent: {good}\r\n"),
        format!("traceparent: {}\r\n", good.replacen("00-", "ff-", 1)),
        format!("traceparent: {}\r\n", "0".repeat(7_000)),
        "traceparent: \r\n".to_owned(),
        "traceparent: 00-00000000000000000000000000000000-0000000000000000-01\r\n".to_owned(),
    ] {
        let answer = get(&wagi, "/env", &format!("{lines}tracestate: a=1\r\n"));
        let begun = variable(&answer, "HTTP_TRACEPARENT").expect("a trace");
        assert!(begun.len() == 55 && begun.starts_with("00-") && begun.ends_with("-01"), "{begun}");
        assert!(!begun.contains(TRACE), "{begun}");
        assert_eq!(variable(&answer, "HTTP_TRACESTATE"), None, "{lines}");
        wagi.logged(&[&format!(" trace_id={} ", &begun[3..35])]);
    }
    let answer = get(&wagi, "/env", &format!("traceparent: {good}\r\ntracestate: A=1\r\n"));
    assert!(variable(&answer, "HTTP_TRACEPARENT").unwrap().contains(TRACE));
    assert_eq!(variable(&answer, "HTTP_TRACESTATE"), None, "the state alone is dropped");
}
