//! What is kept of guests that trap or compute for long: lines of the source, core dumps, profiles.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::admin::Administered;
use crate::support::at_leisure;
use crate::support::guest::{component, probe};
use crate::support::site::Site;

/// A guest with a name of its own for the function that fails, and some memory to look at.
const TRAP: &str = r#"(module
    (memory (export "memory") 2)
    (global (mut i32) (i32.const 7))
    (data (i32.const 100) "a secret of the guest")
    (func $give_up unreachable)
    (func (export "_start") call $give_up))"#;

/// What ends a guest that computes, however little of the machine it gets.
const SHORT: &str = "limits = { cpu_time = '100ms', time_to_head = '10m' }";

/// The bytes with which a file of WebAssembly begins.
const WASM: &[u8] = b"\0asm\x01\0\0\0";

/// The last request that has failed.
fn last_failure(server: &Administered) -> Value {
    at_leisure(|| server.json("/requests")["failed"].as_array().and_then(|list| list.first().cloned()))
}

/// The core dumps in a directory, and whatever else is there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn debug_table(directory: &Path, more: &str) -> String {
    format!("[debug]\ncoredump_directory = '{}'\n{more}", directory.display())
}

#[test]
fn a_trap_names_the_lines_of_a_program_with_debug_information() {
    let server = Administered::start(Site::new().module("/...", &component("lines.wasm"), ""), &[]);
    // On a busy machine the lines may come too late for one trap.
    let failed = at_leisure(|| {
        assert_eq!(server.begin("/").answer().status, 500);
        let failed = last_failure(&server);
        failed["backtrace"].as_str().is_some_and(|text| text.contains(" at ")).then_some(failed)
    });
    let backtrace = failed["backtrace"].as_str().expect("a backtrace");
    let lines: Vec<_> = backtrace.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("0: calculate @ 0x"), "{backtrace}");
    assert_eq!(lines[1], "at /home/developer/c/lines.c:6:14, in divide", "{backtrace}");
    assert_eq!(lines[2], "at /home/developer/c/lines.c:10:12", "{backtrace}");
    assert!(lines[3].starts_with("1: _start @ 0x") && lines[4].contains("lines.c:14:"), "{backtrace}");
    let line = server.wagi.logged(&["calculate at"]);
    assert!(line.contains("integer divide by zero, in calculate at c/lines.c:6:14 < _start"), "{line}");
}

#[test]
fn a_program_without_debug_information_has_the_names_of_its_functions() {
    let server = Administered::start(Site::new().text_module("/...", TRAP, ""), &[]);
    assert_eq!(server.begin("/").answer().status, 500);
    let failed = last_failure(&server);
    let backtrace = failed["backtrace"].as_str().expect("a backtrace");
    assert!(backtrace.contains("0: give_up @ 0x") && !backtrace.contains(" at "), "{backtrace}");
    assert_eq!(failed["coredump"], Value::Null, "nothing is written unless the operator asks for it");
    assert_eq!(failed["profile"], Value::Null);
}

#[test]
fn a_trap_leaves_a_core_dump_that_its_failure_and_the_log_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let dumps = directory.path().join("dumps");
    let site = Site::new().text_module("/...", TRAP, "").top(&debug_table(&dumps, ""));
    let server = Administered::start(site, &[]);
    assert_eq!(server.begin("/").answer().status, 500);
    let failed = last_failure(&server);
    let id = failed["id"].as_str().expect("an id");
    let path = dumps.join(format!("{id}.coredump"));
    assert_eq!(failed["coredump"].as_str(), path.to_str(), "{failed}");
    server.wagi.logged(&["unreachable", "in give_up", "; core dump: ", path.to_str().expect("a path"), id]);
    assert_eq!(files(&dumps), std::slice::from_ref(&path), "nothing half written is left");
    let dump = std::fs::read(path).expect("a file");
    assert!(dump.starts_with(WASM));
    let has = |text: &[u8]| dump.windows(text.len()).any(|window| window == text);
    assert!(has(b"corestack") && has(b"coremodules") && has(b"coreinstances") && has(b"a secret of the guest"));
}

#[test]
fn a_component_that_traps_leaves_a_core_dump() {
    const TRAP: &str = r#"(component
        (core module $m (memory 1) (data (i32.const 0) "of a component")
            (func (export "run") (result i32) unreachable))
        (core instance $i (instantiate $m))
        (type $result (result))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $run (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $run)))"#;
    let directory = tempfile::tempdir().expect("a directory");
    let site = Site::new().text_module("/...", TRAP, "").top(&debug_table(directory.path(), ""));
    let server = Administered::start(site, &[]);
    assert_eq!(server.begin("/").answer().status, 500);
    let failed = last_failure(&server);
    let dump = std::fs::read(failed["coredump"].as_str().expect("a path")).expect("a file");
    assert!(dump.starts_with(WASM) && dump.windows(14).any(|window| window == b"of a component"));
}

