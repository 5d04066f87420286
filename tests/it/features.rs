//! Features of WebAssembly: modules of each family of instructions, served by a real server.

use crate::support::bindle::Bindle;
use crate::support::http1::Connection;
use crate::support::process::{Wagi, command, run};
use crate::support::site::Site;

/// A module whose `_start` prints the number that `body` leaves on the stack, in two digits. `more` has its other fields.
fn number(more: &str, body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory $own (export "memory") 1)
            (data (i32.const 0) "\10\00\00\00\1c\00\00\00")
            (data (i32.const 16) "Content-Type: text/plain\n\n00")
            {more}
            (func $print (param $number i32)
                (i32.store8 (i32.const 42) (i32.add (i32.const 48) (i32.div_u (local.get $number) (i32.const 10))))
                (i32.store8 (i32.const 43) (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func (export "_start") (call $print {body})))"#
    )
}

/// Name, fields, body, and the number that it prints.
type Row = (&'static str, &'static str, &'static str, &'static str);

const GARBAGE_COLLECTION: [Row; 12] = [
    ("i31", "", "(i31.get_u (ref.i31 (i32.const 42)))", "42"),
    (
        "struct",
        "(type $p (struct (field i32) (field (mut i32)))) (global $p (mut (ref null $p)) (ref.null $p))",
        "(block (result i32) (global.set $p (struct.new $p (i32.const 7) (i32.const 1)))
            (struct.set $p 1 (global.get $p) (i32.const 4))
            (i32.add (struct.get $p 0 (global.get $p)) (struct.get $p 1 (global.get $p))))",
        "11",
    ),
    (
        "array",
        "(type $a (array (mut i8))) (global $a (ref $a) (array.new $a (i32.const 3) (i32.const 5)))",
        "(block (result i32) (array.fill $a (global.get $a) (i32.const 1) (i32.const 9) (i32.const 2))
            (i32.add (array.len (global.get $a))
                (i32.add (array.get_u $a (global.get $a) (i32.const 0)) (array.get_u $a (global.get $a) (i32.const 2)))))",
        "17",
    ),
    ("array-fixed", "(type $a (array i32))", "(array.get $a (array.new_fixed $a 2 (i32.const 1) (i32.const 8)) (i32.const 1))", "08"),
    ("test", "", "(ref.test (ref i31) (ref.i31 (i32.const 1)))", "01"),
    ("cast", "", "(i31.get_s (ref.cast (ref i31) (ref.i31 (i32.const 6))))", "06"),
    (
        "subtype",
        "(type $base (sub (struct (field i32)))) (type $more (sub $base (struct (field i32) (field i32))))",
        "(struct.get $base 0 (ref.cast (ref $base) (struct.new $more (i32.const 12) (i32.const 2))))",
        "12",
    ),
    (
        "br_on_cast",
        "",
        "(i31.get_u (block $b (result (ref i31))
            (drop (br_on_cast $b anyref (ref i31) (ref.i31 (i32.const 5)))) (unreachable)))",
        "05",
    ),
    ("br_on_null", "", "(block $b (result i32) (block $n (drop (br_on_null $n (ref.null any))) (unreachable)) (i32.const 3))", "03"),
    ("externref", "(table $t 4 externref)", "(i32.add (table.size $t) (ref.is_null (table.get $t (i32.const 1))))", "05"),
    ("extern", "", "(i31.get_u (ref.cast (ref i31) (any.convert_extern (extern.convert_any (ref.i31 (i32.const 9))))))", "09"),
    ("eq", "", "(ref.eq (ref.i31 (i32.const 1)) (ref.i31 (i32.const 1)))", "01"),
];

const EXCEPTIONS: [Row; 4] = [
    (
        "throw",
        "(tag $e (param i32))",
        "(block $h (result i32) (try_table (catch $e $h) (throw $e (i32.const 33))) (unreachable))",
        "33",
    ),
    (
        "through-calls",
        "(tag $e (param i32)) (func $inner (throw $e (i32.const 31))) (func $outer (call $inner))",
        "(block $h (result i32) (try_table (catch $e $h) (call $outer)) (unreachable))",
        "31",
    ),
    (
        "throw_ref",
        "(tag $e (param i32))",
        "(block $outer (result i32) (try_table (catch $e $outer)
            (block $inner (result i32 exnref) (try_table (catch_ref $e $inner) (throw $e (i32.const 34))) (unreachable))
            throw_ref) (unreachable))",
        "34",
    ),
    (
        "catch_all",
        "(tag $e)",
        "(block (result i32) (block $h (try_table (catch_all $h) (throw $e)) (unreachable)) (i32.const 35))",
        "35",
    ),
];

