//! What stays over a reload, and what is freed.

use std::fs;

use crate::support::guest::printing;
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::{at_leisure, guest};

use super::{GENERATION, configure, file, generation, manifest, reloaded, serve};

#[test]
fn only_modules_that_have_changed_are_compiled_and_asked_for_sub_routes() {
    let mut site = Site::new();
    for number in 0..5 {
        site.file(&format!("m{number}.wat"), printing(format!("Content-Type: text/plain\n\n{number}")));
        site = site.module(&format!("/{number}"), format!("m{number}.wat").as_ref(), "");
    }
    // It says on standard error when it is asked.
    site.file("routes.wat", routes("/sub"));
    site = site.module("/r", "routes.wat".as_ref(), "");
    let wagi = site.start(&[]);
    let asked = |wagi: &Wagi| wagi.log().matches("asked for sub-routes").count();
    wagi.logged(&["asked for sub-routes"]);
    assert_eq!(asked(&wagi), 1, "{}", wagi.log());
    fs::write(file(&wagi, "m3.wat"), printing("Content-Type: text/plain\n\nthree")).unwrap();
    let line = reloaded(&wagi, 2);
    assert!(line.contains("routes=7 modules=6 compiled=1 "), "{line}");
    assert_eq!(asked(&wagi), 1, "{}", wagi.log());
    let mut connection = Connection::open(wagi.address());
    assert_eq!((connection.get("/3").text(), connection.get("/2").text()), ("three".into(), "2".into()));
    fs::write(file(&wagi, "routes.wat"), routes("/other")).unwrap();
    let line = reloaded(&wagi, 3);
    assert!(line.contains("compiled=1 "), "{line}");
    assert_eq!(asked(&wagi), 2, "{}", wagi.log());
    assert_eq!((connection.get("/r/other").status, connection.get("/r/sub").status), (200, 404));
}

/// A module with one sub-route, which says so on standard error.
fn routes(route: &str) -> String {
    let list = format!("{route} _start\n");
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 16) "{}")
            (data (i32.const 128) "Content-Type: text/plain\n\n")
            (data (i32.const 256) "asked for sub-routes\n")
            (func $print (param $fd i32) (param $at i32) (param $length i32)
                (i32.store (i32.const 0) (local.get $at))
                (i32.store (i32.const 4) (local.get $length))
                (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
            (func (export "_start") (call $print (i32.const 1) (i32.const 128) (i32.const 26)))
            (func (export "_routes")
                (call $print (i32.const 2) (i32.const 256) (i32.const 21))
                (call $print (i32.const 1) (i32.const 16) (i32.const {}))))"#,
        guest::escaped(list.as_bytes()),
        list.len()
    )
}

#[test]
fn guests_of_the_old_generation_count_for_the_limit_of_an_entry_that_stays() {
    let limits = |count: usize| format!("limits = {{ concurrency = {count}, time_between_outputs = '10m' }}");
    let site = Site::new().module("/...", &guest::probe(), &limits(1)).top("[limits]\nqueue = 0");
    let wagi = site.start(&[]);
    let mut sleeping = Connection::begin(wagi.address(), "/sleep?600000");
    assert_eq!(sleeping.head().status, 200);
    let toml = fs::read_to_string(file(&wagi, "modules.toml")).unwrap();
    configure(&wagi, &format!("{toml}environment = {{ A = '1' }}\n"));
    reloaded(&wagi, 2);
    let mut other = Connection::open(wagi.address());
    assert_eq!(other.get("/args").status, 503, "the guest of the generation before has the only permit");
    configure(&wagi, &toml.replace(&limits(1), &limits(2)));
    reloaded(&wagi, 3);
    assert_eq!(other.get("/args").status, 200);
    drop(sleeping);
    configure(&wagi, &toml);
    reloaded(&wagi, 4);
    at_leisure(|| (other.get("/args").status == 200).then_some(()));
}

