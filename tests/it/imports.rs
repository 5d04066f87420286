//! What guests import and export, and what they get for it.

use crate::support::guest::{printing, printing_then};
use crate::support::harness::Test;

/// A module with `body` as the instructions of `_start`, which can print the decimal digit on its stack.
fn digit(imports: &str, more: &str, body: &str) -> String {
    format!(
        r#"(module
            {imports}
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\10\00\00\00\1c\00\00\00")
            (data (i32.const 16) "Content-Type: text/plain\n\n00")
            {more}
            (func $print (param $number i32)
                (i32.store8 (i32.const 42) (i32.add (i32.const 48) (i32.div_u (local.get $number) (i32.const 10))))
                (i32.store8 (i32.const 43) (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10))))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func (export "_start") {body}))"#
    )
}

async fn printed(module: &str) -> String {
    let answer = Test::at("/", module).get("/").await;
    assert_eq!(answer.status, 200);
    answer.text()
}

#[tokio::test]
async fn modules_of_preview_0_run() {
    let module = printing("Content-Type: text/plain\n\nold").replace("wasi_snapshot_preview1", "wasi_unstable");
    assert_eq!(printed(&module).await, "old");
}

#[tokio::test]
async fn an_entry_point_of_any_name_is_called_on_a_fresh_instance() {
    let module = printing("Content-Type: text/plain\n\nhandled").replace("_start", "handle it");
    let running = Test::new().module("/", &module, "entrypoint = 'handle it'").start().await;
    assert_eq!(running.get("/").await.text(), "handled");
}

/// A reactor is initialized before anything else of it is called; a command initializes itself.
#[tokio::test]
async fn initialize_is_called_once_before_an_entry_point_that_is_not_start() {
    let more = r#"(global $count (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $count (i32.add (global.get $count) (i32.const 1))))
        (func (export "other") (call $print (global.get $count)))"#;
    let module = digit("", more, "(call $print (global.get $count))");
    let test = Test::new().module("/start", &module, "").module("/other", &module, "entrypoint = 'other'");
    let running = test.start().await;
    assert_eq!(running.get("/start").await.text(), "00");
    assert_eq!(running.get("/other").await.text(), "01");
}

