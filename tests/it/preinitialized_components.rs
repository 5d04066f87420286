//! Components whose initializers run once, when they are loaded.

use std::path::Path;

use crate::support::guest::built_from_source;
use crate::support::harness::Test;
use crate::support::http1::Connection;
use crate::support::process::run;
use crate::support::site::Site;

/// A component of `wasi:cli` that prints the bytes from 16 of its memory: a head, and `-0`. `prepare` is a function of the module that
/// holds the memory; it may call `random` and `get` (standard output). `run` is called first by the program. `more` are further definitions.
fn component(prepare: &str, run: &str, more: &str) -> String {
    format!(
        r#"(component
    (import "wasi:io/error@0.2.0" (instance $errors (export "error" (type (sub resource)))))
    (alias export $errors "error" (type $error))
    (import "wasi:io/streams@0.2.0" (instance $streams
        (alias outer 1 $error (type $outer))
        (export "error" (type $error (eq $outer)))
        (export "output-stream" (type $stream (sub resource)))
        (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
        (export "stream-error" (type $stream-error (eq $failure)))
        (export "[method]output-stream.blocking-write-and-flush"
            (func (param "self" (borrow $stream)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
    (alias export $streams "output-stream" (type $stream))
    (import "wasi:cli/stdout@0.2.0" (instance $stdout
        (alias outer 1 $stream (type $outer))
        (export "output-stream" (type $stream (eq $outer)))
        (export "get-stdout" (func (result (own $stream))))))
    (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
    (core func $get (canon lower (func $stdout "get-stdout")))
    (core func $random (canon lower (func $random "get-random-u64")))
    (core module $text
        (import "host" "get" (func $get (result i32)))
        (import "host" "random" (func $random (result i64)))
        (memory (export "memory") 1)
        (data (i32.const 16) "Content-Type: text/plain\n\n-0")
        (global $ready (mut i32) (i32.const 0))
        (func $prepare (export "prepare") {prepare})
        (func (export "run")
            (i32.store8 (i32.const 43) (i32.add (i32.load8_u (i32.const 43)) (i32.const 1)))
            {run}))
    (core instance $text (instantiate $text
        (with "host" (instance (export "get" (func $get)) (export "random" (func $random))))))
    (core func $write
        (canon lower (func $streams "[method]output-stream.blocking-write-and-flush") (memory (core memory $text "memory"))))
    (core module $main
        (import "host" "get" (func $get (result i32)))
        (import "host" "run" (func $run))
        (import "host" "write" (func $write (param i32 i32 i32 i32)))
        (func (export "run") (result i32)
            (call $run)
            (call $write (call $get) (i32.const 16) (i32.const 28) (i32.const 128))
            (i32.const 0)))
    (core instance $main (instantiate $main (with "host" (instance
        (export "get" (func $get)) (export "run" (func $text "run")) (export "write" (func $write))))))
    (func $run (result (result)) (canon lift (core func $main "run")))
    (instance $exported (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $exported))
    {more})"#
    )
}

const EXPORTED: &str =
    r#"(func $prepare (canon lift (core func $text "prepare"))) (export "wizer-initialize" (func $prepare))"#;

/// Computes 7 in a loop, unless it is there.
const SEVEN: &str = "(local $i i32)
    (if (global.get $ready) (then return))
    (loop $more
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $more (i32.lt_u (local.get $i) (i32.const 7))))
    (global.set $ready (i32.const 1))
    (i32.store8 (i32.const 42) (i32.add (i32.const 48) (local.get $i)))";

const KEY: &str = "preinitialize = true";

#[tokio::test]
async fn what_an_initializer_has_written_is_there_for_each_request_and_what_a_request_writes_is_not() {
    let module = component(SEVEN, "", EXPORTED);
    let running = Test::new().module("/plain", &module, "").module("/ready", &module, KEY).start().await;
    for _ in 0..3 {
        assert_eq!(running.get("/plain").await.text(), "-1");
        assert_eq!(running.get("/ready").await.text(), "71");
    }
}

#[tokio::test]
async fn a_component_that_prepares_itself_answers_the_same_with_and_without() {
    let module = component(SEVEN, "(call $prepare)", EXPORTED);
    let running = Test::new().module("/plain", &module, "").module("/ready", &module, KEY).start().await;
    assert_eq!(running.get("/plain").await.text(), "71");
    assert_eq!(running.get("/ready").await.text(), "71");
}

#[tokio::test]
async fn what_keeps_a_component_from_being_preinitialized_is_said_at_the_key() {
    let typed = r#"(func $prepare (param "n" u32) (canon lift (core func $typed "f")))
        (export "wizer-initialize" (func $prepare))"#;
    let typed =
        format!(r#"(core module $t (func (export "f") (param i32))) (core instance $typed (instantiate $t)) {typed}"#);
    for (prepare, more, parts) in [
        ("", "", &["the component exports no function `wizer-initialize`", "leave `preinitialize` out"][..]),
        ("", &typed, &["`wizer-initialize` takes 1 value", "an initializer takes and returns nothing"]),
        ("unreachable", EXPORTED, &["its initializer failed", "unreachable"]),
        ("(drop (call $get))", EXPORTED, &["has left 1 resource of the host open", "print nothing"]),
    ] {
        let module = component(prepare, "", more);
        let (running, problems) = Test::new().module("/", &module, KEY).try_start().await;
        assert!(running.is_none(), "{more}");
        for part in parts.iter().chain(&["cannot preinitialize the module", "modules.toml:4:17"]) {
            assert!(problems.contains(part), "{part}: {problems}");
        }
    }
}

/// Random numbers follow from the component, so that it always comes to the same one.
#[test]
fn the_command_writes_the_same_component_each_time() {
    let site = Site::new();
    let random =
        "(i32.store8 (i32.const 42) (i32.add (i32.const 65) (i32.and (i32.wrap_i64 (call $random)) (i32.const 15))))";
    site.file("app.wat", component(random, "", EXPORTED));
    let written = ["one.wasm", "two.wasm"].map(|name| {
        let output = run(site.path(), &["preinit", "app.wat", "-o", name]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read(site.path().join(name)).expect("it is there")
    });
    assert_eq!(written[0], written[1]);
    let wagi = site.module("/", Path::new("one.wasm"), "").start(&[]);
    let texts = [(); 2].map(|()| Connection::open(wagi.address()).get("/").text());
    assert_eq!(texts[0], texts[1]);
    assert!(matches!(texts[0].as_bytes(), [b'A'..=b'P', b'1']), "{texts:?}");
}

/// A component in C, with the adapter that its tools put around a module.
#[test]
#[ignore = "needs WAGI_GUESTS_DIR: http-c"]
fn a_component_of_wasi_http_in_c_has_computed_before_its_first_request() {
    let module = built_from_source("http-c-prepared.wasm");
    let wagi = Site::new().module("/plain", &module, "").module("/ready", &module, KEY).start(&[]);
    for _ in 0..2 {
        let texts = ["/plain", "/ready"].map(|path| Connection::open(wagi.address()).get(path).text());
        assert_eq!(texts, ["148933 primes, counted now\n", "148933 primes, counted before\n"]);
    }
}
