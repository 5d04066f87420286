//! SCGI: one request for each connection.

use crate::web_servers::wire::{WebServer, netstring};
use crate::web_servers::{FACTS, assert_facts, wagi};

#[test]
fn a_connection_over_scgi_serves_one_request() {
    let wagi = wagi("", &["scgi:unix:web.sock"]);
    let mut connection = WebServer::connect(&wagi, "web.sock");
    connection.send(netstring(&FACTS) + "abc");
    assert_facts(&connection.rest());
    let bytes = netstring(&FACTS) + "abc";
    let mut connection = WebServer::connect(&wagi, "web.sock");
    for byte in bytes.as_bytes() {
        connection.send([*byte]);
    }
    assert_facts(&connection.rest());
}

#[test]
fn a_body_over_scgi_is_as_long_as_its_length_says_or_is_refused() {
    let wagi = wagi("", &["scgi:unix:web.sock"]);
    let post = |length| netstring(&[("CONTENT_LENGTH", length), ("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/echo")]);
    for (length, body, status, expected) in
        [("3", "abcdef", "200", "\r\n\r\nabc"), ("0", "abc", "200", "\r\n\r\n"), ("5", "abc", "400", "\r\n\r\n")]
    {
        let mut connection = WebServer::connect(&wagi, "web.sock");
        connection.send(post(length) + body);
        if status == "400" {
            connection.0.shutdown(std::net::Shutdown::Write).expect("it is open");
        }
        let text = connection.rest();
        assert!(text.starts_with(&format!("Status: {status}")) && text.ends_with(expected), "{length}: {text}");
    }
}

#[test]
fn what_is_no_request_over_scgi_is_refused() {
    let wagi = wagi("", &["scgi:unix:web.sock"]);
    for (bytes, status) in [
        (netstring(&[("CONTENT_LENGTH", "0"), ("REQUEST_METHOD", "GET")]), 400),
        (netstring(&[("CONTENT_LENGTH", "0"), ("REQUEST_URI", "/env")]), 400),
        (netstring(&[("CONTENT_LENGTH", "-1"), ("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/env")]), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("3:abc,".to_owned(), 400),
        ("5:a\0b\0c,".to_owned(), 400),
        ("99999999:".to_owned(), 431),
        ("99999999999999".to_owned(), 431),
    ] {
        let mut connection = WebServer::connect(&wagi, "web.sock");
        connection.send(&bytes);
        let text = connection.rest();
        assert!(text.starts_with(&format!("Status: {status} ")), "{bytes:?}: {text}");
    }
}