#[tokio::test]
async fn the_imports_for_calling_out_link_and_refuse() {
    let imports = r#"
        (import "wasi_experimental_http" "req"
            (func $req (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_experimental_http" "close" (func $close (param i32) (result i32)))
        (import "wasi_experimental_http" "header_get" (func (param i32 i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_experimental_http" "headers_get_all" (func (param i32 i32 i32 i32) (result i32)))
        (import "wasi_experimental_http" "body_read" (func $read (param i32 i32 i32 i32) (result i32)))"#;
    let url = r#"(data (i32.const 100) "http://127.0.0.1:1/GET")"#;
    let call = "(call $print (call $req (i32.const 100) (i32.const 19) (i32.const 119) (i32.const 3) (i32.const 1)
        (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 200) (i32.const 204)))";
    assert_eq!(printed(&digit(imports, url, call)).await, "07");
    assert_eq!(printed(&digit(imports, url, "(call $print (call $close (i32.const 9)))")).await, "00");
    // The order of its checks is the same as for a guest that may call servers: the range, the text, the URL, and then the host.
    for (address, length, code) in [(100, 7, "10"), (140, 2, "06"), (65_530, 19, "04"), (100, 19, "07")] {
        let data = format!(r#"{url} (data (i32.const 140) "\ff\ff")"#);
        let call =
            call.replace("(i32.const 100) (i32.const 19)", &format!("(i32.const {address}) (i32.const {length})"));
        assert_eq!(printed(&digit(imports, &data, &call)).await, code, "{address}, {length}");
    }
    let read = "(call $print (call $read (i32.const 0) (i32.const 300) (i32.const 10) (i32.const 200)))";
    assert_eq!(printed(&digit(imports, url, read)).await, "01");
}

#[tokio::test]
async fn what_nobody_provides_is_named_at_the_start() {
    let module = r#"(module (import "env" "abort" (func)) (import "env" "log" (func (param i32)))
        (memory (export "memory") 1) (func (export "_start")))"#;
    let (running, problems) = Test::at("/here", module).try_start().await;
    assert!(running.is_none());
    for part in ["/here", "guest0.wat", "`env.abort`", "`env.log`", "modules.toml:3"] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
}

#[tokio::test]
async fn imports_of_other_hosts_are_named_for_what_they_are_with_a_cure() {
    for (module, name, what, cure) in [
        ("wasi_snapshot_preview1", "sock_open", "sockets of WasmEdge", "over HTTP"),
        ("wasix_32v1", "futex_wait", "WASIX", "wasm32-wasip1"),
        ("env", "emscripten_resize_heap", "emscripten", "WASI SDK"),
        ("__wbindgen_placeholder__", "__wbindgen_throw", "wasm-bindgen", "without wasm-bindgen"),
        ("gojs", "runtime.wasmExit", "Go", "GOOS=wasip1"),
        ("rb-js-abi-host", "eval-js", "ruby.wasm", "without the library"),
        ("other", "thing", "nothing here provides", "wasm32-wasip1"),
    ] {
        let module = format!(r#"(module (import "{module}" "{name}" (func)) (func (export "_start")))"#);
        let (running, problems) = Test::at("/", &module).try_start().await;
        assert!(running.is_none());
        for part in [name, what, cure, "unknown_imports = \"trap\""] {
            assert!(problems.contains(part), "{part}: {problems}");
        }
    }
}

/// Of two imports that nothing provides, it calls one if there is a query, and prints otherwise.
fn with_unknown_imports() -> String {
    digit(
        r#"(import "env" "magic" (func $magic (param i32 externref) (result i64)))
            (import "wasi_snapshot_preview1" "sock_open" (func $open (param i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))"#,
        "",
        "(drop (call $sizes (i32.const 100) (i32.const 104)))
            (if (i32.eq (i32.load (i32.const 100)) (i32.const 2))
                (then (drop (call $magic (i32.const 1) (ref.null extern)))))
            (call $print (i32.load (i32.const 100)))",
    )
}

#[tokio::test]
async fn unknown_imports_may_trap_when_they_are_called() {
    let keys = "unknown_imports = 'trap'";
    let (running, problems) = Test::new().module("/trap", &with_unknown_imports(), keys).try_start().await;
    let running = running.expect("a warning is no error");
    for part in ["warning", "/trap", "`env.magic`", "`wasi_snapshot_preview1.sock_open`", "modules.toml:4"] {
        assert_eq!(problems.matches(part).count().min(1), 1, "{part}: {problems}");
    }
    assert_eq!(problems.matches("`env.magic`").count(), 1, "{problems}");
    assert_eq!(running.get("/trap").await.text(), "01");
    assert_eq!(running.get("/trap?x").await.status, 500);
    let log = running.log();
    assert!(log.contains("end=trap") && log.contains("it called the import `env.magic`"), "{log}");
}

#[tokio::test]
async fn one_module_may_be_refused_in_one_entry_and_trap_in_another() {
    let module = with_unknown_imports();
    let test = Test::new().module("/trap", &module, "unknown_imports = 'trap'");
    let (running, problems) = test.module("/refuse", &module, "unknown_imports = 'refuse'").try_start().await;
    assert!(running.is_none() && problems.contains("route `/refuse`"), "{problems}");
}

#[tokio::test]
async fn what_is_no_function_and_what_has_another_type_does_not_trap_but_is_refused() {
    for (import, part) in [
        (r#"(import "env" "table" (table 1 funcref))"#, "`env.table`"),
        (r#"(import "env" "memory" (memory 1))"#, "--import-memory"),
        (r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i64) (result i32)))"#, "fd_write"),
    ] {
        let module = format!(r#"(module {import} (import "env" "magic" (func)) (func (export "_start")))"#);
        let test = Test::new().module("/", &module, "unknown_imports = 'trap'");
        let (running, problems) = test.try_start().await;
        assert!(running.is_none() && problems.contains(part), "{part}: {problems}");
    }
}

#[tokio::test]
async fn unknown_imports_of_components_may_trap_too() {
    let component = r#"(component
        (import "example:far/away@1.0.0" (instance $far (export "call" (func))))
        (core func $far (canon lower (func $far "call")))
        (core module $m (import "" "far" (func $far)) (func (export "run") (result i32) (call $far) (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance (export "far" (func $far))))))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $run)))"#;
    let (running, problems) = Test::at("/", component).try_start().await;
    assert!(running.is_none() && problems.contains("`example:far/away@1.0.0`"), "{problems}");
    let (running, problems) = Test::new().module("/", component, "unknown_imports = 'trap'").try_start().await;
    let running = running.expect("a warning is no error");
    assert!(problems.contains("warning") && problems.contains("`example:far/away@1.0.0`"), "{problems}");
    assert_eq!(running.get("/").await.status, 500);
    assert!(
        running.log().contains("end=trap") && running.log().contains("example:far/away@1.0.0"),
        "{}",
        running.log()
    );
}

#[tokio::test]
async fn an_import_of_another_type_is_named_at_the_start() {
    let module = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i64) (result i32)))
        (memory (export "memory") 1) (func (export "_start")))"#;
    let (running, problems) = Test::at("/", module).try_start().await;
    assert!(running.is_none());
    assert!(problems.contains("fd_write"), "{problems}");
}

