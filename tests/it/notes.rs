//! What the log of a guest says of things that it was refused, of which its own messages say little.

use crate::frozen::{fits, promised};
use crate::support::caller::Caller;
use crate::support::guest::{component, printing};
use crate::support::http1::Connection;
use crate::support::site::Site;

/// A module that prints this on standard error, and a head.
fn complaining(text: &str) -> String {
    let hex = |text: &str| text.bytes().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let (head, length) = ("status: 200\n\n", text.len());
    format!(
        "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
           (memory (export \"memory\") 1) (data (i32.const 100) \"{}\") (data (i32.const 1000) \"{}\")
           (func $print (param $fd i32) (param $from i32) (param $length i32)
             (i32.store (i32.const 0) (local.get $from)) (i32.store (i32.const 4) (local.get $length))
             (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
           (func (export \"_start\")
             (call $print (i32.const 2) (i32.const 1000) (i32.const {length}))
             (call $print (i32.const 1) (i32.const 100) (i32.const {}))))",
        hex(head),
        hex(text),
        head.len()
    )
}

/// A command that grows the memory of one of its modules and does nothing else.
fn growing(version: &str) -> String {
    let [kind, lift, end] = match version.starts_with("0.3") {
        true => [
            "async",
            "async (callback (core func $i \"cb\"))",
            "(import \"\" \"return\" (func $return (param i32))) (func (export \"cb\") (param i32 i32 i32) (result i32) (i32.const 0))",
        ],
        false => ["", "", "(func $return (param i32))"],
    };
    format!(
        r#"(component
            (core func $return (canon task.return (result (result))))
            (core module $m {end} (memory 1)
                (func (export "run") (result i32)
                    (drop (memory.grow (i32.const 100))) (drop (memory.grow (i32.const 200)))
                    (call $return (i32.const 0)) (i32.const 0)))
            (core instance $i (instantiate $m (with "" (instance (export "return" (func $return))))))
            (func $run {kind} (result (result)) (canon lift (core func $i "run") {lift}))
            (instance $cli (export "run" (func $run)))
            (export "wasi:cli/run@{version}" (instance $cli)))"#
    )
}

#[test]
fn what_a_guest_was_refused_is_in_its_log_once_with_the_request() {
    let grow = "(module (memory (export \"memory\") 1) (func (export \"_start\")
        (drop (memory.grow (i32.const 100))) (drop (memory.grow (i32.const 200)))))";
    let call = Caller::new().get("http://example.invalid/a?secret").get("http://other.invalid/").module();
    let wagi = Site::new()
        .text_module("/memory", grow, "limits = { memory = '1MiB' }")
        .text_module("/call", &call, "")
        .text_module("/policy", &call, "allowed_hosts = ['https://a.example']")
        .text_module("/file", &complaining("open x: Capabilities insufficient\n"), "")
        .text_module("/memory2", &growing("0.2.0"), "limits = { memory = '1MiB' }")
        .text_module("/memory3", &growing("0.3.0"), "limits = { memory = '1MiB' }")
        .module("/call2/...", &component("http-probe.wasm"), "")
        .module("/call3/...", &component("http3-probe.wasm"), "")
        .text_module("/page", &printing("<h1>hello</h1>\n\n"), "")
        .text_module("/nothing", "(module (memory (export \"memory\") 1) (func (export \"_start\")))", "")
        .start(&[]);
    for (target, note) in [
        ("/memory", "[memory: growing to 6619136 bytes was refused: `limits.memory` is 1048576]"),
        ("/call", "[a call was refused: `allowed_hosts` does not name `http://example.invalid`]"),
        ("/memory2", "[memory: growing to 6619136 bytes was refused: `limits.memory` is 1048576]"),
        ("/memory3", "[memory: growing to 6619136 bytes was refused: `limits.memory` is 1048576]"),
        (
            "/call2/call?http://example.invalid/a?secret",
            "[a call was refused: `allowed_hosts` does not name `http://example.invalid`]",
        ),
        (
            "/call3/call?http://example.invalid/a?secret",
            "[a call was refused: `allowed_hosts` does not name `http://example.invalid`]",
        ),
        ("/policy", "[a call was refused: `allowed_hosts` does not name `http://example.invalid`]"),
        ("/file", "[a file is in none of the volumes of this entry: see `volumes`]"),
        ("/page", "[no head: the first line that was printed is `<h1>hello</h1>`]"),
        ("/nothing", "[no head: nothing was printed]"),
    ] {
        Connection::open(wagi.address()).get(target);
        let route = match target.split_once("/call?") {
            Some((mount, _)) => format!("{mount}/..."),
            None => target.to_owned(),
        };
        let line = wagi.logged(&[note, &format!("route=\"{route}\"")]);
        let access = wagi.logged(&[&format!("\"GET {target} ")]);
        let id = access.rsplit(" id=").next().expect("an id").trim();
        assert!(line.contains(&format!("route=\"{route}\"")) && line.contains(&format!("id={id}")), "{line}: {access}");
        let text = line.split(" stderr \"").nth(1).and_then(|rest| rest.split("\" route=").next()).expect("a text");
        assert!(promised(&["log", "stderr_refusals"]).iter().any(|promised| fits(promised, text)), "{text}");
        let of_route = |line: &&str| line.contains(note) && line.contains(&format!("route=\"{route}\""));
        assert_eq!(wagi.log().lines().filter(of_route).count(), 1, "{}", wagi.log());
    }
}

#[test]
fn a_guest_that_is_refused_nothing_has_no_note() {
    let wagi = Site::new().text_module("/", &printing("status: 200\n\nhello"), "").start(&[]);
    Connection::open(wagi.address()).get("/");
    wagi.logged(&["\"GET / "]);
    assert!(!wagi.log().contains(" stderr "), "{}", wagi.log());
}
