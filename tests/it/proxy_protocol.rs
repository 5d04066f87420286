//! Connections that begin with a PROXY header: over plain TCP, TLS, HTTP/2 and a Unix socket; and connections that do not.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::guest::probe;
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::{LONG, http2};

const VERSION_1: &[u8] = b"PROXY TCP4 192.0.2.7 203.0.113.9 4711 443\r\n";
/// The same, with a TLV behind the addresses.
const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\xc0\0\x02\x07\xcb\0\x71\x09\x12\x67\x01\xbb\x04\0\x02hi";
const REQUEST: &[u8] = b"GET /env HTTP/1.1\r\nHost: example.test\r\n\r\n";

/// A client whose address is not trusted.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

fn wagi(keys: &str, arguments: &[&str]) -> Wagi {
    let keys = format!("[server]\nproxy_protocol = true\ntrusted_proxies = ['127.0.0.1', 'unix'{keys}]");
    Site::new().top(&keys).text_module("/env/...", include_str!("../../examples/env.wat"), "").start(arguments)
}

/// What a guest sees of a request that follows these bytes.
fn environment(wagi: &Wagi, header: &[u8]) -> String {
    let mut connection = Connection::open(wagi.address());
    connection.send([header, REQUEST].concat());
    connection.answer().text()
}

#[track_caller]
fn assert_lines(text: &str, expected: &[&str]) {
    for line in expected {
        let is_there = match line.strip_prefix('!') {
            Some(beginning) => !text.lines().any(|found| found.starts_with(beginning)),
            None => text.lines().any(|found| found == *line),
        };
        assert!(is_there, "{line} in {text}");
    }
}

