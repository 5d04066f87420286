//! Requests that a trusted proxy forwards: whose they are, and which host they are for. And what the same fields mean from others.

use bytes::Bytes;
use http::Request;

use crate::support::guest::component;
use crate::support::harness::{Running, Test};

/// The peer of all requests is 192.168.0.1.
const TRUSTED: &str = "[server]\ntrusted_proxies = ['192.168.0.0/24', '10.0.0.0/8']";
const STRANGER: &str = "[server]\ntrusted_proxies = ['192.168.1.0/24', '10.0.0.0/8', 'unix']";
const FORWARDED: &str = "[server]\ntrusted_proxies = ['192.168.0.1']\nforwarded = 'forwarded'";

const ENV: &str = include_str!("../../examples/env.wat");

async fn served(server: &str) -> Running {
    Test::at("/...", ENV).top(server).start().await
}

fn request(fields: &[(&str, &str)]) -> Request<Bytes> {
    let mut request = Request::get("/a?b").header("host", "proxy.test:3000");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Bytes::new()).expect("a request")
}

const NAMES: [&str; 7] =
    ["REMOTE_ADDR", "REMOTE_HOST", "REQUEST_SCHEME", "HTTPS", "SERVER_NAME", "SERVER_PORT", "HTTP_HOST"];

/// The values of these variables, one behind the other.
async fn seen(running: &Running, fields: &[(&str, &str)]) -> String {
    let answer = running.send(request(fields)).await;
    assert_eq!(answer.status, 200, "{fields:?}");
    NAMES.map(|name| answer.variable(name).unwrap_or_else(|| "-".to_owned())).join(" ")
}

const UNCHANGED: &str = "192.168.0.1 192.168.0.1 http - proxy.test 3000 proxy.test:3000";

#[tokio::test]
async fn a_trusted_proxy_says_whose_a_request_is() {
    let running = served(TRUSTED).await;
    for (fields, expected) in [
        (&[][..], UNCHANGED),
        (&[("x-forwarded-for", "192.0.2.7")], "192.0.2.7 192.0.2.7 http - proxy.test 3000 proxy.test:3000"),
        (
            &[("x-forwarded-for", "6.6.6.6, 192.0.2.7, 10.0.0.1")],
            "192.0.2.7 192.0.2.7 http - proxy.test 3000 proxy.test:3000",
        ),
        (
            &[("x-forwarded-for", "[2001:db8::7]:4711")],
            "2001:db8::7 2001:db8::7 http - proxy.test 3000 proxy.test:3000",
        ),
        (&[("x-forwarded-for", "10.0.0.9, 10.0.0.1")], "10.0.0.9 10.0.0.9 http - proxy.test 3000 proxy.test:3000"),
        (
            &[("x-forwarded-for", "192.0.2.7, unknown, 10.0.0.1")],
            "10.0.0.1 10.0.0.1 http - proxy.test 3000 proxy.test:3000",
        ),
        (&[("x-forwarded-for", "192.0.2.7, unknown")], UNCHANGED),
        (&[("x-forwarded-for", "192.0.2.7, nonsense")], UNCHANGED),
        (&[("x-forwarded-proto", "https")], "192.168.0.1 192.168.0.1 https on proxy.test 3000 proxy.test:3000"),
        (&[("x-forwarded-proto", "http, https")], "192.168.0.1 192.168.0.1 https on proxy.test 3000 proxy.test:3000"),
        (&[("x-forwarded-host", "a.test:81")], "192.168.0.1 192.168.0.1 http - a.test 81 proxy.test:3000"),
        (&[("x-forwarded-host", "a.test")], "192.168.0.1 192.168.0.1 http - a.test 80 proxy.test:3000"),
        (&[("x-forwarded-host", "[::1]:81")], "192.168.0.1 192.168.0.1 http - [::1] 81 proxy.test:3000"),
        (
            &[("x-forwarded-host", "a.test"), ("x-forwarded-proto", "https")],
            "192.168.0.1 192.168.0.1 https on a.test 443 proxy.test:3000",
        ),
        (
            &[("x-forwarded-host", "a.test:81"), ("x-forwarded-port", "8443"), ("x-forwarded-proto", "https")],
            "192.168.0.1 192.168.0.1 https on a.test 8443 proxy.test:3000",
        ),
        (&[("x-forwarded-port", "8443")], "192.168.0.1 192.168.0.1 http - proxy.test 8443 proxy.test:3000"),
        (&[("x-forwarded-proto", "ftp"), ("x-forwarded-host", "a b"), ("x-forwarded-port", "0")], UNCHANGED),
        (&[("forwarded", "for=192.0.2.7;proto=https;host=a.test")], UNCHANGED),
    ] {
        assert_eq!(seen(&running, fields).await, expected, "{fields:?}");
    }
}

