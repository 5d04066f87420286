//! The same requests directly and through each proxy, as docs/behind-a-proxy.md sets it up: guests see the same client, the same
//! scheme and the same host, whatever the client writes.

pub mod proxies;
mod table;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use crate::behind_a_proxy::proxies::{Proxy, blocks, only_block, replaced};
use crate::behind_a_proxy::table::check;
use crate::support::LONG;
use crate::support::guest::{component, probe};
use crate::support::http1::Connection;
use crate::support::process::{self, Wagi};
use crate::support::site::Site;

/// Where clients connect from. Proxies connect from 127.0.0.1.
pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A server with these keys in `[server]`. It listens at a port and at the sockets `http.sock`, `fastcgi.sock` and `scgi.sock` in
/// its directory.
pub fn wagi(server: &str) -> Wagi {
    let env = include_str!("../../../examples/env.wat");
    let site = Site::new().top(&format!("[server]\n{server}"));
    let site = site.text_module("/env/...", env, "").module("/component/...", &component("http-probe.wasm"), "");
    let site = site.text_module("/host", env, "host = 'other.test'").module("/...", &probe(), "");
    site.start(&[
        "-l",
        "unix:http.sock",
        "-l",
        "fastcgi:unix:fastcgi.sock?mode=0666",
        "-l",
        "scgi:unix:scgi.sock?mode=0666",
    ])
}

const PAGE: &str = include_str!("../../../docs/behind-a-proxy.md");

const TRUSTED: &str = "trusted_proxies = ['127.0.0.1', 'unix']";

fn table(address: SocketAddr, wagi: &Wagi) {
    check(address);
    wagi.logged(&["127.0.0.2 \"GET /env/the-last HTTP/1.1\" 200"]);
}

/// A client that forges PROXY headers in front of its request, and what it then gets.
fn forged_proxy_headers_lead_nowhere(address: SocketAddr, wagi: &Wagi) {
    let version_2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x06\x06\x06\x06\x7f\0\0\x01\0\x01\0\x02";
    for header in [b"PROXY TCP4 6.6.6.6 127.0.0.1 1 2\r\n".as_slice(), version_2] {
        let mut connection = Connection::open_from(CLIENT, address);
        connection.send(header);
        // Whoever does not understand the header may have closed already.
        let _ = connection.try_send("GET /env/forged HTTP/1.1\r\nHost: forged.test\r\nConnection: close\r\n\r\n");
        let rest = connection.rest();
        assert!(!String::from_utf8_lossy(&rest).contains("REMOTE_ADDR=6.6.6.6"), "{}", rest.escape_ascii());
    }
    assert!(!wagi.log().contains("\n6.6.6.6 ") && !wagi.log().contains(" 6.6.6.6 \""), "{}", wagi.log());
}

