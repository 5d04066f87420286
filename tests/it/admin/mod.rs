//! The admin listener: what it answers, and to which requests.

mod access;
mod commands;
mod foreign_page;
mod life;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::guest::printing;
use crate::support::http1::{Answer, Connection};
use crate::support::process::Wagi;
use crate::support::site::Site;

const HELLO: &str = "Content-Type: text/plain\n\nhello";

/// A site with one module, and something before it.
fn site(top: &str) -> Site {
    Site::new().text_module("/hello", &printing(HELLO), "environment = { KEY = 'v3ry-s3cret' }").top(top)
}

/// A server with an admin listener on a free port of this address.
fn served(listen: &str) -> Wagi {
    site(&format!("[admin]\nlisten = '{listen}'")).start(&[])
}

/// Where the admin listener is.
fn admin(wagi: &Wagi) -> SocketAddr {
    let line = wagi.logged(&["the admin listener is open"]);
    let url = line.split("http://").nth(1).expect("a URL");
    url.trim_end_matches('"').parse().expect("an address")
}

/// Sends a request with these fields and a body.
fn send(to: SocketAddr, head: &str, fields: &[&str], body: &str) -> Answer {
    send_over(Connection::open(to), head, fields, body)
}

fn send_over(mut connection: Connection, head: &str, fields: &[&str], body: &str) -> Answer {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    connection.send(format!("{head} HTTP/1.1\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()));
    connection.answer()
}

/// The response to a GET.
fn get(to: SocketAddr, path: &str) -> Answer {
    send(to, &format!("GET {path}"), &["Host: localhost"], "")
}

fn post(to: SocketAddr, path: &str) -> Answer {
    send(to, &format!("POST {path}"), &["Host: localhost"], "")
}

fn get_unix(socket: &Path, path: &str) -> Answer {
    send_over(Connection::open_unix(socket), &format!("GET {path}"), &["Host: localhost"], "")
}

#[track_caller]
fn json(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.text());
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[test]
fn it_says_that_the_server_lives_and_serves() {
    let wagi = served("127.0.0.1:0");
    for path in ["/livez", "/readyz"] {
        let answer = get(admin(&wagi), path);
        assert_eq!((answer.status, &*answer.text()), (200, "ok"), "{path}");
    }
    // Not on the address of the server.
    assert_eq!(Connection::open(wagi.address()).get("/readyz").status, 404);
}

/// There are more of them than the listener has connections, and each would be given 5 seconds.
#[test]
fn probes_are_answered_beside_clients_that_never_ask_for_anything() {
    let wagi = served("127.0.0.1:0");
    let to = admin(&wagi);
    for begin in ["", "GET /livez HTTP/1.1\r\nHost: "] {
        let open = |_| {
            let mut connection = Connection::open(to);
            connection.send(begin);
            connection
        };
        let silent: Vec<_> = (0..300).map(open).collect();
        for path in ["/livez", "/readyz"] {
            let begun = Instant::now();
            assert_eq!(get(to, path).status, 200, "{path}");
            assert!(begun.elapsed() < Duration::from_secs(5), "{path} after {:?}", begun.elapsed());
        }
        drop(silent);
    }
}

#[test]
fn the_status_has_the_server_and_its_routes_with_their_numbers() {
    let wagi = served("127.0.0.1:0");
    for _ in 0..3 {
        assert_eq!(Connection::open(wagi.address()).get("/hello").status, 200);
    }
    let status = json(&get(admin(&wagi), "/status"));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&status["state"], &status["generation"]), (&"serving".into(), &1.into()));
    assert_eq!(status["last_reload"], Value::Null);
    assert_eq!(status["listeners"][0], format!("http://{}", wagi.address()));
    assert_eq!(status["limits"]["total_concurrency"], 256);
    assert_eq!(status["limits"]["keep_alive"], 60.0);
    assert!(status["started"].as_str().is_some_and(|started| started.ends_with('Z')), "{status}");
    let routes = status["routes"].as_array().expect("routes");
    let hello = routes.iter().find(|route| route["pattern"] == "/hello").expect("the route");
    assert_eq!((&hello["requests"], &hello["in_flight"]), (&3.into(), &0.into()));
    assert!(hello["module"].as_str().is_some_and(|module| module.ends_with("guest0.wat")), "{hello}");
    assert!(status["totals"]["requests"].as_u64().is_some_and(|requests| requests >= 3), "{status}");
}

