//! The ids of requests, and the ends of their connections: in the log, in programs, in responses.

use std::collections::BTreeSet;

use http::Request;
use serde_json::Value;

use crate::support::guest::{component, printing, probe};
use crate::support::http1::{Answer, Connection};
use crate::support::http2;
use crate::support::process::{self, Wagi};
use crate::support::site::Site;
use crate::support::tls::fixture;
use crate::tls::curl;

/// A GET with more header lines, each ended.
fn get(wagi: &Wagi, target: &str, lines: &str) -> Answer {
    let mut connection = Connection::open(wagi.address());
    connection.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"));
    connection.answer()
}

/// The value of a variable, or of a field with its `: `.
fn value(text: &str, name: &str) -> Option<String> {
    let mut values = text.lines().filter_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let value = values.next();
    assert_eq!(values.next(), None, "{name} is there twice");
    value
}

/// The access lines so far of a log in JSON.
fn access_line(wagi: &Wagi, id: &str) -> Value {
    let line = wagi.logged(&["\"kind\":\"access\"", &format!("\"request_id\":\"{id}\"")]);
    serde_json::from_str(&line).expect("JSON")
}

#[test]
fn a_program_sees_the_id_of_its_line_in_the_log() {
    let wagi = Site::probe("").start(&["--log-format", "json"]);
    let forged = "X-Request-Id: mine\r\nRequest-Id: mine\r\n";
    let mut ids = BTreeSet::new();
    for number in 0..20 {
        let text = get(&wagi, &format!("/env?{number}"), forged).text();
        let id = value(&text, "REQUEST_ID=").expect("an id");
        assert_eq!(value(&text, "X_REQUEST_ID=").as_ref(), Some(&id));
        assert_eq!(value(&text, "HTTP_X_REQUEST_ID=").as_deref(), Some("mine"));
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        let line = access_line(&wagi, &id);
        assert_eq!(line["target"], format!("/env?{number}"));
        assert_eq!(line.get("client_request_id"), None, "{line}");
        ids.insert(id);
    }
    assert_eq!(ids.len(), 20, "each request has an id of its own");
    let text = Site::probe("").start(&[]);
    let id = value(&get(&text, "/env", "").text(), "REQUEST_ID=").expect("an id");
    assert!(text.logged(&["GET /env"]).ends_with(&format!(" id={id}")));
}

#[test]
fn standard_error_has_the_same_id() {
    let wagi = Site::probe("").top("[server]\nrequest_id_header = true").start(&[]);
    let answer = get(&wagi, "/log?something", "");
    let id = answer.header("x-request-id").expect("an id");
    assert!(wagi.logged(&["something", " stderr "]).ends_with(&format!(" id={id}")));
}

#[test]
fn the_id_of_a_trusted_proxy_is_a_second_field_of_the_line() {
    let site = |proxies: &str| Site::probe("").top(&format!("[server]\ntrusted_proxies = [{proxies}]"));
    let trusting = site("'127.0.0.0/8'").start(&["--log-format", "json"]);
    let long = "x".repeat(128);
    for (lines, logged, seen) in [
        ("X-Request-Id: a.Z_0-9\r\n", Some("a.Z_0-9"), Some("a.Z_0-9")),
        (&*format!("x-request-id: {long}\r\n"), Some(long.as_str()), Some(long.as_str())),
        (&*format!("X-Request-Id: {long}x\r\n"), None, Some(&*format!("{long}x"))),
        ("X-Request-Id: a b\r\n", None, Some("a b")),
        ("X-Request-Id: a\r\nX-Request-Id: b\r\n", None, Some("a, b")),
        ("X-Request-Id:\r\n", None, Some("")),
        ("", None, None),
    ] {
        let text = get(&trusting, "/env", lines).text();
        assert_eq!(value(&text, "HTTP_X_REQUEST_ID=").as_deref(), seen, "{lines}");
        let id = value(&text, "REQUEST_ID=").expect("an id");
        assert_eq!(access_line(&trusting, &id).get("client_request_id").and_then(Value::as_str), logged, "{lines}");
    }
    let other = site("'10.0.0.0/8', 'unix'").start(&["--log-format", "json"]);
    let text = get(&other, "/env", "X-Request-Id: theirs\r\n").text();
    assert_eq!(value(&text, "HTTP_X_REQUEST_ID=").as_deref(), Some("theirs"));
    let id = value(&text, "REQUEST_ID=").expect("an id");
    assert_eq!(access_line(&other, &id).get("client_request_id"), None);
    let text = site("'127.0.0.1'").start(&[]);
    get(&text, "/args", "X-Request-Id: theirs\r\n");
    text.logged(&["GET /args", " client_request_id=\"theirs\" id="]);
}

/// Every response of the gateway: of guests, errors, the health check. A field of the guest's own is replaced.
#[test]
fn responses_carry_the_id_if_the_operator_wants_it() {
    let own = printing("Content-Type: text/plain\nX-Request-Id: own\nX-Request-Id: second\n\nx");
    let site = || {
        let site = Site::new().text_module("/own", &own, "").module("/probe/...", &probe(), "");
        site.module("/http/...", &component("http-probe.wasm"), "")
    };
    let wagi = site().top("[server]\nrequest_id_header = true").start(&["--log-format", "json"]);
    for (target, status) in [
        ("/own", 200),
        ("/healthz", 200),
        ("/missing", 404),
        ("/probe/trap", 500),
        ("/probe/a%00", 400),
        ("/http/request", 200),
    ] {
        let answer = get(&wagi, target, "X-Request-Id: theirs\r\n");
        let ids: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "x-request-id").collect();
        assert_eq!((answer.status, ids.len()), (status, 1), "{target}: {ids:?}");
        assert_eq!(access_line(&wagi, &ids[0].1)["target"], target);
    }
    let silent = site().start(&[]);
    assert_eq!(get(&silent, "/own", "").header("x-request-id"), Some("own"));
    assert_eq!(get(&silent, "/healthz", "").header("x-request-id"), None);
    assert_eq!(get(&silent, "/missing", "").header("x-request-id"), None);
}