const CALLS: [Row; 4] = [
    (
        "return_call",
        "(func $down (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (return (i32.const 21))))
            (return_call $down (i32.sub (local.get 0) (i32.const 1))))",
        "(call $down (i32.const 1000000))",
        "21",
    ),
    (
        "return_call_indirect",
        "(type $f (func (result i32))) (table funcref (elem $g)) (func $g (result i32) (i32.const 22))
            (func $tail (result i32) (return_call_indirect (type $f) (i32.const 0)))",
        "(call $tail)",
        "22",
    ),
    (
        "return_call_ref",
        "(type $f (func (result i32))) (elem declare func $g) (func $g (result i32) (i32.const 23))
            (func $tail (result i32) (return_call_ref $f (ref.func $g)))",
        "(call $tail)",
        "23",
    ),
    (
        "call_ref",
        "(type $f (func (param i32) (result i32))) (elem declare func $g)
            (func $g (type $f) (i32.add (local.get 0) (i32.const 4)))",
        "(call_ref $f (i32.const 20) (ref.func $g))",
        "24",
    ),
];

const MEMORY_AND_NUMBERS: [Row; 8] = [
    (
        "memory64",
        "(memory $big i64 1)",
        "(block (result i32) (i64.store $big (i64.const 65528) (i64.const 17))
            (i32.wrap_i64 (i64.load $big (i64.const 65528))))",
        "17",
    ),
    (
        "memory64-grow",
        "(memory $big i64 1)",
        "(i32.wrap_i64 (i64.add (memory.grow $big (i64.const 2)) (memory.size $big)))",
        "04",
    ),
    ("memory64-limit", "(memory $big i64 1)", "(i64.eq (memory.grow $big (i64.const 10000)) (i64.const -1))", "01"),
    (
        "memory64-vast",
        "(memory $big i64 1)",
        "(i64.eq (memory.grow $big (i64.const 0x1000000000)) (i64.const -1))",
        "01",
    ),
    (
        "two-memories",
        "(memory $other 1) (data (memory $other) (i32.const 8) \"\\2b\")",
        "(block (result i32) (memory.copy $own $other (i32.const 100) (i32.const 8) (i32.const 1))
            (i32.load8_u $own (i32.const 100)))",
        "43",
    ),
    ("relaxed-simd", "", "(i32x4.extract_lane 0 (i32x4.relaxed_trunc_f32x4_s (v128.const f32x4 25 0 0 0)))", "25"),
    (
        "extended-const",
        "(global $g i32 (i32.add (i32.const 20) (i32.mul (i32.const 2) (i32.const 3))))",
        "(global.get $g)",
        "26",
    ),
    ("several-values", "(func $two (result i32 i32) (i32.const 20) (i32.const 7))", "(i32.add (call $two))", "27"),
];

fn rows() -> impl Iterator<Item = Row> {
    GARBAGE_COLLECTION.into_iter().chain(EXCEPTIONS).chain(CALLS).chain(MEMORY_AND_NUMBERS)
}

fn get(wagi: &Wagi, path: &str) -> (u16, String) {
    let answer = Connection::open(wagi.address()).get(path);
    (answer.status, answer.text())
}

#[test]
fn each_family_of_instructions_runs_and_none_disturbs_another() {
    let site = rows().fold(Site::new(), |site, (name, more, body, _)| {
        site.text_module(&format!("/{name}"), &number(more, body), "limits = { memory = '8MiB' }")
    });
    let wagi = site.start(&[]);
    for _ in 0..2 {
        for (name, _, _, expected) in rows() {
            assert_eq!(get(&wagi, &format!("/{name}")), (200, expected.to_owned()), "{name}");
        }
    }
}

/// A chain of arrays of 64 KiB, of which each keeps the one before.
const CHAIN: &str = "(type $block (array (mut i8)))
    (type $chain (struct (field (ref $block)) (field (ref null $chain))))
    (global $chain (mut (ref null $chain)) (ref.null $chain))";

fn chain(count: u32, next: &str) -> String {
    let body = format!(
        "(block (result i32) (loop $again
            (global.set $chain (struct.new $chain (array.new_default $block (i32.const 65536)) {next}))
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (br_if $again (i32.lt_u (global.get $count) (i32.const {count})))) (i32.const 1))"
    );
    number(&format!("{CHAIN} (global $count (mut i32) (i32.const 0))"), &body)
}

#[test]
fn what_is_not_caught_ends_the_guest_with_a_reason() {
    let rows = [
        ("uncaught", "(tag $e (param i32))", "(throw $e (i32.const 1))", "an exception that nothing caught"),
        ("uncaught-ref", "", "(block (result i32) (throw_ref (ref.null exn)))", "null"),
        ("null", "(type $p (struct (field i32)))", "(struct.get $p 0 (ref.null $p))", "null reference"),
        ("cast", "", "(i31.get_u (ref.cast (ref i31) (ref.null any)))", "cast"),
        ("call-null", "(type $f (func (result i32)))", "(call_ref $f (ref.null $f))", "null"),
        (
            "array",
            "(type $a (array i32))",
            "(array.get $a (array.new_default $a (i32.const 2)) (i32.const 2))",
            "out of bounds",
        ),
    ];
    let site = rows.iter().fold(Site::new(), |site, (name, more, body, _)| {
        site.text_module(&format!("/{name}"), &number(more, body), "")
    });
    let wagi = site.start(&[]);
    for (name, _, _, reason) in rows {
        assert_eq!(get(&wagi, &format!("/{name}")).0, 500, "{name}");
        let line = wagi.logged(&[&format!("\"GET /{name} ")]);
        assert!(line.contains("end=trap") && line.contains(reason), "{line}");
    }
}