#[tokio::test]
async fn an_entry_point_that_is_none_is_named_at_the_start_beside_what_there_is() {
    let takes_one = r#"(module (memory (export "memory") 1) (func (export "_start") (param i32)))"#;
    let rows = [(printing(""), "entrypoint = 'handel'", "`_start`"), (takes_one.to_owned(), "", "takes and returns")];
    for (module, keys, part) in rows {
        let (running, problems) = Test::new().module("/", &module, keys).try_start().await;
        assert!(running.is_none() && problems.contains(part) && problems.contains("modules.toml:"), "{problems}");
    }
}

#[tokio::test]
async fn a_module_that_needs_what_the_engine_lacks_is_told_what_it_is() {
    let start = r#"(func (export "_start"))"#;
    for (module, expected) in [
        (
            format!(
                "(module (func (drop (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1))) drop) {start})"
            ),
            "wide arithmetic",
        ),
        (format!("(module (memory 1 1 shared) {start})"), "threads and shared memories"),
        (
            format!("(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))) {start})"),
            "threads and shared memories",
        ),
    ] {
        let (running, problems) = Test::at("/", &module).try_start().await;
        assert!(running.is_none(), "{module}");
        assert!(problems.contains(expected) && problems.contains("not supported yet"), "{module}: {problems}");
    }
}

#[tokio::test]
async fn legacy_exceptions_are_refused_with_the_cure() {
    let file = tempfile::NamedTempFile::new().unwrap();
    // `_start` is `try catch_all end`, which text no longer expresses.
    let binary = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x07\x0a\x01\x06_start\0\0\
        \x0a\x08\x01\x06\0\x06\x40\x19\x0b\x0b";
    std::fs::write(file.path(), binary).unwrap();
    let (running, problems) = Test::new().file_module("/", file.path(), "").try_start().await;
    assert!(running.is_none());
    for part in ["legacy exceptions", "wasm-opt --translate-to-exnref"] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
}

#[tokio::test]
async fn legacy_exceptions_in_a_text_are_refused_with_the_same_cure() {
    let module = r#"(module (func (export "_start") (try (do) (catch_all))))"#;
    let (running, problems) = Test::at("/", module).try_start().await;
    assert!(running.is_none());
    for part in ["legacy exceptions", "line 1, column 39", "wasm-opt --translate-to-exnref"] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
}

