//! How does the probe call others?

use std::io::{Read, Write};

use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingRequest, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, ResponseOutparam, Scheme,
};

use crate::answer::Answer;

fn request(url: &str, method: &Method) -> OutgoingRequest {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let at = rest.find('/').unwrap_or(rest.len());
    let headers = Fields::new();
    headers.append("x-from", b"the probe").expect("a header");
    let request = OutgoingRequest::new(headers);
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    request.set_scheme(Some(&scheme)).expect("a scheme");
    request.set_authority(Some(&rest[..at])).expect("an authority");
    request.set_path_with_query(Some(&rest[at..])).expect("a path");
    request.set_method(method).expect("a method");
    request
}

fn answered(future: &FutureIncomingResponse) -> Result<IncomingResponse, ErrorCode> {
    future.subscribe().block();
    future.get().expect("it is there").expect("it is taken once")
}

/// Sends the request on to the URL, which `timeout=MS;` or `connect=MS;` may precede, and the answer back, both piece by
/// piece.
pub fn pass_on(incoming: &IncomingRequest, out: ResponseOutparam, query: &str) {
    let (options, url) = query.split_once(';').map_or((None, query), |(said, url)| (Some(patience(said)), url));
    match passed_on(incoming, options, url) {
        Ok(response) => {
            let answer = Answer::begin(out, response.status(), &[("x-passed", "on")]);
            send_back(&response, answer);
        }
        Err(code) => {
            let mut answer = Answer::begin(out, 502, &[]);
            answer.write(format!("{code:?}\n").as_bytes());
            answer.end();
        }
    }
}

fn patience(said: &str) -> RequestOptions {
    let options = RequestOptions::new();
    let (what, milliseconds) = said.split_once('=').expect("a name and a time");
    let time = Some(milliseconds.parse::<u64>().expect("a number") * 1_000_000);
    if what == "connect" {
        options.set_connect_timeout(time).expect("a timeout");
    } else {
        options.set_first_byte_timeout(time).expect("a timeout");
        options.set_between_bytes_timeout(time).expect("a timeout");
    }
    options
}

fn passed_on(incoming: &IncomingRequest, options: Option<RequestOptions>, url: &str) -> Result<IncomingResponse, ErrorCode> {
    let method = incoming.method();
    let outgoing = request(url, &method);
    let body = outgoing.body().expect("the body is asked for once");
    let future = handle(outgoing, options)?;
    if matches!(method, Method::Post) {
        let from = incoming.consume().expect("the body is asked for once");
        let mut from = from.stream().expect("the stream is asked for once");
        let mut to = body.write().expect("the stream is asked for once");
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = Read::read(&mut from, &mut buffer) {
            if to.write_all(&buffer[..count]).and_then(|()| Write::flush(&mut to)).is_err() {
                break;
            }
        }
    }
    let finished = OutgoingBody::finish(body, None);
    let response = answered(&future)?;
    finished?;
    Ok(response)
}

fn send_back(response: &IncomingResponse, mut answer: Answer) {
    let body = response.consume().expect("the body is asked for once");
    let mut stream = body.stream().expect("the stream is asked for once");
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match Read::read(&mut stream, &mut buffer) {
            Ok(0) => return answer.end(),
            Ok(count) => answer.write(&buffer[..count]),
            Err(error) => {
                eprintln!("the answer broke off: {error}");
                return answer.leave(b"");
            }
        }
    }
}

/// `n,URL`: as many calls at once, and what becomes of each.
pub fn several(query: &str) -> String {
    let (count, url) = query.split_once(',').expect("a number and a URL");
    let futures: Vec<_> = (0..count.parse().expect("a number"))
        .map(|_| {
            let request = request(url, &Method::Get);
            OutgoingBody::finish(request.body().expect("once"), None).expect("no body");
            handle(request, None).expect("it is tried")
        })
        .collect();
    let answers: Vec<_> = futures.iter().map(answered).collect();
    answers
        .iter()
        .map(|answer| match answer {
            Ok(response) => format!("{}\n", response.status()),
            Err(code) => format!("{code:?}\n"),
        })
        .collect()
}

/// Begins a POST and traps in the middle of it.
pub fn cut(url: &str) {
    let outgoing = request(url, &Method::Post);
    let body = outgoing.body().expect("the body is asked for once");
    let future = handle(outgoing, None).expect("it is tried");
    let mut to = body.write().expect("the stream is asked for once");
    to.write_all(b"the first half").and_then(|()| Write::flush(&mut to)).expect("somebody listens");
    std::thread::sleep(std::time::Duration::from_millis(200));
    drop(future);
    std::process::abort();
}

/// Whether a socket leads anywhere.
pub fn socket() -> String {
    use wasip2::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
    use wasip2::sockets::{instance_network::instance_network, tcp_create_socket::create_tcp_socket};
    let there = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 80, address: (127, 0, 0, 1) });
    let connecting = create_tcp_socket(IpAddressFamily::Ipv4).and_then(|socket| {
        socket.start_connect(&instance_network(), there)?;
        socket.subscribe().block();
        socket.finish_connect().map(drop)
    });
    format!("{connecting:?}\n")
}

