//! What does an HTTP component in Rust see of a request?

use std::io::{self, Write};

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Hello;

wasip2::http::proxy::export!(Hello);

impl Guest for Hello {
    fn handle(request: IncomingRequest, response_out: ResponseOutparam) {
        let headers = Fields::from_list(&[("content-type".to_owned(), b"text/plain".to_vec())]);
        let response = OutgoingResponse::new(headers.expect("a header as it should be"));
        let body = response.body().expect("the body is asked for once");
        // The head is on its way from here on.
        ResponseOutparam::set(response_out, Ok(response));
        let mut out = body.write().expect("the stream is asked for once");
        let path = request.path_with_query().unwrap_or_default();
        writeln!(out, "You asked for {path} and sent {} bytes", length(&request)).expect("the client is there");
        out.flush().expect("the client is there");
        // What belongs to something is dropped before it.
        drop(out);
        OutgoingBody::finish(body, None).expect("the body is complete");
    }
}

fn length(request: &IncomingRequest) -> u64 {
    let body = request.consume().expect("the body is asked for once");
    let mut stream = body.stream().expect("the stream is asked for once");
    io::copy(&mut stream, &mut io::sink()).expect("the client sends all of it")
}