#[test]
fn there_are_as_many_core_dumps_as_the_operator_allows_and_the_first_ones_stay() {
    let directory = tempfile::tempdir().expect("a directory");
    let table = debug_table(directory.path(), "coredump_files = 2");
    let server = Administered::start(Site::new().text_module("/...", TRAP, "").top(&table), &[]);
    for _ in 0..2 {
        assert_eq!(server.begin("/").answer().status, 500);
    }
    let first = files(directory.path());
    assert_eq!(first.len(), 2);
    assert_eq!(server.begin("/").answer().status, 500);
    server.wagi.logged(&["no core dump: there are 2 in", "already"]);
    assert_eq!(files(directory.path()), first);
    assert_eq!(last_failure(&server)["coredump"], Value::Null);
    std::fs::remove_file(&first[0]).expect("it can be removed");
    assert_eq!(server.begin("/").answer().status, 500);
    assert_eq!(files(directory.path()).len(), 2, "one more after the operator has removed one");
}

#[test]
fn a_guest_with_more_memory_than_a_core_dump_may_have_gets_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let table = debug_table(directory.path(), "coredump_size = '64KiB'");
    let server = Administered::start(Site::new().text_module("/...", TRAP, "").top(&table), &[]);
    assert_eq!(server.begin("/").answer().status, 500);
    server.wagi.logged(&["no core dump: its memory has 131072 bytes, more than `coredump_size`"]);
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_guest_that_exits_or_runs_too_long_leaves_no_core_dump() {
    let directory = tempfile::tempdir().expect("a directory");
    let site = Site::probe(SHORT).top(&debug_table(directory.path(), ""));
    let server = Administered::start(site, &[]);
    assert_eq!(server.begin("/exit?3").answer().status, 500);
    assert_eq!(server.begin("/spin").answer().status, 504);
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_directory_for_core_dumps_that_cannot_be_made_is_an_error_with_its_place() {
    let site = Site::new().text_module("/...", TRAP, "");
    let file = site.file("taken", "");
    let ran = site.top(&debug_table(&file, "")).run(&["--check"]);
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success());
    assert!(told.contains("cannot use the directory for core dumps") && told.contains("modules.toml:2:"), "{told}");
}

#[test]
fn core_dumps_that_guests_or_clients_could_read_are_a_warning() {
    let site = Site::new();
    let public = site.path().join("public");
    std::fs::create_dir(&public).expect("a directory");
    let entry = format!("[[static]]\nroute = '/s/...'\ndirectory = '{}'", public.display());
    let site = site.top(&entry).text_module("/...", TRAP, "").top(&debug_table(&public.join("dumps"), ""));
    let ran = site.run(&["--check"]);
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(told.contains("which clients or guests can read"), "{told}");
}

#[test]
fn a_guest_that_computes_for_long_has_a_profile() {
    const SPIN: &str = "(module (memory (export \"memory\") 1) (func $spin_around (loop (br 0))) (func (export \"_start\") call $spin_around))";
    let site = Site::new().text_module("/spin", SPIN, "limits = { cpu_time = '400ms', time_to_head = '10m' }").module(
        "/...",
        &probe(),
        "",
    );
    let server = Administered::start(site.top("[debug]\nprofile = { slower_than = '50ms' }"), &[]);
    assert_eq!(server.begin("/args").answer().status, 200);
    assert_eq!(server.begin("/spin").answer().status, 504);
    let profiles = at_leisure(|| {
        let profiles = server.json("/profiles")["profiles"].as_array().expect("a list").clone();
        (!profiles.is_empty()).then_some(profiles)
    });
    let [kept] = &profiles[..] else { panic!("one guest was slow: {profiles:?}") };
    assert!(kept["samples"].as_u64().is_some_and(|samples| samples > 1), "{kept}");
    assert!(kept["cpu_time"].as_f64().is_some_and(|time| time >= 0.05), "{kept}");
    let failed = last_failure(&server);
    assert_eq!((&failed["id"], &failed["profile"]), (&kept["id"], &kept["profile"]));
    let path = kept["profile"].as_str().expect("a path");
    // What the Firefox Profiler needs: https://github.com/firefox-devtools/profiler/blob/main/docs-developer/processed-profile-format.md
    let profile = server.json(path);
    assert!(profile["meta"]["version"].is_number() && profile["meta"]["interval"] == 5.0, "{}", profile["meta"]);
    let thread = &profile["threads"][0];
    let samples = thread["samples"]["length"].as_u64();
    assert_eq!(samples, kept["samples"].as_u64());
    assert!(profile.to_string().contains("spin_around"), "the function that computes has its name");
    assert_eq!(server.ask("GET", "/profiles/0000000000000001").status, 404);
}

#[test]
fn profiles_are_kept_as_many_as_the_operator_wants_and_none_without_the_key() {
    let site = Site::probe(SHORT);
    let server = Administered::start(site.top("[debug]\nprofile = { slower_than = '20ms', kept = 1 }"), &[]);
    let newest = |server: &Administered| server.json("/profiles")["profiles"].clone();
    let mut last = Value::Null;
    for _ in 0..2 {
        assert_eq!(server.begin("/spin").answer().status, 504);
        last = at_leisure(|| {
            let list = newest(&server).as_array().cloned().expect("a list");
            assert!(list.len() <= 1);
            list.first().cloned().filter(|kept| kept["id"] != last["id"])
        });
    }
    let server = Administered::start(Site::probe(SHORT), &[]);
    assert_eq!(server.begin("/spin").answer().status, 504);
    assert_eq!(newest(&server), serde_json::json!([]));
    assert_eq!(last_failure(&server)["profile"], Value::Null);
}
