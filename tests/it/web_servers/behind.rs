//! The same requests as over HTTP through each web server, as docs/web-servers.md sets it up.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::behind_a_proxy::proxies::{Proxy, blocks, only_block, replaced};
use crate::behind_a_proxy::{self, forwards_requests, the_host_of_a_whole_url_counts};
use crate::support::guest::probe;
use crate::support::http1::Connection;
use crate::support::process::{self, Wagi};
use crate::support::site::Site;

const PAGE: &str = include_str!("../../../docs/web-servers.md");

/// A server that trusts no proxy, in a directory that other users may enter.
fn wagi() -> Wagi {
    let wagi = behind_a_proxy::wagi("");
    fs::set_permissions(wagi.directory(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    wagi
}

/// The block of a kind, with the socket of this server.
fn fastcgi(kind: &str, wagi: &Wagi) -> String {
    let socket = wagi.directory().join("fastcgi.sock");
    replaced(&only_block(PAGE, kind), "/run/wagi/fastcgi.sock", &socket.display().to_string())
}

/// Whether the body of a request passes before the response.
#[derive(Clone, Copy, PartialEq)]
enum Duplex {
    Both,
    OneAfterTheOther,
}

fn is_like_http(wagi: &Wagi, proxy: &Proxy, duplex: Duplex) {
    forwards_requests(wagi, proxy);
    if duplex == Duplex::Both {
        uploads_pass_as_they_come(proxy);
    }
    long_bodies_pass(proxy);
    an_upload_that_is_broken_off_has_reached_its_guest(wagi, proxy);
    event_streams_pass_as_they_come_and_end_with_their_client(wagi, proxy);
}

fn post(proxy: &Proxy, target: &str, length: usize) -> Connection {
    let mut connection = Connection::open(proxy.plain());
    connection.send(format!("POST {target} HTTP/1.1\r\nHost: example.test\r\nContent-Length: {length}\r\n\r\n"));
    connection
}

/// The guest answers while its client is still sending. HAProxy passes nothing on while a few bytes are all that has come.
fn uploads_pass_as_they_come(proxy: &Proxy) {
    let pieces = ["one", "two", "six"].map(|piece| piece.repeat(7000));
    let mut connection = post(proxy, "/echo", pieces.concat().len());
    connection.send(&pieces[0]);
    let answer = connection.head();
    assert_eq!(answer.status, 200);
    let mut output = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let so_far = pieces[..=at].concat();
        if at > 0 {
            connection.send(piece);
        }
        while output.len() < so_far.len() {
            output.extend(connection.chunk().expect("a piece").expect("no end"));
        }
        assert!(output == so_far.as_bytes(), "{} bytes", output.len());
    }
}

fn long_bodies_pass(proxy: &Proxy) {
    let body = "0123456789abcdef".repeat(1 << 17);
    let mut connection = post(proxy, "/count-stdin", body.len());
    connection.send(&body);
    let counted = connection.answer().text();
    assert!(counted.starts_with(&format!("{} ", body.len())), "{counted}");
}

/// The log of the guest says so: a web server that waited for the whole body would have asked for nothing.
fn an_upload_that_is_broken_off_has_reached_its_guest(wagi: &Wagi, proxy: &Proxy) {
    let mut connection = post(proxy, "/read-slowly?1&broken-off", 1_000_000);
    connection.send(vec![b'x'; 300_000]);
    drop(connection);
    let line = wagi.logged(&["/read-slowly?1&broken-off"]);
    assert!(line.contains("end=client-gone") || line.contains("end=bad-body"), "{line}");
}

fn event_streams_pass_as_they_come_and_end_with_their_client(wagi: &Wagi, proxy: &Proxy) {
    let mut connection = Connection::open(proxy.plain());
    connection.send("GET /slow-lines?2&600000 HTTP/1.1\r\nHost: example.test\r\n\r\n");
    assert_eq!(connection.head().status, 200);
    assert_eq!(connection.chunk().expect("a piece").as_deref(), Some(&b"line 1\n"[..]));
    let mut connection = Connection::open(proxy.plain());
    connection.send("GET /slow-lines?1000000&20 HTTP/1.1\r\nHost: example.test\r\n\r\n");
    assert_eq!(connection.head().status, 200);
    drop(connection);
    wagi.logged(&["/slow-lines?1000000&20", "end=client-gone"]);
}

#[test]
#[ignore = "needs nginx and curl"]
fn behind_nginx_over_fastcgi() {
    let wagi = wagi();
    let proxy = Proxy::nginx(&fastcgi("nginx", &wagi));
    is_like_http(&wagi, &proxy, Duplex::Both);
    the_host_of_a_whole_url_counts(proxy.plain());
}

#[test]
#[ignore = "needs nginx and curl"]
fn behind_nginx_over_scgi() {
    let wagi = wagi();
    let block = fastcgi("nginx", &wagi).replace("fastcgi", "scgi");
    let lines = block.lines().filter(|line| !line.contains("keepalive") && !line.contains("keep_conn"));
    let block: String = lines.map(|line| format!("{line}\n")).collect();
    let proxy = Proxy::nginx(&block);
    is_like_http(&wagi, &proxy, Duplex::Both);
    the_host_of_a_whole_url_counts(proxy.plain());
}

#[test]
#[ignore = "needs apache2 and curl"]
fn behind_apache_over_fastcgi() {
    let wagi = wagi();
    is_like_http(&wagi, &Proxy::apache(&fastcgi("apache", &wagi)), Duplex::OneAfterTheOther);
}

#[test]
#[ignore = "needs apache2 and curl"]
fn behind_apache_over_scgi() {
    let wagi = wagi();
    let block = replaced(&fastcgi("apache", &wagi), "fcgi://", "scgi://").replace("fastcgi", "scgi");
    is_like_http(&wagi, &Proxy::apache(&block), Duplex::OneAfterTheOther);
}

#[test]
#[ignore = "needs lighttpd and curl"]
fn behind_lighttpd_over_fastcgi() {
    let wagi = wagi();
    is_like_http(&wagi, &Proxy::lighttpd(&fastcgi("lighttpd", &wagi)), Duplex::Both);
}

#[test]
#[ignore = "needs lighttpd and curl"]
fn behind_lighttpd_over_scgi() {
    let wagi = wagi();
    let block = fastcgi("lighttpd", &wagi).replace("fastcgi", "scgi");
    is_like_http(&wagi, &Proxy::lighttpd(&block), Duplex::Both);
}

#[test]
#[ignore = "needs haproxy and curl"]
fn behind_haproxy_over_fastcgi() {
    let wagi = wagi();
    is_like_http(&wagi, &Proxy::haproxy(&fastcgi("haproxy", &wagi)), Duplex::Both);
}

#[test]
fn the_table_of_the_page_is_taken_as_it_is() {
    for block in blocks(PAGE, "toml") {
        let site = Site::new().module("/...", &probe(), "").top(&block);
        site.write();
        let checked = process::run(site.path(), &["-c", "modules.toml", "--check", "--strict"]);
        assert!(checked.status.success(), "{block}{}", String::from_utf8_lossy(&checked.stderr));
    }
}
