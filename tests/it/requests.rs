//! Requests that leave open what is meant are refused; of those that are served, everybody sees the same host. And which
//! clients are waited for.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::LONG;
use crate::support::guest::{component, probe};
use crate::support::http1::{Answer, Connection};
use crate::support::http2;
use crate::support::process::Wagi;
use crate::support::site::Site;

const HOST: &str = "Host: localhost\r\n";

/// The probes for modules and for components.
fn both() -> Wagi {
    both_with("")
}

fn both_with(limits: &str) -> Wagi {
    let site = Site::new().module("/http/...", &component("http-probe.wasm"), "").module("/...", &probe(), "");
    site.top(limits).start(&[])
}

/// The answer to one request on a connection of its own.
fn answer(wagi: &Wagi, request: impl AsRef<[u8]>) -> Answer {
    let mut connection = Connection::open(wagi.address());
    connection.send(request);
    connection.answer()
}

fn status_of_get(wagi: &Wagi, target: &str, fields: &str) -> u16 {
    answer(wagi, format!("GET {target} HTTP/1.1\r\n{fields}\r\n")).status
}

#[test]
fn a_transfer_coding_other_than_chunked_alone_is_501_and_the_end_of_the_connection() {
    let wagi = Site::probe("").start(&[]);
    for codings in
        ["gzip, chunked", "chunked, chunked", "identity, chunked", ",chunked", "chunked\r\nTransfer-Encoding: chunked"]
    {
        let mut connection = Connection::open(wagi.address());
        connection
            .send(format!("POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: {codings}\r\n\r\n1\r\na\r\n0\r\n\r\n"));
        let answer = connection.answer();
        assert_eq!((answer.status, answer.header("connection")), (501, Some("close")), "{codings}");
        assert_eq!(connection.rest(), b"", "{codings}");
    }
    let chunked = format!("POST /echo HTTP/1.1\r\n{HOST}Transfer-Encoding: Chunked \r\n\r\n1\r\na\r\n0\r\n\r\n");
    assert_eq!(answer(&wagi, chunked).text(), "a");
}

/// RFC 9112 §3.2
#[test]
fn a_host_that_is_none_is_400() {
    let wagi = Site::probe("").start(&[]);
    for host in
        ["good@evil", "a/b", "a b", "a,b", "a?b", "[::1", "::1", "[a]", "h:port", "h:99999", "h:80:90", "caf\u{e9}"]
    {
        assert_eq!(status_of_get(&wagi, "/args", &format!("Host: {host}\r\n")), 400, "{host}");
    }
    for host in ["", "a", "a.example:80", "a:", "[::1]:3000", "a_b"] {
        assert_eq!(status_of_get(&wagi, "/args", &format!("Host: {host}\r\n")), 200, "{host}");
    }
    for target in ["http://user@a/args", "http://a:99999/args"] {
        assert_eq!(status_of_get(&wagi, target, "Host: a\r\n"), 400, "{target}");
    }
}

/// RFC 9112 §3.2.2
/// A field of a head that no table of HPACK has.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("a short text");
    [&[0, length(name)][..], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// Sends a GET over HTTP/2 with these fields in its head, which a client library may not send. Returns the status and the body;
/// a stream or a connection that is reset counts as 400.
fn get_over_http_2(wagi: &Wagi, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let mut block = vec![0x82, 0x86];
    block.extend(literal(":path", path));
    fields.iter().for_each(|(name, value)| block.extend(literal(name, value)));
    let mut stream = TcpStream::connect(wagi.address()).expect("the server listens");
    stream.set_read_timeout(Some(LONG)).expect("a timeout is allowed");
    let head = [&[0, 0, u8::try_from(block.len()).expect("a short head"), 1, 5, 0, 0, 0, 1][..], &block].concat();
    let sent = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0], &head].concat();
    stream.write_all(&sent).expect("the server reads");
    let (mut status, mut body) = (400, Vec::new());
    let mut frame = [0; 9];
    while stream.read_exact(&mut frame).is_ok() {
        let mut payload = vec![0; u32::from_be_bytes([0, frame[0], frame[1], frame[2]]) as usize];
        stream.read_exact(&mut payload).expect("a whole frame");
        match frame[3] {
            0 => body.extend(payload),
            // 200 and 400 are in the static table of HPACK.
            1 if payload[0] == 0x88 => status = 200,
            1 if payload[0] == 0x8c => return (400, String::new()),
            1 => panic!("another status: {payload:?}"),
            3 | 7 => break,
            _ => continue,
        }
        if frame[3] <= 1 && frame[4] & 1 == 1 {
            break;
        }
    }
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// RFC 9113 §8.3.1: `:authority` is what the field `Host` is in HTTP/1.1, which some clients send instead.
#[test]
fn a_host_that_is_none_is_400_over_http_2() {
    let wagi = both();
    for host in
        ["good@evil", "a/b", "a b", "a,b", "a?b", "[::1", "::1", "[a]", "h:port", "h:99999", "h:80:90", "caf\u{e9}"]
    {
        for name in [":authority", "host"] {
            for path in ["/args", "/http/request"] {
                assert_eq!(get_over_http_2(&wagi, path, &[(name, host)]).0, 400, "{name} {host}");
            }
        }
        assert_eq!(get_over_http_2(&wagi, "/args", &[(":authority", "a"), ("host", host)]).0, 400, "{host}");
    }
    for host in ["a", "a.example:80", "[::1]:3000", "a_b"] {
        for name in [":authority", "host"] {
            assert_eq!(get_over_http_2(&wagi, "/args", &[(name, host)]).0, 200, "{name} {host}");
        }
    }
    assert_eq!(get_over_http_2(&wagi, "/args", &[("host", "a"), ("host", "b")]).0, 400);
    let (status, variables) = get_over_http_2(&wagi, "/env", &[(":authority", "a:81"), ("host", "b")]);
    assert_eq!(status, 200);
    for variable in ["SERVER_NAME=a\n", "SERVER_PORT=81\n", "HTTP_HOST=a:81\n"] {
        assert!(variables.contains(variable), "{variable}: {variables}");
    }
}

