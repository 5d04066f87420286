//! Greets the name in the query.

use std::io::{self, Write};

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct App;

wasip2::http::proxy::export!(App);

impl Guest for App {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        let text = greeting(&request);
        let headers = Fields::from_list(&[("content-type".to_owned(), b"text/plain; charset=utf-8".to_vec())]);
        let response = OutgoingResponse::new(headers.expect("a header as it should be"));
        let body = response.body().expect("the body is asked for once");
        ResponseOutparam::set(response_out, Ok(response));
        let mut out = body.write().expect("the stream is asked for once");
        out.write_all(text.as_bytes()).expect("the client is there");
        out.flush().expect("the client is there");
        // What belongs to something is dropped before it.
        drop(out);
        OutgoingBody::finish(body, None).expect("the body is complete");
    }
}

fn greeting(request: &IncomingRequest) -> String {
    let target = request.path_with_query().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let name = query.split('&').find_map(|field| field.strip_prefix("name=")).unwrap_or("world");
    // Standard error goes to the log of the server.
    eprintln!("greeted {name}");
    format!("Hello, {name}!\nYou asked for {path} and sent {} bytes.\n", length(request))
}

fn length(request: &IncomingRequest) -> u64 {
    let body = request.consume().expect("the body is asked for once");
    let mut stream = body.stream().expect("the stream is asked for once");
    io::copy(&mut stream, &mut io::sink()).expect("the client sends all of it")
}
