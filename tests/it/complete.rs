//! When an answer is complete: at the length that its guest prints, or when the guest closes its standard output.

use crate::support::guest::escaped;
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;

/// More than a pipe holds, so that the head is sent before the guest has printed everything.
const LONG: usize = 200_000;

/// No limit ends these guests: an answer that is not complete before they end never comes.
const PATIENT: &str = "limits = { cpu_time = '1h', time_between_outputs = '1h' }";

/// A module that prints `output` and then does `then`. `$sleep` waits for an hour, `$write` prints the output once more.
fn guest(preview: &str, output: &str, then: &str) -> String {
    // Subscriptions had another layout in preview 0: guests sleep through preview 1.
    format!(
        r#"(module
            (import "{preview}" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "{preview}" "fd_close" (func $fd_close (param i32) (result i32)))
            (import "{preview}" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
            (import "{preview}" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 16)
            (data (i32.const 0) "\00\04\00\00{length}")
            (data (i32.const 64) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\a0\b8\30\46\03\00\00")
            (data (i32.const 1024) "{text}")
            (func $write (param $fd i32)
                (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func $close (param $fd i32)
                (if (call $fd_close (local.get $fd)) (then unreachable)))
            (func $renumber (param $from i32) (param $to i32)
                (if (call $fd_renumber (local.get $from) (local.get $to)) (then unreachable)))
            (func $sleep
                (drop (call $poll (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 512))))
            (func (export "_start") {then}))"#,
        length = escaped(&u32::try_from(output.len()).unwrap().to_le_bytes()),
        text = escaped(output.as_bytes()),
    )
}

fn serve(output: &str, then: &str) -> Wagi {
    Site::new().text_module("/", &guest("wasi_snapshot_preview1", output, then), PATIENT).start(&[])
}

/// A head that claims `length`, and a long body.
fn long(status: u16, length: usize) -> String {
    format!("Status: {status}\nContent-Type: a/b\nContent-Length: {length}\n\n{}", "x".repeat(LONG))
}

const PRINT: &str = "(call $write (i32.const 1))";
const PRINT_AND_SLEEP: &str = "(call $write (i32.const 1)) (call $sleep)";

#[test]
fn the_length_that_a_guest_prints_is_sent_however_long_the_body_is() {
    for status in [200, 206] {
        let wagi = serve(&long(status, LONG), PRINT);
        let mut connection = Connection::open(wagi.address());
        for _ in 0..2 {
            let answer = connection.get("/");
            let length = answer.header("content-length").map(str::to_owned);
            assert_eq!((answer.status, length, answer.body.len()), (status, Some(LONG.to_string()), LONG));
            assert_eq!(answer.header("transfer-encoding"), None);
        }
        let line = wagi.logged(&["end=ok"]);
        assert!(!line.contains("reason"), "{line}");
    }
}

#[test]
fn a_body_of_announced_length_is_complete_though_its_guest_goes_on() {
    for output in [long(200, LONG), "Content-Type: a/b\nContent-Length: 5\n\nhello".to_owned()] {
        let wagi = serve(&output, PRINT_AND_SLEEP);
        let mut connection = Connection::open(wagi.address());
        for _ in 0..2 {
            let answer = connection.get("/");
            assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
        }
        wagi.logged(&["end=ok"]);
    }
    let wagi = serve("Status: 200\nContent-Length: 0\n\n", PRINT_AND_SLEEP);
    assert_eq!(Connection::open(wagi.address()).get("/").body, b"");
}

#[test]
fn a_body_that_is_shorter_than_its_length_is_cut() {
    let wagi = serve(&long(200, LONG + 1), PRINT);
    let mut connection = Connection::begin(wagi.address(), "/");
    connection.try_answer().expect_err("the transfer is cut");
    wagi.logged(&["end=not-answered", "cut after the head: the body of the answer is not as long as the guest said"]);
}

#[test]
fn a_body_that_is_longer_than_its_length_is_cut_off_and_the_log_says_so() {
    for (length, then) in [(LONG - 1, PRINT), (65_536, PRINT), (1, PRINT), (1, PRINT_AND_SLEEP), (0, PRINT_AND_SLEEP)] {
        let wagi = serve(&long(200, length), then);
        let mut connection = Connection::open(wagi.address());
        for _ in 0..2 {
            let answer = connection.get("/");
            assert_eq!((answer.status, answer.body), (200, "x".repeat(length).into_bytes()));
        }
        wagi.logged(&["end=ok", "the body was cut off at the content-length that the guest printed"]);
    }
}

#[test]
fn a_guest_that_fails_after_all_of_its_announced_length_cuts_the_transfer() {
    let wagi = serve(&long(200, LONG), "(call $write (i32.const 1)) (unreachable)");
    let mut connection = Connection::begin(wagi.address(), "/");
    connection.try_answer().expect_err("the transfer is cut");
    wagi.logged(&["end=trap", "cut after the head"]);
}

/// The same guest, in a file in which it takes long to look for the lines of a trap.
fn serve_large(output: &str, then: &str) -> Wagi {
    let mut module = wat::parse_str(guest("wasi_snapshot_preview1", output, then)).expect("a module");
    // A section that is named `x` and has 48 MiB, with the length in LEB128.
    module.extend([0, 0x82, 0x80, 0x80, 0x18, 1, b'x']);
    module.resize(module.len() + (48 << 20), 0);
    let site = Site::new();
    let path = site.file("large.wasm", module);
    site.module("/", &path, PATIENT).start(&[])
}

#[test]
fn a_trap_is_an_error_status_though_it_takes_long_to_find_its_lines() {
    for length in ["", "Content-Length: 5\n"] {
        let output = format!("Content-Type: text/plain\n{length}\nhello");
        let wagi = serve_large(&output, "(call $write (i32.const 1)) (unreachable)");
        assert_eq!(Connection::open(wagi.address()).get("/").status, 500);
        wagi.logged(&["end=trap"]);
    }
}

const HELLO: &str = "Content-Type: text/plain\n\nhello";

/// Apache, lighttpd: the end of standard output is the end of the response.
#[test]
fn an_answer_is_complete_when_its_guest_closes_standard_output() {
    let ways = [
        "(call $write (i32.const 1)) (call $close (i32.const 1)) (call $sleep)",
        "(call $write (i32.const 1)) (call $renumber (i32.const 2) (i32.const 1)) (call $sleep)",
        "(call $renumber (i32.const 1) (i32.const 2)) (call $write (i32.const 2)) (call $close (i32.const 2)) (call $sleep)",
        "(call $write (i32.const 1)) (call $close (i32.const 1)) (loop $spin (br $spin))",
    ];
    for (preview, then) in
        ways.map(|way| ("wasi_snapshot_preview1", way)).into_iter().chain([("wasi_unstable", ways[0])])
    {
        let wagi = Site::new().text_module("/", &guest(preview, HELLO, then), PATIENT).start(&[]);
        let mut connection = Connection::open(wagi.address());
        let answer = connection.get("/");
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"), "{preview} {then}");
        assert_eq!(answer.header("content-length"), Some("5"), "{preview} {then}");
        wagi.logged(&["end=ok"]);
    }
}

#[test]
fn a_long_answer_is_complete_when_its_guest_closes_standard_output() {
    let output = format!("Content-Type: a/b\n\n{}", "x".repeat(LONG));
    let wagi = serve(&output, "(call $write (i32.const 1)) (call $close (i32.const 1)) (call $sleep)");
    let mut connection = Connection::open(wagi.address());
    for _ in 0..2 {
        let answer = connection.get("/");
        assert_eq!((answer.header("transfer-encoding"), answer.body.len()), (Some("chunked"), LONG));
    }
}

#[test]
fn standard_output_that_is_closed_changes_nothing_for_a_guest_that_ends() {
    let close = "(call $write (i32.const 1)) (call $close (i32.const 1))";
    for (output, then, status) in [
        (HELLO, close.to_owned(), 200),
        (HELLO, format!("{close} (call $exit (i32.const 0))"), 200),
        (HELLO, format!("{close} (call $exit (i32.const 1))"), 500),
        (HELLO, format!("{close} (unreachable)"), 500),
        ("no head", format!("{close} (call $sleep)"), 500),
        (HELLO, "(call $renumber (i32.const 1) (i32.const 1)) (call $write (i32.const 1))".to_owned(), 200),
    ] {
        let wagi = serve(output, &then);
        assert_eq!(Connection::open(wagi.address()).get("/").status, status, "{then}");
    }
}