#[test]
fn what_cannot_change_is_a_warning_and_what_does_not_fit_is_an_error() {
    let wagi = serve("one", "");
    let mut connection = Connection::open(wagi.address());
    configure(&wagi, &format!("[limits]\ntotal_concurrency = 7\nwasm_stack = '64 KiB'\n{}", manifest("two", "")));
    reloaded(&wagi, 2);
    wagi.logged(&["WARN", "`total_concurrency` stays 256 until the next start, not 7", "restart the server"]);
    wagi.logged(&["WARN", "`wasm_stack` stays 524288 until the next start"]);
    assert_eq!(generation(&mut connection), "two");
    configure(&wagi, &manifest("three", "limits = { memory = '256 MiB' }"));
    wagi.signal("HUP");
    wagi.logged(&["reload refused: 1 error; generation 2"]);
    wagi.logged(&["ERROR", "`memory` is 268435456, but the pools of this server have 134217728", "line=1"]);
    assert_eq!(generation(&mut connection), "two");
    configure(&wagi, &manifest("four", "limits = { memory = '1 MiB' }"));
    reloaded(&wagi, 3);
    assert_eq!(generation(&mut connection), "four");
}

#[test]
fn a_volume_that_was_made_anew_is_opened_again() {
    let site = Site::new().module("/...", &guest::probe(), "volumes = { '/files' = 'files' }");
    site.file("files/a", "old");
    let wagi = site.start(&[]);
    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.get("/files/a").text(), "old");
    fs::rename(file(&wagi, "files"), file(&wagi, "before")).unwrap();
    fs::create_dir(file(&wagi, "files")).unwrap();
    fs::write(file(&wagi, "files/a"), "new").unwrap();
    assert_eq!(connection.get("/files/a").text(), "old", "it is the directory, not its name");
    reloaded(&wagi, 2);
    assert_eq!(connection.get("/files/a").text(), "new");
}

/// What the process has open and mapped, by its name.
fn held(wagi: &Wagi, directory: &str) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", wagi.pid())).expect("/proc is there");
    let names = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    names.filter(|name| name.to_string_lossy().contains(directory)).count()
}

/// The mappings of machine code.
fn code(wagi: &Wagi) -> usize {
    let maps = fs::read_to_string(format!("/proc/{}/maps", wagi.pid())).expect("/proc is there");
    maps.lines().filter(|line| line.contains(" r-xp ") && !line.contains("/")).count()
}

#[test]
fn what_only_the_old_generation_used_is_freed_when_its_last_request_ends() {
    let volume =
        |name: &str| format!("[[module]]\nroute = '/...'\nmodule = 'm.wat'\nvolumes = {{ '/v' = '{name}' }}\n");
    let site = Site::new().top(&volume("volume-one")).top("[limits]\ntime_between_outputs = '10m'");
    site.file("m.wat", GENERATION.replace("(export \"stream\")", "(export \"other\")"));
    site.file("volume-one/a", "");
    site.file("volume-two/a", "");
    let probe = guest::probe();
    let streams =
        format!("[[module]]\nroute = '/p/...'\nmodule = '{}'\nvolumes = {{ '/v' = 'volume-one' }}\n", probe.display());
    let site = site.top(&streams);
    let wagi = site.start(&[]);
    let mut slow = Connection::begin(wagi.address(), "/p/sleep?600000");
    assert_eq!(slow.head().status, 200);
    let before = (held(&wagi, "volume-one"), code(&wagi));
    assert_eq!(before.0, 2);
    configure(&wagi, &volume("volume-two"));
    reloaded(&wagi, 2);
    // The guest that sleeps has its volume and its code. What only the other entry had is gone.
    at_leisure(|| (held(&wagi, "volume-one") == 1).then_some(()));
    assert_eq!(held(&wagi, "volume-two"), 1);
    drop(slow);
    at_leisure(|| (held(&wagi, "volume-one") == 0).then_some(()));
    at_leisure(|| (code(&wagi) < before.1).then_some(()));
}
