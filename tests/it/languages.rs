//! Programs built from source by real toolchains. `guests/build.sh` builds them, and `WAGI_GUESTS_DIR` names their directory;
//! only the probe is checked in as well.

use crate::support::guest::{built_from_source, probe};
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;

fn served(program: &std::path::Path) -> Wagi {
    Site::new().module("/app/...", program, "environment = { GREETING = 'hello' }").start(&[])
}

#[test]
fn a_rust_program_is_served() {
    let wagi = served(&probe());
    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.get("/app/args?a=b&c").text(), "\"/app/args\"\n\"a=b\"\n\"c\"\n");
    assert!(connection.get("/app/env").text().contains("\nPATH_INFO=/env\n"));
    assert_eq!(connection.post("/app/echo", b"\0\xff\r\n").body, b"\0\xff\r\n");
    assert_eq!(connection.get("/app/nothing").status, 404);
    let random: Vec<String> = (0..2).map(|_| connection.get("/app/random").text()).collect();
    assert!(random[0].len() == 33 && random[0] != random[1], "{random:?}");
}

#[test]
fn a_rust_program_may_have_other_entry_points() {
    let wagi = Site::new().module("/", &probe(), "entrypoint = 'hello'").start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/").text(), "hello from another entry point\n");
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: c"]
fn a_c_program_sees_its_arguments_and_variables() {
    let wagi = served(&built_from_source("c-hello.wasm"));
    let answer = Connection::open(wagi.address()).get("/app/x%20y?one&two=2");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain")));
    let text = answer.text();
    assert!(text.starts_with("hello from C\nargument 0: /app/x%20y\nargument 1: one\nargument 2: two=2\n"), "{text}");
    for line in
        ["\nPATH_INFO=/x y\n", "\nGREETING=hello\n", "\nGATEWAY_INTERFACE=CGI/1.1\n", "\nQUERY_STRING=one&two=2\n"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
#[ignore = "needs WAGI_GUESTS_DIR: c"]
fn a_c_program_gets_a_body_unharmed() {
    let wagi = served(&built_from_source("c-echo.wasm"));
    let mut connection = Connection::open(wagi.address());
    let body: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    assert!(connection.post("/app", &body).body == body, "the body comes back changed");
    assert_eq!(connection.post("/app", "").body, b"");
}

/// Go always leaves through `proc_exit(0)`.
#[test]
#[ignore = "needs WAGI_GUESTS_DIR: go"]
fn a_go_program_that_uses_the_cgi_package_is_served() {
    let wagi = served(&built_from_source("go-hello.wasm"));
    let mut connection = Connection::open(wagi.address());
    let answer = connection.post("/app/some/path", "the body");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello from Go\nPOST /app/some/path\nthe body\n"));
    assert_eq!(connection.get("/app").text(), "hello from Go\nGET /app\n\n");
}

/// The programs that the guides begin with.
#[test]
#[ignore = "needs WAGI_GUESTS_DIR: hello, assemblyscript"]
fn small_programs_in_rust_and_assemblyscript_are_served() {
    for name in ["hello.wasm", "as-hello.wasm"] {
        let wagi = served(&built_from_source(name));
        let answer = Connection::open(wagi.address()).post("/app/some/path", "0123456789".repeat(1000));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain")), "{name}");
        assert_eq!(answer.text(), "You asked for /some/path and sent 10000 bytes\n", "{name}");
    }
}

/// longjmp in C and panics in Rust leave functions as exceptions of WebAssembly. Those of C++ are in the conformance program.
#[test]
#[ignore = "needs WAGI_GUESTS_DIR: jump, unwind"]
fn programs_that_leave_functions_by_exceptions_are_served() {
    let site = Site::new();
    let jump = built_from_source("c-jump.wasm");
    let wagi = site.module("/jump", &jump, "").module("/unwind", &built_from_source("unwind.wasm"), "").start(&[]);
    let mut connection = Connection::open(wagi.address());
    for _ in 0..2 {
        assert_eq!(connection.get("/jump?1000").text(), "back with 42\n");
        assert_eq!(connection.get("/unwind?7").text(), "dropped\nthe number 7\n");
        let caught = connection.get("/unwind?x");
        assert_eq!((caught.status, caught.text().as_str()), (200, "dropped\ncaught\n"));
    }
    wagi.logged(&["stderr", "the query is a number: ParseIntError", "/unwind"]);
}
