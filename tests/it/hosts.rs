//! Entries for some hosts only: which one answers, over every protocol, and what the operator sees of it.

use http::Request;

use crate::support::guest::{self, printing};
use crate::support::http1::Connection;
use crate::support::http2;
use crate::support::process::Wagi;
use crate::support::registry::Done;
use crate::support::site::Site;
use crate::tls::curl;

fn named(name: &str) -> String {
    printing(format!("Content-Type: text/plain\n\n{name}"))
}

/// Entries at `/...` for these values of `host`, in TOML. Each prints its value.
fn site(hosts: &[&str]) -> Site {
    let add = |site: Site, host: &&str| site.text_module("/...", &named(host), &format!("host = {host}"));
    hosts.iter().fold(Site::new(), add)
}

fn sent(wagi: &Wagi, head: &str) -> String {
    let mut connection = Connection::open(wagi.address());
    connection.send(format!("{head}\r\n\r\n"));
    let answer = connection.answer();
    if answer.status == 200 { answer.text() } else { answer.status.to_string() }
}

fn get(wagi: &Wagi, host: &str) -> String {
    sent(wagi, &format!("GET /a HTTP/1.1\r\nHost: {host}"))
}

#[test]
fn an_entry_with_hosts_answers_only_requests_for_them() {
    let wagi = site(&["'shop.example'", "['blog.example', '*.blog.example']", "'bücher.example'"]).start(&[]);
    let blog = "['blog.example', '*.blog.example']";
    for (host, answer) in [
        ("shop.example", "'shop.example'"),
        ("SHOP.Example", "'shop.example'"),
        ("shop.example.", "'shop.example'"),
        ("shop.example..", "404"),
        ("shop.example:8443", "'shop.example'"),
        ("blog.example", blog),
        ("a.blog.example", blog),
        ("A.BLOG.EXAMPLE.:80", blog),
        ("b.a.blog.example", "404"),
        (".blog.example", "404"),
        ("xn--bcher-kva.example", "'bücher.example'"),
        ("XN--BCHER-KVA.example", "'bücher.example'"),
        ("b%C3%BCcher.example", "'bücher.example'"),
        ("other.example", "404"),
        ("127.0.0.1", "404"),
        ("notshop.example", "404"),
        ("a@shop.example", "400"),
    ] {
        assert_eq!(get(&wagi, host), answer, "{host}");
    }
    assert_eq!(sent(&wagi, "GET /healthz HTTP/1.1\r\nHost: other.example"), "OK");
    wagi.logged(&["GET /a", " 404 ", "no route matches"]);
}

#[test]
fn a_port_counts_only_if_it_is_written() {
    let wagi = site(&["'a.example:8443'", "'a.example:80'", "'a.example'", "'[::1]:81'", "'[::1]'", "'127.0.0.1'"]);
    let wagi = wagi.start(&[]);
    for (host, answer) in [
        ("a.example:8443", "'a.example:8443'"),
        ("a.example:80", "'a.example:80'"),
        ("a.example", "'a.example:80'"),
        ("a.example:", "'a.example:80'"),
        ("a.example:81", "'a.example'"),
        ("[::1]:81", "'[::1]:81'"),
        ("[0:0::1]:81", "'[::1]:81'"),
        ("[::1]", "'[::1]'"),
        ("127.0.0.1:5", "'127.0.0.1'"),
        ("127.0.0.2", "404"),
    ] {
        assert_eq!(get(&wagi, host), answer, "{host}");
    }
}

#[test]
fn the_first_entry_of_the_file_that_matches_host_and_path_wins() {
    let site = Site::new()
        .text_module("/a/...", &named("1"), "host = '*.x.example'")
        .text_module("/a/b", &named("2"), "")
        .text_module("/...", &named("3"), "host = ['a.x.example', 'b.x.example']")
        .text_module("/...", &named("4"), "");
    let wagi = site.start(&[]);
    let at = |host: &str, path: &str| sent(&wagi, &format!("GET {path} HTTP/1.1\r\nHost: {host}"));
    for (host, path, answer) in [
        ("a.x.example", "/a/b", "1"),
        ("x.example", "/a/b", "2"),
        ("x.example", "/a/c", "4"),
        ("b.x.example", "/b", "3"),
        ("c.x.example", "/b", "4"),
        ("c.x.example", "/a", "1"),
    ] {
        assert_eq!(at(host, path), answer, "{host}{path}");
    }
}

#[test]
fn the_target_names_the_host_before_the_field_does() {
    let wagi = site(&["'a.example'", "'b.example'"]).start(&[]);
    assert_eq!(sent(&wagi, "GET http://A.example/x HTTP/1.1\r\nHost: b.example"), "'a.example'");
    assert_eq!(sent(&wagi, "GET http://c.example/x HTTP/1.1\r\nHost: b.example"), "404");
}