#[test]
fn the_configuration_has_no_values_of_variables() {
    let wagi = served("127.0.0.1:0");
    let config = get(admin(&wagi), "/config");
    let shown = json(&config);
    assert_eq!(shown["modules"][0]["route"], "/hello");
    assert_eq!(shown["modules"][0]["environment"], serde_json::json!(["KEY"]));
    assert_eq!(shown["modules"][0]["limits"]["cpu_time"], 10.0);
    assert_eq!(shown["admin"]["listen"], "127.0.0.1:0");
    let texts = ["/config", "/status", "/routes", "/modules"].map(|path| get(admin(&wagi), path).text());
    assert!(!texts.iter().any(|text| text.contains("v3ry-s3cret")), "{texts:?}");
    let routes = json(&get(admin(&wagi), "/routes"));
    assert!(
        routes.as_array().is_some_and(|routes| routes.iter().any(|route| route["pattern"] == "/hello")),
        "{routes}"
    );
    let modules = json(&get(admin(&wagi), "/modules"));
    assert_eq!((&modules[0]["routes"], &modules[0]["kind"]), (&serde_json::json!(["/hello"]), &"module".into()));
    assert!(modules[0]["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")), "{modules}");
}

#[test]
fn the_configuration_shows_what_the_file_says() {
    let site = Site::new();
    let scripts = site.path().join("scripts");
    std::fs::create_dir(&scripts).expect("a directory");
    let keys = format!(
        "argv = ['php', '${{PATH_INFO}}']\nscripts = {{ directory = '{}', extensions = ['php'] }}\n\
         pass_authorization = true\nhttp_max_concurrency = 3",
        scripts.display()
    );
    let wagi = site
        .top("[admin]\nlisten = '127.0.0.1:0'\n[server]\ntrusted_proxies = ['10.0.0.0/8', '::1', 'unix']\n[debug]\nprofile = { slower_than = '2s' }")
        .text_module("/...", &printing(HELLO), &keys)
        .start(&[]);
    let config = json(&get(admin(&wagi), "/config"));
    assert_eq!(config["server"]["trusted_proxies"], serde_json::json!(["10.0.0.0/8", "::1", "unix"]));
    assert_eq!(config["server"]["forwarded"], "x-forwarded");
    assert_eq!(config["debug"]["profile"], serde_json::json!({ "slower_than": 2.0, "kept": 10 }));
    let module = &config["modules"][0];
    assert_eq!(module["argv"], serde_json::json!(["php", "${PATH_INFO}"]));
    assert_eq!(module["scripts"]["extensions"], serde_json::json!(["php"]));
    assert_eq!(module["scripts"]["directory"].as_str(), scripts.to_str());
    assert_eq!((&module["pass_authorization"], &module["http_max_concurrency"]), (&true.into(), &3.into()));
}

#[test]
fn the_metrics_are_those_of_the_gateway() {
    let wagi = served("127.0.0.1:0");
    Connection::open(wagi.address()).get("/hello");
    let metrics = get(admin(&wagi), "/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4"));
    assert!(
        metrics.text().contains("http_server_request_duration_seconds_count{http_route=\"/hello\""),
        "{}",
        metrics.text()
    );
    let open = send(admin(&wagi), "GET /metrics", &["Host: localhost", "Accept: application/openmetrics-text"], "");
    assert!(open.header("content-type").is_some_and(|value| value.starts_with("application/openmetrics-text")));
}