#[tokio::test]
async fn what_is_no_function_cannot_trap_and_is_not_told_to() {
    for import in ["(global i32)", "(table 1 funcref)", "(tag)", "(global (mut i32))"] {
        let module = format!(r#"(module (import "env" "magic" {import}) (func (export "_start")))"#);
        for keys in ["", "unknown_imports = 'trap'"] {
            let (running, problems) = Test::new().module("/", &module, keys).try_start().await;
            assert!(running.is_none(), "{import}");
            assert!(problems.contains("`env.magic`") && problems.contains("a global, table or tag"), "{problems}");
            assert!(!problems.contains("write `unknown_imports"), "{import}, {keys}: {problems}");
        }
    }
}

#[tokio::test]
async fn a_component_is_refused_for_what_it_is() {
    let (running, problems) = Test::at("/", "(component)").try_start().await;
    assert!(running.is_none() && problems.contains("component"), "{problems}");
}

#[tokio::test]
async fn a_start_function_that_traps_stops_the_start() {
    let module =
        r#"(module (memory (export "memory") 1) (func $bad (unreachable)) (start $bad) (func (export "_start")))"#;
    let (running, problems) = Test::at("/bad", module).try_start().await;
    assert!(running.is_none() && problems.contains("unreachable") && problems.contains("/bad"), "{problems}");
}

/// All of an instance's memories count.
#[tokio::test]
async fn several_memories_share_one_limit() {
    let more = "(memory $other 1)";
    let body = "(call $print (i32.and (memory.grow $other (i32.const 1000)) (i32.const 15)))
        (drop (memory.grow 0 (i32.const 900)))";
    let module = digit("", more, body);
    let test = Test::new().module("/", &module, "limits = { memory = '100MiB' }");
    assert_eq!(test.get("/").await.text(), "01");
    let body = "(drop (memory.grow $other (i32.const 1000)))
        (call $print (i32.and (memory.grow 0 (i32.const 1000)) (i32.const 15)))";
    let test = Test::new().module("/", &digit("", more, body), "limits = { memory = '100MiB' }");
    assert_eq!(test.get("/").await.text(), "15", "memory.grow gives -1");
}

const BADF: &str = "08";

#[tokio::test]
async fn a_closed_stdout_takes_nothing_more() {
    let imports = r#"(import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))"#;
    let body = "(drop (call $close (i32.const 2)))
        (call $print (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))";
    assert_eq!(printed(&digit(imports, "", body)).await, BADF);
}

#[tokio::test]
async fn without_volumes_there_is_no_descriptor_3() {
    let imports = r#"(import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))"#;
    let body = "(call $print (call $prestat (i32.const 3) (i32.const 100)))";
    assert_eq!(printed(&digit(imports, "", body)).await, BADF);
}

#[tokio::test]
async fn a_timer_can_be_waited_for() {
    let imports =
        r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#;
    // userdata 7, a clock, monotonic, 20 ms, relative
    let more = r#"(data (i32.const 1024) "\07\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\2d\31\01\00\00\00\00")"#;
    let body = "(if (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 3000)) (then (unreachable)))
        (if (i32.ne (i32.load (i32.const 3000)) (i32.const 1)) (then (unreachable)))
        (call $print (i32.load (i32.const 2048)))";
    assert_eq!(printed(&digit(imports, more, body)).await, "07");
}

#[tokio::test]
async fn an_address_outside_memory_is_a_trap_and_no_more() {
    let then = "(drop (call $write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 8)))";
    let answer = Test::at("/", &printing_then("", then)).get("/").await;
    assert_eq!(answer.status, 500);
}

#[tokio::test]
async fn modules_are_told_by_their_content_whatever_their_name() {
    let binary = crate::support::guest::probe();
    let directory = tempfile::tempdir().unwrap();
    let misnamed = directory.path().join("probe.wat");
    std::fs::copy(binary, &misnamed).unwrap();
    let running = Test::new().file_module("/...", &misnamed, "").start().await;
    assert_eq!(running.get("/args").await.status, 200);
    let text = directory.path().join("text.wasm");
    std::fs::write(&text, printing("Status: 204\n\n")).unwrap();
    assert_eq!(Test::new().file_module("/", &text, "").get("/").await.status, 204);
}

#[tokio::test]
async fn compiled_code_is_kept_where_the_cache_configuration_says() {
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("kept");
    let configuration = directory.path().join("cache.toml");
    std::fs::write(&configuration, format!("[cache]\nenabled = true\ndirectory = '{}'\n", kept.display())).unwrap();
    let test = Test::printing("Status: 204\n\n").options(|options| options.cache = Some(configuration));
    assert_eq!(test.get("/").await.status, 204);
    assert!(kept.read_dir().unwrap().next().is_some());
}
