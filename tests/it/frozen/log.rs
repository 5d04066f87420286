//! The lines of the log, and what can become of a request.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{are_the_same, fits, promised, promised_text, text};
use crate::support::guest::{component, printing, probe};
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::{at_leisure, eventually};

/// The probes behind limits of many kinds, so that every kind of request can be made of one server.
fn server(arguments: &[&str]) -> Wagi {
    let hello = printing("Content-Type: text/plain\n\nhello");
    let mut site = Site::new()
        .top("server.trusted_proxies = ['127.0.0.1']\n[limits]\nqueue = 0\nbody_timeout = '1s'\n[[static]]\nroute = '/files/...'\ndirectory = '.'")
        .text_module("/hello", &hello, "");
    for (route, limits) in [
        ("/probe/...", ""),
        ("/cpu/...", "cpu_time = '100ms', time_to_head = '10m', time_between_outputs = '10m'"),
        ("/late/...", "time_to_head = '100ms', cpu_time = '10m'"),
        ("/silent/...", "time_between_outputs = '100ms'"),
        ("/small/...", "request_body = 1000, response_head = 300, response_body = '1KiB', stderr = '1KiB'"),
        ("/one/...", "concurrency = 1"),
    ] {
        site = site.module(route, &probe(), &format!("limits = {{ {limits} }}"));
    }
    let scripts = "scripts = { directory = '.', extensions = ['toml', 'x'] }";
    site = site.text_module("/scripts/...", &hello, scripts);
    site = site.text_module("/sources/...", &hello, &format!("{scripts}\nstatic = true"));
    site.file("a.toml~", "");
    // Lines have the id of a trace if there is a collector, even one that is not there.
    let traced = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    site.module("/http/...", &component("http-probe.wasm"), "").start_with(arguments, &[traced])
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// A request for a guest that prints this.
fn print(route: &str, output: impl AsRef<[u8]>) -> Vec<u8> {
    let output = output.as_ref();
    let head = format!("POST {route}/raw HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", output.len());
    [head.as_bytes(), output].concat()
}

/// A head with one line that has no effect.
fn with_line(line: &str) -> Vec<u8> {
    print("/probe", format!("Content-Type: text/plain\n{line}\n\nbody"))
}

/// Requests whose clients wait for the end, one for each outcome.
fn requests() -> Vec<Vec<u8>> {
    let post = |target: &str, rest: &str| format!("POST {target} HTTP/1.1\r\nHost: localhost\r\n{rest}");
    let modules = "GET /files/modules.toml HTTP/1.1\r\nHost: localhost\r\n";
    let mut requests = [
        get("/hello"),
        get("/healthz"),
        get("/missing"),
        get("/probe/a%00b"),
        get("/probe/exit?3"),
        get("/probe/trap"),
        get("/cpu/spin"),
        get("/cpu/spin-after-head"),
        get("/late/spin"),
        get("/silent/sleep?60000"),
        get("/small/flood?100000"),
        get("/files/modules.toml"),
        get("/files"),
        get("/files/missing"),
        get("/files/.env"),
        post("/files/modules.toml", "Content-Length: 0\r\n\r\n"),
        format!("{modules}Range: bytes=0-1\r\n\r\n"),
        format!("{modules}Range: bytes=1000000-\r\n\r\n"),
        format!("{modules}If-None-Match: *\r\n\r\n"),
        format!("{modules}If-Match: \"x\"\r\n\r\n"),
        get("/scripts"),
        post("/scripts", "Content-Length: 0\r\n\r\n"),
        get("/scripts/missing"),
        get("/sources/a.toml~"),
        get("/http/nothing"),
        get("/http/forgotten"),
        get("/http/unfinished"),
        get("/http/error"),
        "HEAD /silent/sleep?60000 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET localhost HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n".to_owned(),
        post("/hello", "Content-Type: a/b\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n"),
        post("/hello", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        post("/small/count-stdin", "Content-Length: 1001\r\n\r\n"),
        post("/probe/count-stdin", "Content-Length: 10\r\n\r\nsome"),
        post("/probe/count-stdin", "Transfer-Encoding: chunked\r\n\r\nno length\r\n"),
    ]
    .map(String::into_bytes)
    .to_vec();
    for line in ["no colon", "bad name: 1", "X-Control: \u{1}", "Connection: close", "Content-Length: x", "Status: x"] {
        requests.push(with_line(line));
    }
    requests.push(with_line("Content-Length: 3"));
    let long = format!("Content-Type: text/plain\nContent-Length: 3\n\n{}", "x".repeat(200_000));
    requests.push(print("/probe", long));
    requests.push(with_line(&"no colon\n".repeat(9)));
    requests.push(print("/probe", "no blank line"));
    requests.push(print("/small", format!("Content-Type: text/plain\nX-Long: {}\n\n", "x".repeat(300))));
    requests.push(print("/probe", b"Content-Type: \xff\n\n"));
    requests.push(print("/probe", format!("{}\n", "X-Many: 1\n".repeat(300))));
    requests.push(print("/probe", "X-Other: 1\n\n"));
    requests.push(print("/probe", "Status: 100\n\n"));
    requests
}

/// What a line of the log says of a request.
#[derive(Debug)]
struct Outcome {
    end: String,
    status: String,
    reason: String,
}

impl Outcome {
    fn of(line: &str) -> Self {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        Self { end: text("end"), status: line["status"].to_string(), reason: text("reason") }
    }

    /// Whether it is what one of `log.outcomes` promises. A guest that failed behind its head has the status of that.
    fn is(&self, promised: &str) -> bool {
        let cut = promised_text(&["log", "cut"]);
        let mut words = promised.splitn(3, ' ');
        let (end, status, reason) = (words.next(), words.next(), words.next().unwrap_or_default());
        let (found, status) = match self.reason.strip_prefix(&cut) {
            Some(found) => (found, Some("200").filter(|_| self.status == "200")),
            None => (self.reason.as_str(), status.filter(|status| *status == self.status)),
        };
        end == Some(self.end.as_str()) && status.is_some() && fits(reason, found)
    }
}

/// The outcomes in the log so far.
fn outcomes(wagi: &Wagi) -> Vec<Outcome> {
    wagi.log().lines().filter(|line| line.contains("\"kind\":\"access\"")).map(Outcome::of).collect()
}

/// Sends bytes and waits until the log has one outcome more.
fn send(wagi: &Wagi, request: &[u8]) {
    let before = outcomes(wagi).len();
    let mut connection = Connection::open(wagi.address());
    connection.send(request);
    at_leisure(|| (outcomes(wagi).len() > before).then_some(()));
}

/// Clients that leave, one before there is a head and one behind it; while that one holds the only place, another client
/// is turned away.
fn leave(wagi: &Wagi) {
    let mut connection = Connection::open(wagi.address());
    let before = outcomes(wagi).len();
    connection.send(get("/probe/spin"));
    drop(connection);
    at_leisure(|| (outcomes(wagi).len() > before).then_some(()));
    let mut connection = Connection::open(wagi.address());
    connection.send(get("/one/sleep?60000"));
    assert_eq!(connection.head().status, 200);
    send(wagi, get("/one/args").as_bytes());
    let before = outcomes(wagi).len();
    drop(connection);
    at_leisure(|| (outcomes(wagi).len() > before).then_some(()));
}

/// Outcomes that no request brings about at will; the sources have their reasons.
const UNUSUAL: [&str; 19] = [
    "cancelled 504 an operator has ended the request",
    "bad-body 417 the client waits for 100 (Continue), which is not sent over HTTP/2",
    "client-gone 200 the client takes the response too slowly",
    "static 404 it leads out of the directory",
    "static 404 it is no regular file",
    "static 404 its symlinks lead nowhere",
    "static 404 the server may not read it",
    "static 503 the server has too many files open",
    "static 503 the file system takes too long",
    "static 500 the file cannot be opened: {}",
    "static 200 the file cannot be read: {}",
    "starting 503 the module of the route is still being compiled",
    "busy 503 operations on files of the module's volumes hang",
    "busy 503 too many files are being sent",
    "busy 503 the memory for bodies of unknown length is full",
    "not-started 500 the guest could not be started: {}",
    "not-answered 500 the guest gave no complete answer: it returned without one",
    "not-answered 500 the body of the answer is not as long as the guest said",
    "not-answered 500 the guest began its answer twice",
];

#[test]
fn what_becomes_of_a_request_is_as_promised() {
    let wagi = server(&["--log-format", "json"]);
    for request in requests() {
        send(&wagi, &request);
    }
    leave(&wagi);
    let promised = promised(&["log", "outcomes"]);
    let found = outcomes(&wagi);
    let unlisted: Vec<_> = found.iter().filter(|found| !promised.iter().any(|promised| found.is(promised))).collect();
    assert!(unlisted.is_empty(), "not listed in tests/frozen.toml: {unlisted:#?}");
    let usual = promised.iter().filter(|promised| !UNUSUAL.contains(&promised.as_str()));
    let missing: Vec<_> = usual.filter(|promised| !found.iter().any(|found| found.is(promised))).collect();
    assert!(missing.is_empty(), "promised in tests/frozen.toml and gone: {missing:#?}");
    let cut = promised_text(&["log", "cut"]);
    assert!(found.iter().any(|found| found.reason.starts_with(&cut)), "{found:#?}");
}

/// The files with the reasons.
const REASONS: [&str; 4] =
    ["src/static_files/root.rs", "src/gateway/failure.rs", "src/cgi/response.rs", "src/cgi/meta_variables.rs"];

/// The messages of errors in a source, with `{}` for what is filled in.
fn messages(source: &str) -> Vec<String> {
    let messages = source.lines().filter_map(|line| line.trim().strip_prefix("#[error(\"")?.split('"').next());
    messages.map(template).collect()
}

/// A format string with `{}` for each of its arguments.
fn template(format: &str) -> String {
    let mut pieces = format.split('{');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |template, piece| template + "{}" + piece.split_once('}').map_or("", |(_, rest)| rest))
}

#[test]
fn every_reason_of_the_sources_is_listed() {
    let promised = promised(&["log", "outcomes"]);
    // By this one a look-up goes on in a thread of its own: no request ends with it.
    let is_internal = |message: &String| message == "the file system would have to be waited for";
    let messages: Vec<String> =
        REASONS.iter().flat_map(|file| messages(&text(file))).filter(|message| !is_internal(message)).collect();
    assert!(messages.len() > 20, "{messages:#?}");
    let is_listed = |message: &&String| {
        promised.iter().any(|promised| fits(&format!("{{}} {message}"), promised))
            || promised.iter().any(|promised| fits(&format!("{{}}: {message}"), promised))
    };
    let unlisted: Vec<_> = messages.iter().filter(|message| !is_listed(message)).collect();
    assert!(unlisted.is_empty(), "not listed in tests/frozen.toml: {unlisted:#?}");
    for outcome in UNUSUAL {
        assert!(promised.iter().any(|promised| promised == outcome), "{outcome}");
        let reason = outcome.splitn(3, ' ').nth(2).unwrap_or_default();
        assert!(messages.iter().any(|message| fits(message, reason)), "no source says {reason}");
    }
}

/// The values of `end`, as the source lists them.
#[test]
fn every_end_of_the_sources_is_listed() {
    let source = text("src/observe/metrics/end.rs");
    let names = source.lines().filter_map(|line| line.split_once(" = \"")?.1.split('"').next());
    let found: BTreeSet<&str> = names.collect();
    assert!(found.len() >= 10, "{found:?}");
    let promised = promised(&["log", "outcomes"]);
    for end in found {
        assert!(promised.iter().any(|outcome| outcome.starts_with(&format!("{end} "))), "{end} is not listed");
    }
}

/// A request whose line has every field.
const WITH_ID: &str = "GET /probe/exit?3 HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: from-the-proxy\r\n\r\n";

#[test]
fn lines_of_the_text_log_are_as_promised() {
    let wagi = server(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.send(WITH_ID);
    connection.answer();
    Connection::open(wagi.address()).get("/probe/log?something%20happened");
    let access = wagi.logged(&["/probe/exit", "end=exit"]);
    assert!(fits(&promised_text(&["log", "access_text"]), &access), "{access}");
    let stderr = wagi.logged(&["something happened", "route="]);
    assert!(fits(&promised_text(&["log", "stderr_text"]), &stderr), "{stderr}");
}

#[test]
fn fields_of_the_json_log_are_as_promised() {
    let wagi = server(&["--log-format", "json"]);
    let mut connection = Connection::open(wagi.address());
    connection.send(WITH_ID);
    connection.answer();
    Connection::open(wagi.address()).get("/probe/log?something%20happened");
    wagi.logged(&["\"end\":\"exit\""]);
    wagi.logged(&["something happened", "\"kind\":\"stderr\""]);
    wagi.logged(&["\"end\":\"ok\""]);
    let mut kinds = BTreeSet::new();
    // What is wrong with the configuration is printed as text, before anything is served.
    let log = wagi.log();
    for line in log.lines().filter(|line| line.starts_with('{')) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let kind = line["kind"].as_str().expect("every line has a kind");
        let fields = line.as_object().expect("an object").keys().cloned();
        // A field that has nothing to say is left out.
        if line["end"] != "ok" {
            are_the_same(&format!("fields of {kind}"), &promised(&["log", &format!("{kind}_json")]), fields);
        }
        kinds.insert(kind.to_owned());
    }
    are_the_same("kinds of lines", &promised(&["log", "kinds"]), kinds);
}

#[test]
fn notes_in_standard_error_are_as_promised() {
    let wagi = server(&["--log-format", "json"]);
    Connection::open(wagi.address()).get("/small/stderr?100000");
    Connection::open(wagi.address()).get("/http/trap-after?1");
    Connection::open(wagi.address()).get("/probe/exit?3");
    for note in promised(&["log", "stderr_notes"]) {
        eventually(|| notes(&wagi).iter().any(|found| fits(&note, found)).then_some(()));
    }
    let promised = promised(&["log", "stderr_notes"]);
    let unlisted: Vec<_> =
        notes(&wagi).into_iter().filter(|found| !promised.iter().any(|note| fits(note, found))).collect();
    assert!(unlisted.is_empty(), "not listed in tests/frozen.toml: {unlisted:#?}");
}

/// Lines in brackets, which no guest here prints by itself.
fn notes(wagi: &Wagi) -> Vec<String> {
    let log = wagi.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let texts = lines.filter_map(|line| Some(line["text"].as_str()?.to_owned()));
    texts.filter(|text| text.starts_with('[') && text.ends_with(']')).collect()
}