/// What a guest sees of a request over TLS.
fn tls_is_seen(port: u16) {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--noproxy", "*", "--interface", &CLIENT.to_string()]);
    curl.args(["--max-time", &LONG.as_secs().to_string(), "--header", "X-Forwarded-Proto: http"]);
    curl.args(["--header", &format!("Host: example.test:{port}")]);
    let output = curl.arg(format!("https://127.0.0.1:{port}/env/tls")).output().expect("curl is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    for line in [
        "HTTPS=on".to_owned(),
        "REQUEST_SCHEME=https".to_owned(),
        "REMOTE_ADDR=127.0.0.2".to_owned(),
        format!("SERVER_PORT={port}"),
        format!("X_FULL_URL=https://example.test:{port}/env/tls"),
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line} is not in {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// Everything about a proxy for requests.
pub fn forwards_requests(wagi: &Wagi, proxy: &Proxy) {
    table(proxy.plain(), wagi);
    tls_is_seen(proxy.secure().port());
    forged_proxy_headers_lead_nowhere(proxy.plain(), wagi);
}

#[test]
fn without_a_proxy_a_client_that_is_not_trusted_changes_nothing() {
    for family in ["x-forwarded", "forwarded"] {
        let wagi = wagi(&format!("{TRUSTED}\nforwarded = '{family}'"));
        let address = wagi.address();
        table(address, &wagi);
        forged_proxy_headers_lead_nowhere(address, &wagi);
    }
}

#[test]
fn without_trusted_proxies_the_fields_mean_nothing() {
    let wagi = wagi("");
    table(wagi.address(), &wagi);
}

/// RFC 9112, section 3.2.2: the host of a whole URL counts, and the Host field is ignored.
pub fn the_host_of_a_whole_url_counts(address: SocketAddr) {
    let port = address.port();
    let mut connection = Connection::open_from(CLIENT, address);
    connection.send(format!(
        "GET http://example.test:{port}/env/x HTTP/1.1\r\nHost: evil.test:{port}\r\nConnection: close\r\n\r\n"
    ));
    let text = connection.answer().text();
    for line in ["SERVER_NAME=example.test", "HTTP_HOST=example.test", "REQUEST_URI=/env/x"] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
    assert!(!text.contains("evil.test"), "{text}");
}

#[test]
#[ignore = "needs nginx and curl"]
fn behind_nginx_over_tcp_and_over_a_unix_socket() {
    let wagi = wagi(TRUSTED);
    let page = only_block(PAGE, "nginx");
    let tcp = replaced(&page, "server 127.0.0.1:3000;", &format!("server {};", wagi.address()));
    let proxy = Proxy::nginx(&tcp);
    forwards_requests(&wagi, &proxy);
    the_host_of_a_whole_url_counts(proxy.plain());
    let socket = wagi.directory().join("http.sock");
    let unix = replaced(&page, "server 127.0.0.1:3000;", &format!("server unix:{};", socket.display()));
    forwards_requests(&wagi, &Proxy::nginx(&unix));
}

#[test]
#[ignore = "needs apache2 and curl"]
fn behind_apache() {
    let wagi = wagi(TRUSTED);
    let site = replaced(&only_block(PAGE, "apache"), "127.0.0.1:3000", &wagi.address().to_string());
    forwards_requests(&wagi, &Proxy::apache(&site));
}

#[test]
#[ignore = "needs haproxy and curl"]
fn behind_haproxy() {
    let wagi = wagi(TRUSTED);
    let page = replaced(&only_block(PAGE, "haproxy"), "127.0.0.1:3000", &wagi.address().to_string());
    forwards_requests(&wagi, &Proxy::haproxy(&page));
}

#[test]
#[ignore = "needs caddy and curl"]
fn behind_caddy() {
    let wagi = wagi(TRUSTED);
    let page = replaced(&only_block(PAGE, "caddy"), "127.0.0.1:3000", &wagi.address().to_string());
    forwards_requests(&wagi, &Proxy::caddy(&page));
}

#[test]
#[ignore = "needs lighttpd and curl"]
fn behind_lighttpd() {
    let wagi = wagi(&format!("{TRUSTED}\nforwarded = 'forwarded'"));
    let page = only_block(PAGE, "lighttpd");
    let page = replaced(&page, "\"port\" => 3000", &format!("\"port\" => {}", wagi.address().port()));
    forwards_requests(&wagi, &Proxy::lighttpd(&page));
}

#[test]
#[ignore = "needs nginx and libnginx-mod-stream"]
fn behind_the_stream_of_nginx_with_the_proxy_protocol() {
    let wagi = wagi(&format!("{TRUSTED}\nproxy_protocol = true"));
    let page = replaced(&only_block(PAGE, "nginx-stream"), "127.0.0.1:3000", &wagi.address().to_string());
    let proxy = Proxy::nginx_stream(&page);
    table(proxy.plain(), &wagi);
    forged_proxy_headers_lead_nowhere(proxy.plain(), &wagi);
    // Past the proxy.
    forged_proxy_headers_lead_nowhere(wagi.address(), &wagi);
}

#[test]
#[ignore = "needs haproxy"]
fn behind_haproxy_with_the_proxy_protocol() {
    for version in ["send-proxy-v2", "send-proxy", "send-proxy-v2 check inter 100"] {
        let wagi = wagi(&format!("{TRUSTED}\nproxy_protocol = true"));
        let page = replaced(&only_block(PAGE, "haproxy-tcp"), "127.0.0.1:3000", &wagi.address().to_string());
        let proxy = Proxy::haproxy(&replaced(&page, "send-proxy-v2", version));
        table(proxy.plain(), &wagi);
        forged_proxy_headers_lead_nowhere(proxy.plain(), &wagi);
    }
}

/// The configurations of modules.toml on the page.
#[test]
fn the_tables_of_the_page_are_taken_as_they_are() {
    let blocks = blocks(PAGE, "toml");
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        let site = Site::new().module("/...", &probe(), "").top(&block);
        site.write();
        let checked = process::run(site.path(), &["-c", "modules.toml", "--check", "--strict"]);
        assert!(checked.status.success(), "{block}{}", String::from_utf8_lossy(&checked.stderr));
    }
}
