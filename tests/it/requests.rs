//! Requests that leave open what is meant are refused; of those that are served, everybody sees the same host.

use crate::support::guest::{component, probe};
use crate::support::http1::{Answer, Connection};
use crate::support::process::Wagi;
use crate::support::site::Site;

const HOST: &str = "Host: localhost\r\n";

/// The probes for modules and for components.
fn both() -> Wagi {
    Site::new().module("/http/...", &component("http-probe.wasm"), "").module("/...", &probe(), "").start(&[])
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