#[test]
fn the_authority_of_the_target_replaces_the_host_field() {
    let wagi = both();
    let get =
        |path: &str, fields: &str| answer(&wagi, format!("GET http://a:81{path} HTTP/1.1\r\n{fields}\r\n")).text();
    for fields in ["Host: b\r\n", ""] {
        let variables = get("/env", fields);
        for variable in ["SERVER_NAME=a\n", "SERVER_PORT=81\n", "HTTP_HOST=a:81\n", "X_FULL_URL=http://a:81/env\n"] {
            assert!(variables.contains(variable), "{variable}: {variables}");
        }
        let seen = get("/http/request", fields);
        assert!(seen.contains(" a:81 /http/request\n"), "{seen}");
    }
}

#[test]
fn several_content_types_are_400_for_modules_and_components() {
    let wagi = both();
    for path in ["/args", "/http/request"] {
        let types = "Content-Type: text/plain\r\nContent-Type: text/plain\r\n";
        assert_eq!(status_of_get(&wagi, path, &format!("{HOST}{types}")), 400, "{path}");
        assert_eq!(status_of_get(&wagi, path, &format!("{HOST}Accept: a/b\r\nAccept: c/d\r\n")), 200, "{path}");
    }
}

/// People send JSON as it is. `<`, `>` and the double quote in a query, and `<`, `>` and the backtick in a path are refused
/// by the library that parses the target.
#[test]
fn most_characters_that_a_url_should_encode_reach_the_program() {
    let wagi = Site::probe("").start(&[]);
    let target = "/args?a={b}|^`\\[c]'~";
    let variables = answer(&wagi, format!("GET {} HTTP/1.1\r\n{HOST}\r\n", target.replace("args", "env"))).text();
    assert!(variables.contains("QUERY_STRING=a={b}|^`\\[c]'~\n"), "{variables}");
    assert_eq!(status_of_get(&wagi, "/env?\"", HOST), 400);
    assert_eq!(status_of_get(&wagi, "/env?<>", HOST), 400);
    for (path, status) in [("/{a}", 404), ("/\"a\"", 404), ("/a|b^c\\d", 404), ("/<a>", 400), ("/`a`", 400)] {
        assert_eq!(status_of_get(&wagi, path, HOST), status, "{path}");
    }
}

/// RFC 9110 §10.1.1: the HTTP/2 library cannot send a 100; the client learns that and may repeat its request without.
#[tokio::test(flavor = "multi_thread")]
async fn an_expectation_over_http_2_is_417_if_nothing_follows() {
    let wagi = both_with("[limits]\nbody_timeout = '2s'");
    let mut connection = http2::Connection::open(wagi.address()).await;
    for path in ["/count-stdin", "/http/count"] {
        let post = || http::Request::post(format!("http://localhost{path}")).header("expect", "100-continue");
        let (answer, _waiting) = connection.send(post().header("content-length", 5), false).await;
        assert_eq!(http2::head(answer).await.0, 417, "{path}");
        let (answer, mut body) = connection.send(post(), false).await;
        body.send_data("hello".into(), true).expect("an open stream");
        assert_eq!(http2::head(answer).await.0, 200, "{path}");
    }
}

/// `printf 'GET / HTTP/1.0\r\n\r\n' | nc`
#[test]
fn a_client_that_closes_its_side_behind_its_last_request_gets_a_late_answer() {
    let wagi = Site::probe("").start(&[]);
    for head in ["GET /sleep?500 HTTP/1.0\r\n\r\n", "GET /sleep?500 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"] {
        let mut connection = Connection::open(wagi.address());
        connection.send(head);
        connection.stream().shutdown(std::net::Shutdown::Write).expect("the connection is open");
        assert_eq!(connection.answer().text(), "awake\n", "{head}");
    }
}

/// Idle connections are asked to go, and the operator is told why so few are possible.
#[test]
fn a_newcomer_is_served_soon_when_descriptors_run_out() {
    let site = Site::probe("");
    site.write();
    let wagi = env!("CARGO_BIN_EXE_wagi");
    let mut shell = std::process::Command::new("sh");
    shell.current_dir(site.path()).arg("-c").arg(format!("ulimit -n 128; exec {wagi} -c modules.toml -l 127.0.0.1:0"));
    let wagi = Wagi::spawn(&mut shell);
    let begun = Instant::now();
    let mut idle = Vec::new();
    for _ in 0..200 {
        let mut connection = Connection::open(wagi.address());
        assert_eq!(connection.get("/args").status, 200);
        idle.push(connection);
    }
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    wagi.logged(&["WARN", "allows only 96 connections", "connections=10000", "descriptors=128"]);
}