#[test]
fn the_heap_of_the_collector_counts_as_memory() {
    let limits = "limits = { memory = '8MiB' }";
    let wagi = Site::new()
        .text_module("/kept", &chain(1000, "(global.get $chain)"), limits)
        .text_module("/kept-with-more", &chain(250, "(global.get $chain)"), "limits = { memory = '64MiB' }")
        .text_module("/dropped", &chain(1000, "(ref.null $chain)"), limits)
        .start(&[]);
    assert_eq!(get(&wagi, "/dropped"), (200, "01".to_owned()));
    assert_eq!(get(&wagi, "/kept-with-more"), (200, "01".to_owned()));
    assert_eq!(get(&wagi, "/kept").0, 500);
    let line = wagi.logged(&["\"GET /kept "]);
    assert!(line.contains("end=trap") && line.contains("out of memory"), "{line}");
    wagi.logged(&["memory: growing to", "`limits.memory` is 8388608"]);
}

/// A command of WASI 0.2 whose `run` is `body`, with more fields of its core module.
fn component(more: &str, body: &str) -> String {
    format!(
        r#"(component
            (core module $m {more} (func (export "run") (result i32) {body}))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#
    )
}

#[test]
fn components_have_collectors_and_exceptions_too() {
    let caught = "(drop (block $h (result i32) (try_table (catch $e $h) (throw $e (i32.const 0))) (unreachable)))";
    let wagi = Site::new()
        .text_module("/caught", &component("(tag $e (param i32))", &format!("{caught} (i32.const 0)")), "")
        .text_module("/i31", &component("", "(i31.get_u (ref.i31 (i32.const 0)))"), "")
        .text_module("/uncaught", &component("(tag $e)", "(throw $e)"), "")
        .start(&[]);
    for path in ["/caught", "/i31"] {
        get(&wagi, path);
        let line = wagi.logged(&[&format!("\"GET {path} ")]);
        assert!(!line.contains("end=trap"), "{line}");
    }
    assert_eq!(get(&wagi, "/uncaught").0, 500);
    let line = wagi.logged(&["\"GET /uncaught "]);
    assert!(line.contains("end=trap") && line.contains("nothing caught"), "{line}");
}

#[test]
fn code_with_exceptions_is_compiled_once_kept_and_made_ahead_of_time() {
    let site = Site::new();
    let (_, more, body, expected) = EXCEPTIONS[0];
    site.file("e.wat", number(more, body));
    let compiled = run(site.path(), &["compile", "e.wat", "-o", "e.cwasm"]);
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let path = site.path().join("e.cwasm");
    let site = site.module("/ahead", &path, "precompiled = true").text_module("/", &number(more, body), "");
    site.write();
    let serve = || {
        let mut serving = command(site.path());
        serving.env("XDG_CACHE_HOME", site.path().join("cache"));
        Wagi::spawn(serving.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]))
    };
    for code in ["code=\"compiled\"", "code=\"cached\""] {
        let wagi = serve();
        wagi.logged(&["loaded", "guest1.wat", code]);
        assert_eq!(get(&wagi, "/"), (200, expected.to_owned()));
        assert_eq!(get(&wagi, "/ahead"), (200, expected.to_owned()));
    }
}

#[test]
fn programs_of_third_parties_may_use_exceptions() {
    let (_, more, body, expected) = EXCEPTIONS[0];
    let wagi = Bindle::new().program("/app", number(more, body), "", &[]).start(&[]);
    assert_eq!(get(&wagi, "/app"), (200, expected.to_owned()));
}

/// WASI 0.2.0 to 0.2.12 and 0.3.0.
#[test]
fn released_versions_of_wasi_are_served_and_candidates_refused_by_name() {
    let importing = |version: &str| {
        let import = format!(r#"(component (import "wasi:cli/environment@{version}" (instance))"#);
        component("", "(i32.const 0)").replacen("(component", &import, 1)
    };
    let mut site = Site::new();
    for patch in 0..=12 {
        let text = importing(&format!("0.2.{patch}")).replace("run@0.2.0", &format!("run@0.2.{patch}"));
        site = site.text_module(&format!("/2/{patch}"), &text, "");
    }
    let output = site.text_module("/3", &importing("0.3.0"), "").run(&["--check"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for version in ["0.3.0-rc-2025-09-16", "0.3.0-rc-2026-01-06", "0.2.0-rc-2023-11-10"] {
        for keys in ["", "unknown_imports = 'trap'"] {
            let output = Site::new().text_module("/rc", &importing(version), keys).run(&["--check"]);
            let said = String::from_utf8_lossy(&output.stderr);
            let name = format!("`wasi:cli/environment@{version}`");
            for part in ["release candidate of WASI", &name, "WASI 0.3.0"] {
                assert!(!output.status.success() && said.contains(part), "{part}: {said}");
            }
        }
    }
}
