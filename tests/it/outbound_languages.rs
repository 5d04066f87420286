//! Guests built from source that call other servers through `wasi_experimental_http`: one in Rust with the crate that such
//! guests are built with, and one in AssemblyScript with the imports themselves. `outbound` has the finer points.

use crate::support::guest::built_from_source;
use crate::support::http1::Connection;
use crate::support::port;
use crate::support::site::Site;
use crate::support::upstream::{Upstream, redirect, reply};

const LOOPBACK: &str = "allowed_hosts = ['http://127.0.0.1']";

/// A URL of this machine where nobody listens.
fn nobody() -> String {
    format!("http://{}/", port::free())
}

/// A server that says what it was asked, with header values that are no text below `/raw`.
fn upstream() -> Upstream {
    Upstream::start(|received| match received.line.as_str() {
        "GET /raw" => b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nx-raw: a\xffb\r\n\r\n".to_vec(),
        "GET /away" => redirect("302 Found", "http://localhost/"),
        _ => reply("203 Fine", "X-One: 1\r\nX-Two: 2\r\nX-Two: 3\r\n", [b"got ", received.body.as_slice()].concat()),
    })
}

/// What the crate makes of the codes its callers can bring about: it refuses by itself to send what 6, 8 and 9 are about,
/// asks again after 4, and has no wrong handles and pointers.
#[test]
#[ignore = "needs WAGI_GUESTS_DIR: outbound"]
fn the_rust_crate_passes_codes_on() {
    let program = built_from_source("outbound.wasm");
    let upstream = upstream();
    let wagi = Site::new().module("/...", &program, &format!("{LOOPBACK}\nhttp_max_concurrency = 2")).start(&[]);
    let calls = [
        (format!("GET {}", nobody()), "Wasi error 11"),
        ("GET /path".to_owned(), "Wasi error 10"),
        ("GET http://elsewhere.example/".to_owned(), "Wasi error 7"),
        (format!("GET {}", upstream.url("/away")), "Wasi error 7"),
        (format!("CONNECT {}", upstream.url("/")), "Wasi error 11"),
        (format!("GET {}", upstream.url("/raw")), "200"),
        (format!("POST {}", upstream.url("/")), "203"),
        (format!("GET {}", upstream.url("/")), "Wasi error 13"),
    ];
    let body: String = calls.iter().map(|(call, _)| format!("{call}\n")).collect();
    let mut expected: String = calls.iter().map(|(call, outcome)| format!("{call}: {outcome}\n")).collect();
    expected += "missing: Wasi error 5, headers: Wasi error 12, body: \n";
    expected += "missing: Wasi error 5, headers: 3, body: got\n";
    assert_eq!(Connection::open(wagi.address()).post("/calls", body).text(), expected);
}

/// Steps of the AssemblyScript guest, and the line it prints for each.
type Steps = Vec<Step>;
type Step = (Vec<u8>, Vec<u8>);

fn step(steps: &mut Steps, words: &[&[u8]], line: impl AsRef<[u8]>) {
    steps.push((words.join(&b'\t'), line.as_ref().to_vec()));
}

