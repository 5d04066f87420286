//! What does a component that is asked over HTTP see, and what can it do? It does what the first part of the path below its
//! route tells it; numbers and URLs follow in the query.

mod answer;
mod call;
mod leave;

use std::io::{Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{ErrorCode, IncomingBody, IncomingRequest, OutgoingBody, ResponseOutparam};

use answer::Answer;

struct Probe;

wasip2::http::proxy::export!(Probe);

impl Guest for Probe {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let headers = request.headers().entries();
        let find = |name: &str| headers.iter().find(|(found, _)| found == name).map(|(_, value)| text(value));
        let path = find("wagi-path-info").unwrap_or_default();
        let query = request.path_with_query().unwrap_or_default();
        let query = query.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default();
        let number = query.parse::<u64>().unwrap_or(0);
        match path.as_str() {
            "/request" => answer::whole(out, &describe(&request)),
            "/echo" => echo(&request, out, find("content-type")),
            "/count" => answer::whole(out, &count(&request)),
            "/env" => answer::whole(out, &std::env::vars().map(|(name, value)| format!("{name}={value}\n")).collect::<String>()),
            "/args" => answer::whole(out, &format!("{:?}\n", std::env::args().collect::<Vec<_>>())),
            "/file" => match std::fs::read(&query) {
                Ok(bytes) => answer::whole(out, &text(&bytes)),
                Err(error) => answer::whole(out, &format!("{:?}\n", error.kind())),
            },
            "/store" => answer::whole(out, &format!("{:?}\n", std::fs::write(&query, "stored").map_err(|error| error.kind()))),
            "/print" => {
                println!("printed on stdout");
                eprintln!("printed on stderr");
                answer::whole(out, "printed\n");
            }
            "/status" => Answer::begin(out, number as u16, &[]).end(),
            "/headers" => headers_and_trailers(out),
            "/bad-header" => answer::whole(out, &format!("{:?}\n", answer::set(&query, "x"))),
            "/length" => length(out, &query),
            "/head" => Answer::begin(out, 200, &[("x-long", &"x".repeat(number as usize))]).end(),
            "/pieces" => {
                let mut answer = Answer::begin(out, 200, &[]);
                for piece in 0..number {
                    answer.write(format!("piece {piece}\n").as_bytes());
                    sleep(Duration::from_millis(30));
                }
                answer.end();
            }
            "/much" => {
                let mut answer = Answer::begin(out, 200, &[]);
                let chunk = vec![b'x'; 64 * 1024];
                for written in 0..number {
                    answer.write(&chunk);
                    eprintln!("written {}", written + 1);
                }
                answer.end();
            }
            "/trap" => std::process::abort(),
            "/trap-late" => {
                let mut answer = Answer::begin(out, 200, &[]);
                answer.write(b"begun\n");
                sleep(Duration::from_millis(100));
                std::process::abort();
            }
            "/trap-soon" => {
                let mut answer = Answer::begin(out, 200, &[]);
                answer.write(b"begun\n");
                std::process::abort();
            }
            "/nothing" => {}
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::LoopDetected)),
            "/unfinished" => Answer::begin(out, 200, &[]).leave(b"begun\n"),
            "/forgotten" => std::mem::forget(Answer::begin(out, 200, &[])),
            "/spin" => spin(Duration::from_millis(number)),
            "/spin-late" => {
                let mut answer = Answer::begin(out, 200, &[]);
                answer.write(b"begun\n");
                spin(Duration::from_millis(number));
                answer.write(b"spun\n");
                answer.end();
            }
            "/sleep" => {
                sleep(Duration::from_millis(number));
                answer::whole(out, "slept\n");
            }
            "/after" => {
                answer::whole(out, "answered\n");
                sleep(Duration::from_millis(number));
                eprintln!("done behind the answer");
            }
            "/trap-after" => {
                answer::whole(out, "answered\n");
                sleep(Duration::from_millis(number));
                std::process::abort();
            }
            "/memory" => {
                let mut taken: Vec<Vec<u8>> = Vec::new();
                let mut piece = Vec::new();
                while piece.try_reserve_exact(1 << 20).is_ok() {
                    taken.push(std::mem::take(&mut piece));
                }
                answer::whole(out, &format!("{} MiB\n", taken.len()));
            }
            "/random" => answer::whole(out, &format!("{:?}\n", wasip2::random::random::get_random_bytes(8))),
            "/socket" => answer::whole(out, &call::socket()),
            "/call" => call::pass_on(&request, out, &query),
            "/calls" => answer::whole(out, &call::several(&query)),
            "/cut-upload" => call::cut(&query),
            "/leave" => leave::body(&request, out, &query),
            _ => Answer::begin(out, 404, &[]).end(),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn describe(request: &IncomingRequest) -> String {
    let mut described = format!(
        "{:?} {:?} {} {}\n",
        request.method(),
        request.scheme().expect("there is one"),
        request.authority().unwrap_or_default(),
        request.path_with_query().unwrap_or_default()
    );
    for (name, value) in request.headers().entries() {
        described += &format!("{name}: {}\n", text(&value));
    }
    described
}

pub fn body_of(request: &IncomingRequest) -> IncomingBody {
    request.consume().expect("the body is asked for once")
}

/// Answers before it reads, and then passes on piece by piece.
fn echo(request: &IncomingRequest, out: ResponseOutparam, kind: Option<String>) {
    let mut answer = Answer::begin(out, 200, &[("content-type", &kind.unwrap_or_default())]);
    let body = body_of(request);
    let mut stream = body.stream().expect("the stream is asked for once");
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match Read::read(&mut stream, &mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.write(&buffer[..count]),
            Err(error) => {
                eprintln!("the body broke off: {error}");
                return answer.leave(b"");
            }
        }
    }
    drop(stream);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    if let Some(Ok(Ok(Some(trailers)))) = trailers.get() {
        for (name, value) in trailers.entries() {
            eprintln!("trailer {name}: {}", text(&value));
        }
    }
    answer.end();
}

