//! The conformance program of all languages, as an HTTP component in Rust.

use std::io::{Read, Write};

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Conform;

wasip2::http::proxy::export!(Conform);

impl Guest for Conform {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        let body = content(&request);
        let (status, headers, content) = match field(&request, "wagi-path-info").as_str() {
            "/binary" => (200, vec![("content-type", "application/octet-stream")], body.into_iter().rev().collect()),
            path => (201, text_headers(), described(&request, path, &body).into_bytes()),
        };
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let response = OutgoingResponse::new(Fields::from_list(&headers).expect("headers as they should be"));
        response.set_status_code(status).expect("a status as it should be");
        let body = response.body().expect("the body is asked for once");
        ResponseOutparam::set(response_out, Ok(response));
        let mut out = body.write().expect("the stream is asked for once");
        out.write_all(&content).expect("the client is there");
        out.flush().expect("the client is there");
        // What belongs to something is dropped before it.
        drop(out);
        OutgoingBody::finish(body, None).expect("the body is complete");
    }
}

fn text_headers() -> Vec<(&'static str, &'static str)> {
    let cookies = ["first=1; Path=/", "second=2; Path=/"].map(|cookie| ("set-cookie", cookie));
    [&[("content-type", "text/plain; charset=utf-8")], &cookies[..]].concat()
}

fn content(request: &IncomingRequest) -> Vec<u8> {
    let body = request.consume().expect("the body is asked for once");
    let (mut stream, mut bytes) = (body.stream().expect("the stream is asked for once"), Vec::new());
    stream.read_to_end(&mut bytes).expect("the client sends all of it");
    bytes
}

fn field(request: &IncomingRequest, name: &str) -> String {
    let values = request.headers().get(name);
    values.first().map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

fn described(request: &IncomingRequest, path: &str, body: &[u8]) -> String {
    eprintln!("to standard error");
    let method = match request.method() {
        Method::Get => "GET".to_owned(),
        Method::Post => "POST".to_owned(),
        other => format!("{other:?}"),
    };
    let target = request.path_with_query().unwrap_or_default();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let (form, cookies) = (String::from_utf8_lossy(body), field(request, "cookie"));
    let two = |fields: &str, one, two, separator| {
        format!("{} {}", value(fields, one, separator), value(fields, two, separator))
    };
    format!(
        "method: {method}\npath: {path}\nquery: {}\nform: {}\ncookies: {}\nfile: {}",
        two(query, "name", "n", '&'),
        two(&form, "a", "b", '&'),
        two(&cookies, "one", "two", ';'),
        std::fs::read_to_string("/www/conform.txt").expect("there is a file")
    )
}

/// The value of a field, decoded.
fn value(fields: &str, name: &str, separator: char) -> String {
    let pairs = fields.split(separator).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(found, _)| *found == name).map(|(_, value)| decoded(value)).next().unwrap_or_default()
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