/// Sends the steps and compares what comes back, line by line.
#[track_caller]
fn perform(steps: &Steps, keys: &str) {
    let wagi = Site::new().module("/", &built_from_source("as-calls.wasm"), keys).start(&[]);
    let lines = |which: fn(&Step) -> &Vec<u8>| {
        let lines: Vec<&[u8]> = steps.iter().map(|step| which(step).as_slice()).collect();
        lines.join(&b'\n')
    };
    let answer = Connection::open(wagi.address()).post("/", lines(|(words, _)| words));
    assert_eq!(answer.status, 200, "{}", wagi.log());
    let expected = [lines(|(_, line)| line), b"\n".to_vec()].concat();
    assert!(answer.body == expected, "{}\n-- and not --\n{}", answer.text(), String::from_utf8_lossy(&expected));
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: assemblyscript"]
fn an_assemblyscript_program_calls_and_reads_what_comes_back() {
    let upstream = upstream();
    let url = upstream.url("/path?query");
    let mut steps = Steps::new();
    step(&mut steps, &[b"request", b"GET", url.as_bytes(), b"x-mine:one|x-other:two", b""], "0 203 0");
    step(&mut steps, &[b"request", b"POST", url.as_bytes(), b"content-type:a/b", b"the body"], "0 203 1");
    step(&mut steps, &[b"header", b"0", b"x-one", b"100"], "0 1");
    step(&mut steps, &[b"header", b"0", b"X-TWO", b"100"], "0 2");
    // Three lines, of which the last ends in a line end as well.
    step(&mut steps, &[b"headers", b"0", b"65536"], "0 x-one:1\nx-two:2\nx-two:3\ncontent-length:4\n");
    step(&mut steps, &[b"read", b"1", b"3"], "0 got");
    step(&mut steps, &[b"read", b"1", b"0"], "0 ");
    step(&mut steps, &[b"read", b"1", b"6"], "0  the b");
    step(&mut steps, &[b"read", b"1", b"4096"], "0 ody");
    step(&mut steps, &[b"read", b"1", b"4096"], "0 ");
    step(&mut steps, &[b"close", b"0"], "0");
    step(&mut steps, &[b"request", b"DELET", url.as_bytes(), b"", b""], "0 203 0");
    perform(&steps, LOOPBACK);
    let received = upstream.received();
    let lines: Vec<&str> = received.iter().map(|received| received.line.as_str()).collect();
    assert_eq!(lines, ["GET /path?query", "POST /path?query", "DELETE /path?query"]);
    assert_eq!((received[0].header("x-mine"), received[0].header("x-other")), (Some("one"), Some("two")));
    assert_eq!((received[1].header("content-type"), received[1].body.as_slice()), (Some("a/b"), &b"the body"[..]));
}

/// A body larger than what one read or one write takes.
#[test]
#[ignore = "needs WAGI_GUESTS_DIR: assemblyscript"]
fn an_assemblyscript_program_sends_and_gets_large_bodies() {
    let upstream = upstream();
    let body = b"0123456789abcdef".repeat(5_000);
    let mut steps = Steps::new();
    step(&mut steps, &[b"request", b"PUT", upstream.url("/").as_bytes(), b"", &body], "0 203 0");
    step(&mut steps, &[b"read", b"0", b"1000000"], [b"0 got ", body.as_slice()].concat());
    perform(&steps, LOOPBACK);
}

/// Codes 1, 3 to 13.
#[test]
#[ignore = "needs WAGI_GUESTS_DIR: assemblyscript"]
fn an_assemblyscript_program_gets_every_code() {
    let upstream = upstream();
    let (url, raw, away, nobody) = (upstream.url("/"), upstream.url("/raw"), upstream.url("/away"), nobody());
    let url = url.as_bytes();
    let mut steps = Steps::new();
    step(&mut steps, &[b"header", b"0", b"x-one", b"100"], "1");
    step(&mut steps, &[b"headers", b"outside", b"100"], "1");
    step(&mut steps, &[b"read", b"7", b"100"], "1");
    step(&mut steps, &[b"request", b"GET", url, b"", b""], "0 203 0");
    step(&mut steps, &[b"header", b"0", b"x-one", b"outside"], "3");
    step(&mut steps, &[b"headers", b"0", b"outside"], "3");
    step(&mut steps, &[b"read", b"0", b"outside"], "3");
    step(&mut steps, &[b"outside", b"status", url], "3");
    step(&mut steps, &[b"outside", b"handle", url], "3");
    for argument in [&b"url"[..], b"method", b"headers", b"body"] {
        step(&mut steps, &[b"outside", argument, url], "4");
    }
    step(&mut steps, &[b"headers", b"0", b"10"], "4");
    step(&mut steps, &[b"header", b"0", b"content-length", b"0"], "4");
    step(&mut steps, &[b"header", b"0", b"x-missing", b"100"], "5");
    step(&mut steps, &[b"request", b"GET", b"http://127.0.0.1/\xff", b"", b""], "6");
    step(&mut steps, &[b"header", b"0", b"\xff", b"100"], "6");
    step(&mut steps, &[b"request", b"GET", b"http://elsewhere.example/", b"", b""], "7");
    step(&mut steps, &[b"request", b"GET", away.as_bytes(), b"", b""], "7");
    step(&mut steps, &[b"request", b"GE T", url, b"", b""], "8");
    step(&mut steps, &[b"request", b"", url, b"", b""], "8");
    step(&mut steps, &[b"request", b"GET", url, b"no colon", b""], "9");
    step(&mut steps, &[b"request", b"GET", b"/path", b"", b""], "10");
    step(&mut steps, &[b"request", b"GET", nobody.as_bytes(), b"", b""], "11");
    step(&mut steps, &[b"request", b"GET", b"ftp://127.0.0.1/", b"", b""], "11");
    step(&mut steps, &[b"request", b"GET", raw.as_bytes(), b"", b""], "0 200 1");
    step(&mut steps, &[b"headers", b"1", b"65536"], "12");
    step(&mut steps, &[b"header", b"1", b"x-raw", b"100"], b"0 a\xffb");
    step(&mut steps, &[b"request", b"GET", url, b"", b""], "13");
    step(&mut steps, &[b"close", b"1"], "0");
    step(&mut steps, &[b"request", b"GET", url, b"", b""], "0 203 1");
    perform(&steps, &format!("{LOOPBACK}\nhttp_max_concurrency = 2"));
}

/// Code 2. Without memory a program cannot print, but it can say the number by how it exits.
#[test]
#[ignore = "needs WAGI_GUESTS_DIR: assemblyscript"]
fn an_assemblyscript_program_without_memory_gets_a_code_as_well() {
    let program = built_from_source("as-no-memory.wasm");
    let wagi = Site::new().module("/", &program, LOOPBACK).start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/").status, 500);
    wagi.logged(&["the guest exited with code 12"]);
}

/// The program of the guide.
#[test]
#[ignore = "needs WAGI_GUESTS_DIR: assemblyscript"]
fn an_assemblyscript_program_shows_what_it_is_answered() {
    let program = built_from_source("as-fetch.wasm");
    let body = "0123456789".repeat(1000);
    let upstream = Upstream::start(move |_| reply("203 Fine", "Content-Type: a/b\r\n", &body));
    let wagi = Site::new().module("/open", &program, LOOPBACK).module("/closed", &program, "").start(&[]);
    let mut connection = Connection::open(wagi.address());
    let shown = connection.get(&format!("/open?{}", upstream.url("/path"))).text();
    assert_eq!(shown, format!("status: 203\ntype: a/b\n{}", "0123456789".repeat(1000)));
    assert_eq!(connection.get(&format!("/closed?{}", upstream.url("/path"))).text(), "refused: 7\n");
    assert_eq!(upstream.only().line, "GET /path");
}