/// Reads all of the body and says how much there was, and whether it was whole.
fn count(request: &IncomingRequest) -> String {
    let body = body_of(request);
    let mut stream = body.stream().expect("the stream is asked for once");
    let mut buffer = vec![0; 16 * 1024];
    let mut total = 0;
    loop {
        match Read::read(&mut stream, &mut buffer) {
            Ok(0) => return format!("{total} bytes\n"),
            Ok(count) => total += count,
            Err(_) => return format!("{total} bytes and an error\n"),
        }
    }
}

fn headers_and_trailers(out: ResponseOutparam) {
    let headers = [
        ("te", "x"),
        ("keep", "a"),
        ("keep", "b"),
        ("trailer", "x-after"),
        ("content-type", "text/x"),
    ];
    let mut answer = Answer::begin(out, 200, &headers);
    answer.write(b"body\n");
    answer.end_with(&[("x-after", "1"), ("content-length", "9")]);
}

/// `said,sent`
fn length(out: ResponseOutparam, query: &str) {
    let (said, sent) = query.split_once(',').expect("two numbers");
    let mut answer = Answer::begin(out, 200, &[("content-length", said)]);
    let sent = answer.try_write(&vec![b'x'; sent.parse().expect("a number")]);
    eprintln!("sent: {sent:?}");
    let ended = answer.try_end();
    eprintln!("ended: {ended:?}");
}

pub fn spin(time: Duration) {
    let begun = Instant::now();
    while time.is_zero() || begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Ends a body that is complete.
pub fn finish(body: OutgoingBody) -> Result<(), ErrorCode> {
    OutgoingBody::finish(body, None)
}

/// Everything, through whatever the stream takes at a time.
pub fn write_all(stream: &mut impl Write, bytes: &[u8]) {
    stream.write_all(bytes).expect("somebody listens");
    stream.flush().expect("somebody listens");
}
