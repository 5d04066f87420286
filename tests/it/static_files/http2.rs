//! Are files the same over HTTP/2?

use std::net::SocketAddr;

use http::Request;

use crate::static_files::nginx::{DIFFERENT, Row, SAME, ask, filled_in};
use crate::static_files::tree;
use crate::support::http1::Answer;
use crate::support::http2::{Connection, piece};
use crate::support::make_pipe;

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
