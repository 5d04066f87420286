//! Are files the same over HTTP/2?

use std::net::SocketAddr;

use http::Request;

use crate::static_files::nginx::{DIFFERENT, Row, SAME, ask, filled_in};
use crate::static_files::tree;
use crate::support::http1::Answer;
use crate::support::http2::{Connection, head, piece};
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::{Dice, make_pipe};

/// The answer over HTTP/2.
async fn ask_over_http2(connection: &mut Connection, address: SocketAddr, (method, target, fields): Row) -> Answer {
    let fields = filled_in(address, fields);
    let mut request = Request::builder().method(method).uri(format!("http://localhost{target}"));
    for field in fields.lines() {
        let (name, value) = field.split_once(": ").expect("a field");
        request = request.header(name.to_ascii_lowercase(), value);
    }
    let (answer, _) = connection.send(request, true).await;
    let (head, mut stream) = answer.await.expect("an answer").into_parts();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let mut body = Vec::new();
    while let Some(bytes) = piece(&mut stream).await {
        body.extend_from_slice(&bytes.expect("a piece"));
    }
    Answer { status: head.status.as_u16(), headers, body }
}

/// All but what belongs to the connection and the moment.
fn essence(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let of_file = |(name, value): &(String, String)| {
        let is_of_file = !["date", "connection", "content-length"].contains(&name.as_str())
            || (name == "content-length" && value != "0");
        is_of_file.then(|| (name.clone(), value.clone()))
    };
    let mut headers: Vec<_> = answer.headers.iter().filter_map(of_file).collect();
    headers.sort();
    (answer.status, headers, answer.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_the_same_over_http_2() {
    let site = tree();
    make_pipe(&site.path().join("public/pipe"));
    let wagi = site.top("[[static]]\nroute = '/...'\ndirectory = 'public'").start(&[]);
    let mut connection = Connection::open(wagi.address()).await;
    for row in SAME.into_iter().chain(DIFFERENT.into_iter().map(|(row, ..)| row)) {
        let over_http2 = ask_over_http2(&mut connection, wagi.address(), row).await;
        assert_eq!(essence(&over_http2), essence(&ask(wagi.address(), row)), "{row:?}");
    }
}

/// A server of files that may open 256 descriptors: 64 of them are not for connections, and 32 for files that are sent.
fn with_few_descriptors() -> (Site, Wagi) {
    let site = tree();
    site.file("public/large.txt", "x".repeat(4 << 20));
    let site = site.top("[[static]]\nroute = '/...'\ndirectory = 'public'");
    site.write();
    let mut shell = std::process::Command::new("sh");
    let command = format!("ulimit -n 256; exec {} -c modules.toml -l 127.0.0.1:0", env!("CARGO_BIN_EXE_wagi"));
    shell.current_dir(site.path()).arg("-c").arg(command);
    let wagi = Wagi::spawn(&mut shell);
    (site, wagi)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_holds_only_some_files_open() {
    let (_site, wagi) = with_few_descriptors();
    let mut connection = Connection::open(wagi.address()).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        let (answer, _) = connection.get("/large.txt").await;
        let (status, body) = head(answer).await;
        assert_eq!(status, 200);
        held.push(body);
    }
    for (target, status) in [("/large.txt", 503), ("/missing", 404), ("/bare", 301)] {
        let (answer, _) = connection.get(target).await;
        let answer = answer.await.expect("an answer");
        let retry_after = answer.headers().get("retry-after").map(|value| value.as_bytes().to_owned());
        let expected = (status == 503).then(|| b"1".to_vec());
        assert_eq!((answer.status().as_u16(), retry_after), (status, expected), "{target}");
    }
    wagi.logged(&["GET /large.txt ", " 503 ", "end=busy", "reason=\"too many files are being sent\""]);
    held.pop();
    let mut other = Connection::open(wagi.address()).await;
    loop {
        let (answer, _) = other.get("/style.css").await;
        // What was dropped is known to the server a moment later.
        match head(answer).await.0 {
            503 => tokio::task::yield_now().await,
            status => break assert_eq!(status, 200),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_has_only_some_encoders() {
    let site = tree();
    let mut dice = Dice(3);
    site.file("public/large.txt", (0..4 << 20).map(|_| char::from(b'0' + dice.below(64) as u8)).collect::<String>());
    let wagi = site.top("[[static]]\nroute = '/...'\ndirectory = 'public'\ncompress = true").start(&[]);
    let mut connections = [Connection::open(wagi.address()).await, Connection::open(wagi.address()).await];
    let mut held = Vec::new();
    let mut codings = Vec::new();
    for number in 0..130 {
        let request = Request::get("http://localhost/large.txt").header("accept-encoding", "zstd");
        let (answer, _) = connections[number / 100].send(request, true).await;
        let answer = answer.await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.headers()["vary"].as_bytes()), (200, &b"Accept-Encoding"[..]));
        let has_strong_tag = answer.headers()["etag"].as_bytes().starts_with(b"\"");
        let is_encoded = answer.headers().contains_key("content-encoding");
        assert_ne!(is_encoded, has_strong_tag);
        codings.push(is_encoded);
        held.push(answer.into_body());
    }
    assert_eq!(codings, [vec![true; 128], vec![false; 2]].concat());
}
