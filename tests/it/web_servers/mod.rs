//! FastCGI and SCGI: what a web server gets that hands over its requests.

mod behind;
mod fastcgi;
mod mutations;
mod scgi;
mod wire;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::support::LONG;
use crate::support::guest::{printing_then, probe};
use crate::support::process::{self, Wagi};
use crate::support::site::Site;

/// The example that prints its environment, a guest that fails in the middle of its response, and the probe, at these addresses.
fn wagi(server: &str, addresses: &[&str]) -> Wagi {
    let env = include_str!("../../../examples/env.wat");
    let site = Site::new().top(&format!("[server]\n{server}"));
    let torn = printing_then(format!("Content-Type: text/plain\n\n{}", "x".repeat(100_000)), "unreachable");
    let site = site.text_module("/env/...", env, "").text_module("/torn", &torn, "").module("/...", &probe(), "");
    site.write();
    let mut command = process::command(site.path());
    command.args(["-c", "modules.toml"]);
    for address in addresses {
        command.args(["-l", address]);
    }
    Wagi::spawn(&mut command).keeping(site.into_directory())
}

const FACTS: [(&str, &str); 16] = [
    ("REQUEST_METHOD", "POST"),
    ("REQUEST_URI", "/env/a?b"),
    ("SCRIPT_NAME", "/other"),
    ("SCRIPT_FILENAME", "/srv/other"),
    ("PATH_INFO", "/other"),
    ("DOCUMENT_ROOT", "/srv"),
    ("HTTP_HOST", "a.test"),
    ("HTTP_PROXY", "evil"),
    ("HTTP_X_MINE", "1, 2"),
    ("PHP_VALUE", "x"),
    ("CONTENT_LENGTH", "3"),
    ("REMOTE_ADDR", "192.0.2.7"),
    ("REMOTE_PORT", "55"),
    ("HTTPS", "on"),
    ("REMOTE_USER", "alice"),
    ("AUTH_TYPE", "Basic"),
];

fn assert_facts(text: &str) {
    for line in [
        "REQUEST_URI=/env/a?b",
        "SCRIPT_NAME=/env",
        "PATH_INFO=/a",
        "HTTP_HOST=a.test",
        "HTTP_X_MINE=1, 2",
        "CONTENT_LENGTH=3",
        "REMOTE_ADDR=192.0.2.7",
        "REMOTE_PORT=55",
        "HTTPS=on",
        "REMOTE_USER=alice",
        "AUTH_TYPE=Basic",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
    assert!(text.starts_with("Status: 200"), "{text}");
    for dropped in ["evil", "PHP_VALUE", "/other", "/srv"] {
        assert!(!text.contains(dropped), "{text}");
    }
}

/// A connection over TCP.
fn tcp(wagi: &Wagi, protocol: &str) -> TcpStream {
    let url = wagi.url().split(' ').find_map(|url| url.strip_prefix(&format!("{protocol}:"))).expect("the protocol");
    let stream = TcpStream::connect(url).expect("it listens");
    stream.set_read_timeout(Some(LONG)).expect("a timeout");
    stream
}

#[test]
fn a_peer_that_is_not_trusted_is_disconnected() {
    let wagi = wagi("trusted_proxies = ['192.0.2.1']", &["fastcgi:127.0.0.1:0", "scgi:127.0.0.1:0"]);
    for (protocol, request) in
        [("fastcgi", wire::request(0, &FACTS, b"abc")), ("scgi", (wire::netstring(&FACTS) + "abc").into_bytes())]
    {
        let mut stream = tcp(&wagi, protocol);
        let _ = stream.write_all(&request);
        let _ = stream.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert_eq!(rest, b"");
    }
    wagi.logged(&["not in `trusted_proxies`"]);
    assert!(!wagi.log().contains("/env/a"), "{}", wagi.log());
}

#[test]
fn a_peer_that_is_trusted_is_served_over_tcp() {
    let wagi = wagi("trusted_proxies = ['127.0.0.0/8']", &["fastcgi:127.0.0.1:0", "scgi:127.0.0.1:0"]);
    let mut stream = tcp(&wagi, "scgi");
    write!(stream, "{}abc", wire::netstring(&FACTS)).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a response");
    assert_facts(&text);
    // Its end ends the guest.
    let mut stream = tcp(&wagi, "fastcgi");
    stream.write_all(&wire::get(1, "/sleep?600000")).expect("it reads");
    stream.read_exact(&mut [0; 8]).expect("the beginning of the response");
    drop(stream);
    wagi.logged(&["/sleep?600000", "end=client-gone"]);
}