/// RFC 1945: a request of HTTP/1.0 need not name a host.
#[test]
fn without_a_host_the_name_of_the_server_counts_if_the_operator_gave_one() {
    let entries = || site(&["'a.example'", "'localhost'", "['b.example:7']"]).text_module("/a", &named("every"), "");
    let answer = |wagi: &Wagi| sent(wagi, "GET /a HTTP/1.0");
    assert_eq!(answer(&entries().start(&[])), "every");
    assert_eq!(answer(&entries().start(&["--hostname", "A.example"])), "'a.example'");
    assert_eq!(answer(&entries().start(&["--hostname", "b.example:7"])), "['b.example:7']");
    assert_eq!(answer(&entries().top("[server]\nserver_name = 'a.example:7'").start(&[])), "'a.example'");
    assert_eq!(answer(&entries().start(&["--hostname", "c.example"])), "every");
}

#[test]
fn sub_routes_answer_the_hosts_of_their_entry() {
    let text = include_str!("../../examples/env.wat").trim_end().strip_suffix(')').expect("a module").to_owned();
    let list = "/sub _start\n";
    let escaped = guest::escaped(list.as_bytes());
    let module = format!(
        "{text}\n(data (i32.const 512) \"{escaped}\")\n(func (export \"_routes\") (call $print (i32.const 512) (i32.const {}))))",
        list.len()
    );
    let wagi = Site::new().text_module("/p", &module, "host = 'a.example'").start(&[]);
    let status = |host: &str| {
        let mut connection = Connection::open(wagi.address());
        connection.send(format!("GET /p/sub HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        connection.answer().status
    };
    assert_eq!((status("a.example"), status("b.example")), (200, 404));
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_count_in_http_2() {
    let wagi = site(&["'a.example'", "'*.a.example:81'"]).start(&[]);
    let mut connection = http2::Connection::open(wagi.address()).await;
    for (authority, answer) in [
        ("A.example", Some("'a.example'")),
        ("b.a.example:81", Some("'*.a.example:81'")),
        ("b.a.example:82", None),
        ("b.example", None),
    ] {
        let (answered, _) = connection.send(Request::get(format!("http://{authority}/x")), true).await;
        let (status, mut body) = http2::head(answered).await;
        let text = http2::piece(&mut body).await.and_then(Result::ok);
        let text = text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.is_empty());
        assert_eq!((status, text.as_deref()), (if answer.is_some() { 200 } else { 404 }, answer), "{authority}");
    }
}

/// Behind TLS the port of a request without one is 443.
#[test]
fn hosts_count_behind_tls() {
    let fixture = |name: &str| format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let tls = ["--tls-cert", &fixture("ec.cert.pem"), "--tls-key", &fixture("ec.pkcs8.pem")];
    let wagi = site(&["'a.example:443'", "'a.example:80'", "'a.example'"]).start(&tls);
    for protocol in ["--http1.1", "--http2"] {
        for (host, answer) in
            [("a.example", "'a.example:443'"), ("a.example:80", "'a.example:80'"), ("a.example:1", "'a.example'")]
        {
            let shown = curl(&wagi, "ec.cert.pem", &[protocol, "-H", &format!("Host: {host}")], "/x");
            assert!(shown.starts_with(answer), "{host}: {shown}");
        }
    }
}

#[test]
fn a_check_shows_the_hosts_in_a_third_column() {
    let site = site(&["['A.example', '*.a.example:81']"]).text_module("/b", &named("b"), "");
    let (guest0, guest1) = (site.path().join("guest0.wat"), site.path().join("guest1.wat"));
    let table = Done::from(Ok(site.run(&["--check"]))).stdout;
    let expected = format!(
        "/healthz\t(built in)\n/...\t{}\ta.example,*.a.example:81\n/b\t{}\n",
        guest0.display(),
        guest1.display()
    );
    assert_eq!(table, expected);
}

#[test]
fn an_entry_for_another_host_hides_nothing() {
    let check = |site: &Site| Done::from(Ok(site.run(&["--check"]))).stderr;
    let other = Site::new()
        .text_module("/...", &named("1"), "host = 'a.example'")
        .text_module("/a", &named("2"), "host = ['b.example', '*.a.example']")
        .text_module("/a", &named("3"), "");
    assert!(!check(&other).contains("warning"), "{}", check(&other));
    let hidden = Site::new()
        .text_module("/...", &named("1"), "host = ['a.example', '*.b.example']")
        .text_module("/a", &named("2"), "host = 'c.b.example:81'")
        .text_module("/b", &named("3"), "host = ['b.example', 'a.example']");
    let shown = check(&hidden);
    for expected in [
        "no request reaches the route `/a`: `/...` in line 2 comes first and matches the same",
        "no request to `a.example` reaches the route `/b`: `/...` in line 2 comes first and matches the same",
    ] {
        assert!(shown.contains(expected), "{expected} in {shown}");
    }
    assert_eq!(shown.matches("warning").count(), 2, "{shown}");
}

#[test]
fn a_start_says_that_hosts_have_an_effect_now() {
    let said = "`host` decides which requests an entry answers; up to wagi 0.9 it had no effect";
    let with = site(&["'a.example'"]).text_module("/x", &named("x"), "").start(&["--log-format", "json"]);
    let line = with.logged(&[said]);
    assert!(line.contains("\"level\":\"info\"") && line.contains("\"entries\":1"), "{line}");
    let without = Site::new().text_module("/x", &named("x"), "").start(&[]);
    assert_eq!(sent(&without, "GET /x HTTP/1.1\r\nHost: a"), "x");
    without.logged(&["GET /x"]);
    assert!(!without.log().contains("`host`"), "{}", without.log());
}