#[test]
fn a_program_sees_both_ends_of_its_connection() {
    let wagi = Site::probe("").start(&[]);
    let mut connection = Connection::open(wagi.address());
    let port = connection.stream().local_addr().expect("a socket").port();
    for _ in 0..2 {
        connection.send("GET /env HTTP/1.1\r\nHost: localhost\r\nRemote-Port: 1\r\nServer-Addr: evil\r\n\r\n");
        let text = connection.answer().text();
        assert_eq!(value(&text, "REMOTE_PORT="), Some(port.to_string()));
        assert_eq!(value(&text, "SERVER_ADDR=").as_deref(), Some("127.0.0.1"));
    }
}

#[test]
fn the_address_of_the_server_is_the_one_that_the_client_reached() {
    let site = Site::probe("");
    site.write();
    let mut command = process::command(site.path());
    command.args(["-c", "modules.toml", "-l", "0.0.0.0:0"]);
    let wagi = Wagi::spawn(&mut command);
    let port = wagi.address().port();
    let mut connection = Connection::open(([127, 0, 0, 3], port).into());
    assert_eq!(value(&connection.get("/env").text(), "SERVER_ADDR=").as_deref(), Some("127.0.0.3"));
}

#[test]
fn an_operator_cannot_set_these_variables() {
    let names = ["REQUEST_ID", "X_REQUEST_ID", "REMOTE_PORT", "SERVER_ADDR"];
    let keys = format!("environment = {{ {} }}", names.map(|name| format!("{name} = 'mine'")).join(", "));
    let wagi = Site::probe(&keys).start(&[]);
    let text = get(&wagi, "/env", "").text();
    for name in names {
        wagi.logged(&[&format!("the variable `{name}` is left out")]);
        assert_ne!(value(&text, &format!("{name}=")).as_deref(), Some("mine"), "{name}");
    }
}

#[test]
fn a_component_sees_the_same_as_fields() {
    let wagi = Site::new().module("/http/...", &component("http-probe.wasm"), "").start(&["--log-format", "json"]);
    let mut connection = Connection::open(wagi.address());
    let port = connection.stream().local_addr().expect("a socket").port();
    connection.send(
        "GET /http/request HTTP/1.1\r\nHost: localhost\r\nWagi-Request-Id: evil\r\nwagi_server_addr: evil\r\nX-Request-Id: theirs\r\n\r\n",
    );
    let text = connection.answer().text();
    let id = value(&text, "wagi-request-id: ").expect("an id");
    assert_eq!(access_line(&wagi, &id)["target"], "/http/request");
    assert_eq!(value(&text, "wagi-remote-port: "), Some(port.to_string()));
    assert_eq!(value(&text, "wagi-server-addr: ").as_deref(), Some("127.0.0.1"));
    assert_eq!(value(&text, "x-request-id: ").as_deref(), Some("theirs"));
    assert!(!text.contains("evil"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_ends_are_the_same_in_http_2() {
    let wagi = Site::probe("").top("[server]\nrequest_id_header = true").start(&["--log-format", "json"]);
    let mut connection = http2::Connection::open(wagi.address()).await;
    let mut ids = BTreeSet::new();
    for _ in 0..3 {
        let (answered, _) = connection.send(Request::get("http://localhost/env"), true).await;
        let answer = answered.await.expect("an answer");
        let shown = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
        let mut body = answer.into_body();
        let mut text = String::new();
        while let Some(Ok(piece)) = http2::piece(&mut body).await {
            text += &String::from_utf8_lossy(&piece);
        }
        assert_eq!(value(&text, "REQUEST_ID=").as_ref(), Some(&shown));
        assert_eq!(value(&text, "SERVER_ADDR=").as_deref(), Some("127.0.0.1"));
        assert!(value(&text, "REMOTE_PORT=").is_some_and(|port| port.parse::<u16>().is_ok()));
        assert_eq!(access_line(&wagi, &shown)["version"], "HTTP/2.0");
        ids.insert(shown);
    }
    assert_eq!(ids.len(), 3);
}

#[test]
fn ids_and_ends_are_the_same_behind_tls() {
    let tls = ["--tls-cert", &fixture("ec.cert.pem"), "--tls-key", &fixture("ec.pkcs8.pem")];
    let wagi = Site::probe("").start(&tls);
    for protocol in ["--http1.1", "--http2"] {
        let text = curl(&wagi, "ec.cert.pem", &[protocol, "--local-port", "20000-60000"], "/env");
        let id = value(&text, "REQUEST_ID=").expect("an id");
        wagi.logged(&["GET /env", &format!(" id={id}")]);
        assert_eq!(value(&text, "SERVER_ADDR=").as_deref(), Some("127.0.0.1"));
        let port: u16 = value(&text, "REMOTE_PORT=").expect("a port").parse().expect("a number");
        assert!((20_000..=60_000).contains(&port), "{port}");
    }
}
