//! What spans tell: names, attributes, errors, and how they reach the collector.

use serde_json::{Value, json};

use crate::support::caller::Caller;
use crate::support::guest::probe;
use crate::support::http1::Connection;
use crate::support::site::Site;
use crate::support::tls::fixture;
use crate::support::upstream::{Upstream, reply};
use crate::support::{eventually, port};
use crate::traces::receiver::Receiver;
use crate::traces::{LOOPBACK, get, get_traced, probed, start};

/// The attributes of a span of which these are the names.
fn attributes(span: &Value, names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| ((*name).to_owned(), span["attributes"][*name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[test]
#[ignore = "needs python3 with opentelemetry-proto"]
fn a_request_is_told_by_the_conventions_for_http() {
    let receiver = Receiver::start(&[]);
    let wagi = probed(
        &receiver,
        &[
            ("OTEL_SERVICE_NAME", "shop"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test%2C1,service.name=other"),
        ],
    );
    get(&wagi, "/env?a=1&sig=hush", "User-Agent: shop/1\r\n");
    let span = receiver.span("GET /...");
    let expected = json!({
        "http.request.method": "GET",
        "http.route": "/...",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/env",
        "url.query": "a=1&sig=REDACTED",
        "server.address": "localhost",
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "shop/1",
        "wagi.end": "ok",
    });
    let names: Vec<&str> = expected.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(attributes(&span, &names), expected);
    assert_eq!(
        (&span["status"], &span["scope"], &span["parent"]),
        (&"STATUS_CODE_UNSET".into(), &"wagi".into(), &"".into())
    );
    let resource = &span["resource"];
    assert_eq!(
        (&resource["service.name"], &resource["deployment.environment.name"]),
        (&"shop".into(), &"test,1".into())
    );
    let id = span["attributes"]["wagi.request_id"].as_str().unwrap();
    let trace = span["trace"].as_str().unwrap();
    wagi.logged(&[&format!("\"request_id\":\"{id}\""), &format!("\"trace_id\":\"{trace}\"")]);
    let guest = receiver.span("guest");
    assert!(guest["attributes"]["wagi.guest.memory_peak"].as_u64().is_some_and(|bytes| bytes > 0), "{guest}");
    for (inner, outer) in [(&guest, &span), (&receiver.span("queue"), &span)] {
        assert!(
            inner["began"].as_u64() >= outer["began"].as_u64() && inner["ended"].as_u64() <= outer["ended"].as_u64()
        );
    }
}

#[test]
#[ignore = "needs python3 with opentelemetry-proto"]
fn failures_are_errors_with_their_reason_and_mistakes_of_clients_are_not() {
    let receiver = Receiver::start(&[]);
    let site = Site::new().module("/probe/...", &probe(), "").module("/one/...", &probe(), "limits.concurrency = 1");
    let wagi = start(site.top("limits.queue = 0"), &receiver, &[]);
    get(&wagi, "/probe/trap", "");
    get(&wagi, "/missing", "");
    let mut connection = Connection::open(wagi.address());
    connection.send("PURGE /probe/exit?3 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    connection.answer();
    let mut holder = Connection::begin(wagi.address(), "/one/sleep?60000");
    holder.head();
    assert_eq!(get(&wagi, "/one/env", "").status, 503);
    for (name, status, error, message) in [
        ("GET /probe/...", "STATUS_CODE_ERROR", json!("trap"), "the guest trapped: "),
        ("GET", "STATUS_CODE_UNSET", Value::Null, ""),
        ("HTTP /probe/...", "STATUS_CODE_ERROR", json!("exit"), "the guest exited with code 3"),
        ("GET /one/...", "STATUS_CODE_ERROR", json!("busy"), "all places are taken"),
    ] {
        let span = receiver.span(name);
        assert_eq!((&span["status"], &span["attributes"]["error.type"]), (&status.into(), &error), "{span}");
        assert!(span["message"].as_str().unwrap().starts_with(message), "{span}");
    }
    assert_eq!(receiver.span("HTTP /probe/...")["attributes"]["http.request.method_original"], "PURGE");
    let failed = |name: &str| {
        receiver.spans().into_iter().find(|span| span["name"] == name && span["status"] == "STATUS_CODE_ERROR")
    };
    assert_eq!(eventually(|| failed("queue"))["attributes"]["error.type"], "busy");
    assert!(eventually(|| failed("guest"))["message"].as_str().unwrap().starts_with("the guest"));
}

#[test]
#[ignore = "needs python3 with opentelemetry-proto"]
fn a_body_has_a_span_from_the_first_read_to_its_last_byte() {
    let receiver = Receiver::start(&[]);
    let wagi = probed(&receiver, &[]);
    let mut connection = Connection::open(wagi.address());
    connection
        .send("POST /count-stdin HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    connection.send("0\r\n\r\n");
    assert_eq!(connection.answer().status, 200);
    connection.send("POST /count-stdin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\nhello, ");
    assert_eq!(connection.answer().status, 200);
    let sizes = || {
        let spans = receiver.spans().into_iter().filter(|span| span["name"] == "request body");
        spans.map(|span| span["attributes"]["http.request.body.size"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(eventually(|| Some(sizes()).filter(|sizes| sizes.len() == 2)), [json!(5), json!(7)]);
    get(&wagi, "/env", "");
    receiver.span("GET /...");
    assert_eq!(sizes().len(), 2, "what has no body has no such span");
}

#[test]
#[ignore = "needs python3 with opentelemetry-proto"]
fn calls_are_told_with_their_url_status_and_failure() {
    let upstream = Upstream::start(|_| reply("404 Gone", "", ""));
    let closed = port::free().port();
    let receiver = Receiver::start(&[]);
    let module = Caller::new()
        .get(upstream.url("/a?sig=hush&b"))
        .request("POST", format!("http://127.0.0.1:{closed}/"), "", "")
        .get("http://192.0.2.1/");
    let wagi = start(Site::new().text_module("/", &module.module(), LOOPBACK), &receiver, &[]);
    get_traced(&wagi, "/");
    receiver.span("GET /");
    let call = |name: &str| receiver.spans().into_iter().find(|span| span["name"] == name).expect("a span of a call");
    let found = attributes(
        &call("GET"),
        &["url.full", "server.address", "server.port", "http.response.status_code", "error.type"],
    );
    let url = upstream.url("/a?sig=REDACTED&b");
    let expected = json!({"url.full": url, "server.address": "127.0.0.1", "server.port": upstream.port(), "http.response.status_code": 404, "error.type": "404"});
    assert_eq!(found, expected);
    let failed = call("POST");
    assert_eq!(
        (&failed["status"], &failed["attributes"]["error.type"]),
        (&"STATUS_CODE_ERROR".into(), &"not-connected".into())
    );
    assert!(failed["message"].as_str().unwrap().contains("cannot connect to `127.0.0.1`"), "{failed}");
    let kinds = receiver.spans().iter().filter(|span| span["kind"] == "SPAN_KIND_CLIENT").count();
    assert_eq!(kinds, 2, "what is not allowed is not sent");
}

#[test]
#[ignore = "needs python3 with opentelemetry-proto"]
fn spans_are_sent_over_tls_to_a_path_with_fields_of_the_operator() {
    let receiver = Receiver::start(&[fixture("ec.cert.pem"), fixture("ec.pkcs8.pem")]);
    let certificate = fixture("ec.cert.pem");
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url("https") + "/tenant/"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hush, x-tenant=a".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "10".to_owned()),
    ];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let wagi = Site::probe("").start_with(&[], &variables);
    get(&wagi, "/env", "");
    let request = receiver.first();
    assert_eq!(request["path"], "/tenant/v1/traces");
    assert_eq!(
        (&request["headers"]["authorization"], &request["headers"]["x-tenant"]),
        (&"Bearer hush".into(), &"a".into())
    );
    assert!(!wagi.log().contains("hush"));
}

#[test]
#[ignore = "needs python3 with opentelemetry-proto"]
fn spans_can_be_json_and_an_endpoint_for_traces_is_taken_as_it_is() {
    let receiver = Receiver::start(&[]);
    let endpoint = receiver.url("http") + "/traces?a=1";
    let variables =
        [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")];
    let wagi = probed(&receiver, &variables);
    let mut connection = Connection::open(wagi.address());
    connection.send(format!("GET /env HTTP/1.1\r\nHost: localhost\r\ntraceparent: {}\r\n\r\n", super::traceparent()));
    connection.answer();
    let request = receiver.first();
    assert_eq!(request["path"], "/traces?a=1");
    let spans = &request["json"]["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let span =
        spans.as_array().unwrap().iter().find(|span| span["name"] == "GET /...").expect("the span of the request");
    assert_eq!(
        (&span["traceId"], &span["parentSpanId"], &span["kind"]),
        (&super::TRACE.into(), &super::SPAN.into(), &json!(2))
    );
}

#[test]
#[ignore = "needs python3 with opentelemetry-proto"]
fn the_last_spans_are_sent_before_the_end() {
    let receiver = Receiver::start(&[]);
    let mut wagi = probed(&receiver, &[("OTEL_BSP_SCHEDULE_DELAY", "3600000")]);
    get(&wagi, "/env", "");
    wagi.logged(&["\"target\":\"/env\""]);
    assert!(receiver.spans().is_empty());
    wagi.signal("TERM");
    assert!(wagi.ended().success());
    receiver.span("GET /...");
}