#[test]
fn the_address_that_is_announced_is_that_of_the_client() {
    let wagi = wagi("", &[]);
    for header in [VERSION_1, VERSION_2] {
        let text = environment(&wagi, header);
        assert_lines(&text, &["REMOTE_ADDR=192.0.2.7", "REMOTE_HOST=192.0.2.7", "REMOTE_PORT=4711"]);
        assert_lines(&text, &["SERVER_ADDR=203.0.113.9", "SERVER_NAME=example.test", "!HTTPS="]);
    }
    let text = environment(&wagi, b"PROXY TCP6 2001:db8::7 2001:db8::9 4711 443\r\n");
    assert_lines(&text, &["REMOTE_ADDR=2001:db8::7"]);
    let unix = [b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8".as_slice(), &[b'/'; 216]].concat();
    assert_lines(&environment(&wagi, &unix), &["REMOTE_ADDR=unix:", "!REMOTE_PORT=", "!SERVER_ADDR="]);
    wagi.logged(&["192.0.2.7 \"GET /env HTTP/1.1\" 200"]);
    wagi.logged(&["unix: \"GET /env HTTP/1.1\" 200"]);
}

#[test]
fn a_proxy_may_speak_for_itself() {
    let wagi = wagi("", &[]);
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    let unspecified = b"\r\n\r\n\0\r\nQUIT\n\x21\0\0\x03abc";
    for header in [b"PROXY UNKNOWN\r\n".as_slice(), b"PROXY UNKNOWN ::1 ::1 1 2\r\n", local, unspecified] {
        assert_lines(&environment(&wagi, header), &["REMOTE_ADDR=127.0.0.1"]);
    }
    // A health check sends no more than that.
    let mut connection = Connection::open(wagi.address());
    connection.send(local);
    connection.stream().shutdown(std::net::Shutdown::Write).expect("it is open");
    assert_eq!(connection.rest(), b"");
}

#[test]
fn the_header_may_come_in_pieces_and_holds_for_the_whole_connection() {
    let wagi = wagi("", &[]);
    for header in [VERSION_1, VERSION_2] {
        let mut connection = Connection::open(wagi.address());
        for byte in header {
            connection.send([*byte]);
        }
        for _ in 0..3 {
            connection.send(REQUEST);
            assert_lines(&connection.answer().text(), &["REMOTE_ADDR=192.0.2.7"]);
        }
        // A second header is a request like any other.
        connection.send(header);
        connection.send(b"\r\n\r\n");
        assert!(!String::from_utf8_lossy(&connection.rest()).contains("REMOTE_ADDR"));
    }
}

#[test]
fn the_announced_client_decides_whether_its_fields_count() {
    let wagi = wagi(", '192.0.2.0/24'", &[]);
    let ask = |header: &str| {
        let mut connection = Connection::open(wagi.address());
        connection.send(format!(
            "{header}GET /env HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 6.6.6.6, 198.51.100.3:5\r\nX-Forwarded-Proto: https\r\n\r\n"
        ));
        connection.answer().text()
    };
    let by_proxy = ask("PROXY TCP4 192.0.2.7 203.0.113.9 4711 443\r\n");
    assert_lines(&by_proxy, &["REMOTE_ADDR=198.51.100.3", "HTTPS=on", "SERVER_PORT=443"]);
    let by_client = ask("PROXY TCP4 203.0.113.7 203.0.113.9 4711 443\r\n");
    assert_lines(&by_client, &["REMOTE_ADDR=203.0.113.7", "!HTTPS=", "SERVER_PORT=80"]);
}

#[test]
fn connections_without_a_header_and_of_peers_that_are_not_trusted_are_closed() {
    let wagi = wagi("", &[]);
    let connections = [
        (None, REQUEST),
        (None, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        (None, b"\x16\x03\x01\x02\0"),
        (None, b"PROXY TCP4 192.0.2.7\r\n"),
        (None, b"PROXY NONSENSE\r\nGET /env HTTP/1.1\r\nHost: a\r\n\r\n"),
        (None, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff"),
        (None, b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0"),
        (Some(STRANGER), VERSION_1),
        (Some(STRANGER), VERSION_2),
        (Some(STRANGER), REQUEST),
        (Some(STRANGER), b""),
    ];
    let begun = Instant::now();
    for (own, bytes) in connections {
        let mut connection = match own {
            Some(own) => Connection::open_from(own, wagi.address()),
            None => Connection::open(wagi.address()),
        };
        // The server may close before it has read.
        let _ = connection.try_send(bytes).and_then(|()| connection.try_send(b""));
        assert_eq!(connection.rest(), b"", "{own:?} {}", bytes.escape_ascii());
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(!wagi.log().contains("GET /env"), "{}", wagi.log());
}

#[test]
fn a_proxy_that_does_not_send_its_header_in_5_seconds_is_disconnected() {
    let wagi = wagi("", &[]);
    let begun = Instant::now();
    let mut silent = Connection::open(wagi.address());
    let mut slow = Connection::open(wagi.address());
    slow.send(&VERSION_2[..20]);
    assert_eq!((silent.rest(), slow.rest()), (Vec::new(), Vec::new()));
    let took = begun.elapsed();
    assert!((Duration::from_millis(4_900)..Duration::from_secs(30)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn http_2_with_prior_knowledge_follows_a_header() {
    let wagi = wagi("", &[]);
    for header in [VERSION_1, VERSION_2] {
        let mut tcp = TcpStream::connect(wagi.address()).await.expect("the server listens");
        tcp.write_all(header).await.expect("the server reads");
        let mut connection = http2::Connection::over(tcp).await;
        let (answer, _) = connection.get("/env/h2").await;
        let (status, mut body) = http2::head(answer).await;
        let mut text = Vec::new();
        while let Some(piece) = http2::piece(&mut body).await {
            text.extend_from_slice(&piece.expect("a whole body"));
        }
        assert_eq!(status, 200);
        assert_lines(&String::from_utf8_lossy(&text), &["REMOTE_ADDR=192.0.2.7", "SERVER_PROTOCOL=HTTP/2.0"]);
    }
}

#[test]
#[ignore = "needs openssl"]
fn tls_begins_behind_the_header() {
    let fixture = |name: &str| format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let (cert, key) = (fixture("ec.cert.pem"), fixture("ec.pkcs8.pem"));
    let wagi = wagi("", &["--tls-cert", &cert, "--tls-key", &key]);
    // OpenSSL has no option for the header: it connects to a port that puts one in front of what it sends.
    for header in [VERSION_1, VERSION_2] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = wagi.address();
        let relay = std::thread::spawn(move || {
            let (client, _) = listener.accept().expect("OpenSSL connects");
            let mut upstream = std::net::TcpStream::connect(server).expect("the server listens");
            // The header and the first bytes of TLS in one write.
            let mut first = [0; 4096];
            let read = (&client).read(&mut first).expect("a handshake");
            upstream.write_all(&[header, &first[..read]].concat()).expect("the server reads");
            let (mut from, mut to) = (client.try_clone().expect("a socket"), upstream.try_clone().expect("a socket"));
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            let _ = std::io::copy(&mut upstream, &mut (&client));
        });
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}"), "-CAfile", &cert]);
        let mut openssl =
            openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("openssl");
        let request = b"GET /env/tls HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
        openssl.stdin.as_mut().expect("a pipe").write_all(request).expect("it reads");
        let output = openssl.wait_with_output().expect("an end");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_lines(&text.replace('\r', ""), &["REMOTE_ADDR=192.0.2.7", "HTTPS=on"]);
        relay.join().expect("no panic");
    }
}

#[test]
fn a_proxy_on_a_unix_socket_announces_clients() {
    let wagi = wagi("", &["-l", "unix:http.sock"]);
    let mut stream = UnixStream::connect(wagi.directory().join("http.sock")).expect("the server listens");
    stream.set_read_timeout(Some(LONG)).expect("a timeout is allowed");
    stream.write_all(VERSION_1).expect("the server reads");
    stream.write_all(b"GET /env HTTP/1.0\r\n\r\n").expect("the server reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    assert_lines(&text.replace('\r', ""), &["REMOTE_ADDR=192.0.2.7"]);
}

#[test]
fn a_header_that_is_not_asked_for_is_a_bad_request() {
    let wagi = Site::new().module("/...", &probe(), "").start(&[]);
    for header in [VERSION_1, VERSION_2] {
        let mut connection = Connection::open(wagi.address());
        connection.send([header, REQUEST].concat());
        let rest = connection.rest();
        assert!(rest.starts_with(b"HTTP/1.1 400 "), "{}", rest.escape_ascii());
    }
}