#[tokio::test]
async fn from_others_the_fields_mean_nothing_and_reach_scripts() {
    let fields = [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "a.test"),
        ("x-forwarded-port", "81"),
        ("forwarded", "for=192.0.2.7;proto=https;host=a.test"),
    ];
    for server in ["", STRANGER, &format!("{STRANGER}\nforwarded = 'forwarded'")] {
        let running = served(server).await;
        assert_eq!(seen(&running, &fields).await, UNCHANGED, "{server}");
        let answer = running.send(request(&fields)).await;
        assert_eq!(answer.variable("HTTP_X_FORWARDED_FOR").as_deref(), Some("192.0.2.7"));
        assert_eq!(answer.variable("HTTP_FORWARDED").as_deref(), Some("for=192.0.2.7;proto=https;host=a.test"));
        assert_eq!(running.gateway().malformed_forwarded_fields(), 0);
    }
}

#[tokio::test]
async fn the_other_family_is_ignored() {
    let running = served(FORWARDED).await;
    let fields = [("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "a.test")];
    assert_eq!(seen(&running, &fields).await, UNCHANGED);
    let fields = [
        ("forwarded", "for=192.0.2.7;proto=http;host=b.test"),
        ("forwarded", "for=\"192.0.2.8:5\";proto=https;host=\"a.test:81\""),
    ];
    assert_eq!(seen(&running, &fields).await, "192.0.2.8 192.0.2.8 https on a.test 81 proxy.test:3000");
    assert_eq!(seen(&running, &[("forwarded", "for=192.0.2.7;proto=ftp")]).await, UNCHANGED);
}

#[tokio::test]
async fn the_port_of_the_client_is_set_if_the_proxy_tells_it() {
    let running = served(TRUSTED).await;
    for (fields, expected) in [
        (&[][..], Some("4321")),
        (&[("x-forwarded-for", "192.0.2.7:4711")], Some("4711")),
        (&[("x-forwarded-for", "192.0.2.7")], None),
        (&[("x-forwarded-for", "192.0.2.7:4711, 10.0.0.1")], Some("4711")),
        (&[("x-forwarded-for", "192.0.2.7:0")], Some("4321")),
    ] {
        let answer = running.send(request(fields)).await;
        assert_eq!(answer.variable("REMOTE_PORT").as_deref(), expected, "{fields:?}");
    }
}

/// Variables that an operator behind a proxy used to set.
#[tokio::test]
async fn who_sets_https_is_told_of_trusted_proxies() {
    let keys = "environment = { HTTPS = 'on', REMOTE_ADDR = '192.0.2.7' }";
    let (_, said) = Test::new().module("/...", ENV, keys).try_start().await;
    for part in ["`HTTPS` is left out", "`trusted_proxies`", "`X-Forwarded-Proto`", "`X-Forwarded-For`"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[tokio::test]
async fn the_full_url_is_that_of_the_client() {
    let running = served(TRUSTED).await;
    let fields = [("x-forwarded-proto", "https"), ("x-forwarded-host", "a.test"), ("x-forwarded-port", "443")];
    let answer = running.send(request(&fields)).await;
    assert_eq!(answer.variable("X_FULL_URL").as_deref(), Some("https://a.test:443/a?b"));
}

#[tokio::test]
async fn the_hosts_of_entries_match_the_forwarded_name() {
    let ours = "host = 'a.test'";
    let running = Test::at("/other/...", ENV).module("/...", ENV, ours).top(TRUSTED).start().await;
    assert_eq!(running.send(request(&[])).await.status, 404);
    assert_eq!(running.send(request(&[("x-forwarded-host", "A.test.")])).await.status, 200);
    assert_eq!(running.send(request(&[("x-forwarded-host", "b.test, a.test:81")])).await.status, 200);
    assert_eq!(running.send(request(&[("x-forwarded-host", "a.test, b.test")])).await.status, 404);
    let strange = Test::at("/other/...", ENV).module("/...", ENV, ours).top(STRANGER).start().await;
    assert_eq!(strange.send(request(&[("x-forwarded-host", "a.test")])).await.status, 404);
}

#[tokio::test]
async fn a_request_with_a_bad_host_is_refused_whatever_the_proxy_says() {
    let running = served(TRUSTED).await;
    let request = Request::get("/").header("host", "a b").header("x-forwarded-host", "a.test").body(Bytes::new());
    assert_eq!(running.send(request.expect("a request")).await.status, 400);
}

#[tokio::test]
async fn the_access_line_has_the_client() {
    let running = served(TRUSTED).await;
    running.send(request(&[("x-forwarded-for", "192.0.2.7:5")])).await;
    running.send(request(&[("x-forwarded-for", "192.0.2.8\" 200")])).await;
    let log = running.log();
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].contains(" 192.0.2.7 \"GET /a?b"), "{log}");
    assert!(lines[1].contains(" 192.168.0.1 \"GET /a?b"), "{log}");
}

#[tokio::test]
async fn fields_that_make_no_sense_are_counted() {
    let running = served(TRUSTED).await;
    running.send(request(&[("x-forwarded-for", "nonsense"), ("x-forwarded-proto", "ftp")])).await;
    running.send(request(&[("x-forwarded-port", "x"), ("x-forwarded-host", "a.test")])).await;
    running.send(request(&[("x-forwarded-for", "nonsense, 192.0.2.7"), ("forwarded", "nonsense")])).await;
    assert_eq!(running.gateway().malformed_forwarded_fields(), 3);
    let metrics = running.gateway().render_metrics();
    assert!(metrics.contains("\nwagi_forwarded_malformed_total 3\n"), "{metrics}");
}

#[tokio::test]
async fn a_component_sees_what_a_trusted_proxy_says() {
    for (server, fields, first, client) in [
        (TRUSTED, &[][..], "Method::Get Scheme::Http proxy.test:3000 /p/request", "192.168.0.1"),
        (
            TRUSTED,
            &[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "a.test")],
            "Method::Get Scheme::Https a.test /p/request",
            "192.0.2.7",
        ),
        (
            TRUSTED,
            &[("x-forwarded-proto", "https"), ("x-forwarded-host", "a.test"), ("x-forwarded-port", "443")],
            "Method::Get Scheme::Https a.test /p/request",
            "192.168.0.1",
        ),
        (
            TRUSTED,
            &[("x-forwarded-host", "a.test"), ("x-forwarded-port", "443")],
            "Method::Get Scheme::Http a.test:443 /p/request",
            "192.168.0.1",
        ),
        (TRUSTED, &[("x-forwarded-port", "81")], "Method::Get Scheme::Http proxy.test:81 /p/request", "192.168.0.1"),
        (
            STRANGER,
            &[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "a.test")],
            "Method::Get Scheme::Http proxy.test:3000 /p/request",
            "192.168.0.1",
        ),
    ] {
        let running = Test::new().file_module("/p/...", &component("http-probe.wasm"), "").top(server).start().await;
        let mut request = request(fields);
        *request.uri_mut() = "/p/request".parse().expect("a target");
        let text = running.send(request).await.text();
        assert_eq!(text.lines().next(), Some(first), "{fields:?}");
        let line = format!("wagi-remote-addr: {client}");
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
}
