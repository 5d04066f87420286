//! Components built from source by real toolchains, on routes next to core modules, from one `modules.toml` in one process.

use crate::support::guest::built_from_source;
use crate::support::http1::{Answer, Connection};
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::upstream::{Upstream, reply};

const LOOPBACK: &str = "allowed_hosts = ['http://127.0.0.1']";

/// The route of each program and its file, of all kinds.
const PROGRAMS: [(&str, &str); 10] = [
    ("/module/...", "probe.wasm"),
    ("/small", "c-echo.wasm"),
    ("/cli/...", "cli-rust.wasm"),
    ("/c/...", "http-c.wasm"),
    ("/python/...", "http-python.wasm"),
    ("/js/...", "http-js.wasm"),
    ("/quickjs/...", "http-quickjs.wasm"),
    ("/hello-rust/...", "http-rust.wasm"),
    ("/hello-c/...", "http-c-hello.wasm"),
    ("/c-closed/...", "http-c.wasm"),
];

/// The routes of components that describe their request and, below `/stream`, print in pieces.
const HTTP: [&str; 4] = ["/c", "/python", "/js", "/quickjs"];

/// A server over all of them.
fn served() -> Wagi {
    let mut site = Site::new();
    for (route, name) in PROGRAMS {
        let keys = if route.contains("closed") { "" } else { LOOPBACK };
        site = site.module(route, &built_from_source(name), &format!("{keys}\nenvironment = {{ GREETING = 'hello' }}"));
    }
    site.start(&[])
}

fn sent(connection: &mut Connection, request: &str, body: &str) -> Answer {
    let length = body.len();
    connection
        .send(format!("{request} HTTP/1.1\r\nHost: localhost\r\nX-Mine: one\r\nContent-Length: {length}\r\n\r\n"));
    connection.send(body);
    connection.answer()
}

/// One test for all of it: the larger of the programs take their time to compile.
#[test]
#[ignore = "needs WAGI_GUESTS_DIR: rust, c, cli-rust, http-rust, http-c, http-python, http-js, http-quickjs"]
fn components_and_modules_are_served_by_one_process() {
    let wagi = served();
    every_program_answers(&wagi);
    a_wasi_cli_component_gets_what_a_module_gets(&wagi);
    http_components_answer_in_pieces(&wagi);
    http_components_get_large_bodies_and_send_them(&wagi);
    http_components_call_the_servers_their_entry_names(&wagi);
    assert!(!wagi.log().contains("panicked"), "{}", wagi.log());
}

/// Twice, since each request gets an instance of its own.
fn every_program_answers(wagi: &Wagi) {
    let mut connection = Connection::open(wagi.address());
    for _ in 0..2 {
        assert_eq!(connection.get("/module/args?a=b&c").text(), "\"/module/args\"\n\"a=b\"\n\"c\"\n");
        assert_eq!(connection.get("/cli/args?a=b&c").text(), "\"/cli/args\"\n\"a=b\"\n\"c\"\n");
        assert_eq!(connection.post("/small", "anything").text(), "anything");
        for hello in ["/hello-rust", "/hello-c"] {
            let expected = format!("You asked for {hello}/path?query and sent 8 bytes\n");
            assert_eq!(connection.post(&format!("{hello}/path?query"), "anything").text(), expected);
        }
        for route in HTTP {
            let answer = sent(&mut connection, &format!("PUT {route}/some/path?query"), "the body");
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain")), "{route}");
            let text = answer.text();
            assert!(text.starts_with(&format!("PUT {route}/some/path?query\n")), "{text}");
            for line in ["x-mine: one", "wagi-path-info: /some/path", &format!("wagi-script-name: {route}")] {
                assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
            }
            assert!(text.ends_with("\n\nthe body"), "{text}");
        }
    }
}

/// A program is the same as a module and as a component: what one prints, the other prints.
fn a_wasi_cli_component_gets_what_a_module_gets(wagi: &Wagi) {
    let mut connection = Connection::open(wagi.address());
    let mut variables = |route: &str| {
        let text = connection.get(&format!("{route}/env?query")).text();
        // The ids of two requests differ.
        let lines = text.lines().filter(|line| !line.contains("REQUEST_ID="));
        let mut lines: Vec<String> = lines.map(|line| line.replace(route, "/ROUTE")).collect();
        lines.sort_unstable();
        lines
    };
    let of_the_component = variables("/cli");
    assert_eq!(of_the_component, variables("/module"));
    assert!(of_the_component.contains(&"GREETING=hello".to_owned()), "{of_the_component:?}");
    let body = "0123456789".repeat(30_000);
    assert!(connection.post("/cli/echo", &body).text() == body, "the body comes back changed");
    let found = connection.get("/cli/status?418");
    assert_eq!(
        (found.status, found.header("content-type")),
        (418, connection.get("/module/status?418").header("content-type"))
    );
    assert_eq!(connection.get("/cli/exit?0").status, connection.get("/module/exit?0").status);
    for (failing, end) in [("/exit?3", "exited with code"), ("/trap", "trap")] {
        assert_eq!(connection.get(&format!("/cli{failing}")).status, 500, "{failing}");
        wagi.logged(&["/cli", end]);
    }
}

fn http_components_answer_in_pieces(wagi: &Wagi) {
    for route in HTTP {
        let mut connection = Connection::begin(wagi.address(), &format!("{route}/stream"));
        assert_eq!(connection.head().status, 200, "{route}");
        for number in 1..=3 {
            let piece = connection.chunk().expect("a chunk").expect("one more");
            assert_eq!(String::from_utf8_lossy(&piece), format!("piece {number}\n"), "{route}");
        }
        assert!(connection.chunk().expect("the last chunk").is_none(), "{route}");
    }
}

fn http_components_get_large_bodies_and_send_them(wagi: &Wagi) {
    let body = "0123456789".repeat(100_000);
    for route in HTTP {
        let text = Connection::open(wagi.address()).post(route, &body).text();
        assert!(text.split_once("\n\n").is_some_and(|(_, echoed)| echoed == body), "{route}: {} bytes", text.len());
    }
}

fn http_components_call_the_servers_their_entry_names(wagi: &Wagi) {
    let upstream = Upstream::start(|received| reply("203 Fine", "", format!("got {}", received.line)));
    let mut connection = Connection::open(wagi.address());
    let url = upstream.url("/inner?x");
    for route in ["/c", "/js"] {
        let text = connection.get(&format!("{route}/call?url={url}")).text();
        assert_eq!(text.trim_end(), "status: 203\ngot GET /inner?x", "{route}");
    }
    let calls = upstream.received().len();
    // 15 is HTTP-request-denied.
    assert_eq!(connection.get(&format!("/c-closed/call?url={url}")).text(), "refused: 15\n");
    assert_eq!(upstream.received().len(), calls);
}