#[test]
fn a_reload_is_answered_when_it_is_over() {
    let wagi = served("127.0.0.1:0");
    let file = wagi.directory().join("modules.toml");
    let manifest = std::fs::read_to_string(&file).expect("a manifest");
    let same = post(admin(&wagi), "/reload");
    let body = json(&same);
    assert_eq!((same.status, &body["changed"], &body["generation"]), (200, &false.into(), &1.into()));
    std::fs::write(&file, manifest.replace("'/hello'", "'/other'")).expect("a file can be written");
    let swapped = post(admin(&wagi), "/reload");
    let body = json(&swapped);
    assert_eq!((swapped.status, &body["generation"], &body["routes"]), (200, &2.into(), &1.into()), "{body}");
    assert_eq!(
        (&body["modules"], &body["compiled"], &body["warnings"]),
        (&1.into(), &0.into(), &serde_json::json!([]))
    );
    assert!(body["took_ms"].is_u64() && body.get("changed").is_none(), "{body}");
    assert_eq!(Connection::open(wagi.address()).get("/other").text(), "hello");
    std::fs::write(&file, manifest.replace("module = ", "modul = ")).expect("a file can be written");
    let refused = post(admin(&wagi), "/reload");
    let body = json(&refused);
    assert_eq!((refused.status, &body["generation"]), (422, &2.into()));
    let error = &body["errors"][0];
    assert!(error["message"].as_str().is_some_and(|message| message.contains("module")), "{body}");
    assert!(error["file"].is_string() && error["line"].is_u64() && error["column"].is_u64(), "{body}");
    let last = &json(&get(admin(&wagi), "/status"))["last_reload"];
    assert_eq!((&last["result"], &last["errors"][0]["message"]), (&"refused".into(), &error["message"]));
    assert_eq!(Connection::open(wagi.address()).get("/other").text(), "hello");
}

#[test]
fn which_events_are_logged_changes_until_the_next_reload() {
    let wagi = served("127.0.0.1:0");
    let put = |body: &str| send(admin(&wagi), "PUT /log-level", &["Host: localhost"], body);
    assert_eq!(put("wagi=trace").status, 200);
    wagi.logged(&["the admin listener has changed which events are logged"]);
    // The server logs with `debug` that a client has sent something other than HTTP.
    let closed = || {
        let before = wagi.log().matches("DEBUG").count();
        let mut connection = Connection::open(wagi.address());
        connection.send("?\r\n\r\n");
        let _ = connection.try_answer();
        before
    };
    let before = closed();
    crate::support::eventually(|| (wagi.log().matches("DEBUG").count() > before).then_some(()));
    for body in ["", "wagi=loud"] {
        assert_eq!(put(body).status, 400, "{body}");
    }
    assert_eq!(put(&"a".repeat(5000)).status, 413);
    assert_eq!(post(admin(&wagi), "/reload").status, 200);
    wagi.logged(&["reload: nothing has changed"]);
    let before = closed();
    assert_eq!(Connection::open(wagi.address()).get("/hello").status, 200);
    wagi.logged(&["GET /hello"]);
    assert_eq!(wagi.log().matches("DEBUG").count(), before);
}

/// Each byte comes before a timeout for silence would end it.
#[test]
fn a_body_that_comes_slowly_is_not_waited_for() {
    let wagi = served("127.0.0.1:0");
    let mut connection = Connection::open(admin(&wagi));
    connection.send("PUT /log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\n");
    let mut writing = connection.stream().try_clone().expect("a socket");
    let dripping = std::thread::spawn(move || {
        // Until the server closes.
        while std::io::Write::write_all(&mut writing, b"x").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
    });
    assert_eq!(connection.answer().status, 408);
    drop(connection);
    drop(wagi);
    dripping.join().expect("it ends with the connection");
}

#[test]
fn other_paths_and_methods_are_refused() {
    let wagi = served("127.0.0.1:0");
    let ask = |head: &str| send(admin(&wagi), head, &["Host: localhost"], "");
    for path in ["/hello", "/healthz", "/status/", "/.."] {
        assert_eq!(ask(&format!("GET {path}")).status, 404, "{path}");
    }
    for (head, allow) in [
        ("POST /status", "GET, HEAD"),
        ("DELETE /livez", "GET, HEAD"),
        ("OPTIONS /config", "GET, HEAD"),
        ("GET /reload", "POST"),
        ("POST /log-level", "PUT"),
    ] {
        let answer = ask(head);
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{head}");
    }
    let mut connection = Connection::open(admin(&wagi));
    connection.send("HEAD /status HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = connection.head();
    assert_eq!(head.status, 200);
    assert!(head.header("content-length").is_some_and(|length| length != "0"));
    assert_eq!(connection.get("/livez").text(), "ok");
}
