//! Directories given to a guest: what it finds in them, and that there is no way out.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;

/// Beside the volumes, where no guest should get.
const SECRET: &str = "nobody but the server may read this";

/// The probe over a volume `web` with a few files and many ways out.
fn served(volumes: &str) -> Wagi {
    let site = Site::probe(&format!("volumes = {volumes}"));
    site.file("secret.txt", SECRET);
    site.file("web/index.html", "<p>index</p>");
    site.file("web/below/deep.txt", "deep");
    site.file("data/facts.txt", "facts");
    let web = site.path().join("web");
    for (target, link) in [
        ("/etc", "absolute"),
        ("../secret.txt", "relative"),
        ("..", "up"),
        ("below/../../secret.txt", "winding"),
        ("up", "twice"),
        ("loop", "loop"),
        ("index.html", "inside"),
        ("below", "inside-directory"),
    ] {
        symlink(target, web.join(link)).expect("a link can be made");
    }
    site.start(&[])
}

/// What the guest reads below its first volume; `None` if it does not get to read.
fn read(wagi: &Wagi, name: &str) -> Option<String> {
    let answer = Connection::open(wagi.address()).get(&format!("/files/{name}"));
    match answer.status {
        200 => Some(answer.text()),
        403 | 404 => None,
        status => panic!("{name}: {status} {}", answer.text()),
    }
}

fn list(wagi: &Wagi, directory: &str) -> Vec<String> {
    let answer = Connection::open(wagi.address()).get(&format!("/list?{directory}"));
    assert_eq!(answer.status, 200, "{directory}: {}", answer.text());
    answer.text().lines().map(str::to_owned).collect()
}

#[test]
fn files_below_a_volume_are_read_and_links_inside_are_followed() {
    let wagi = served("{ '/' = 'web' }");
    assert_eq!(read(&wagi, "index.html").as_deref(), Some("<p>index</p>"));
    assert_eq!(read(&wagi, "below/deep.txt").as_deref(), Some("deep"));
    assert_eq!(read(&wagi, "below/../index.html").as_deref(), Some("<p>index</p>"));
    assert_eq!(read(&wagi, "inside").as_deref(), Some("<p>index</p>"));
    assert_eq!(read(&wagi, "inside-directory/deep.txt").as_deref(), Some("deep"));
    assert_eq!(read(&wagi, "missing.html"), None);
}

#[test]
fn the_first_volume_written_is_the_first_the_guest_has() {
    for (volumes, first) in [
        ("{ '/z' = 'web', '/a' = 'data' }", "web"),
        ("{ '/a' = 'data', '/z' = 'web' }", "data"),
        ("{ '/z' = { path = 'data', read_only = true }, '/a' = 'web' }", "data"),
    ] {
        let wagi = served(volumes);
        assert_eq!(read(&wagi, "index.html").is_some(), first == "web", "{volumes}");
        assert_eq!(read(&wagi, "facts.txt").is_some(), first == "data", "{volumes}");
    }
}

#[test]
fn every_volume_is_found_under_its_path_in_the_guest() {
    let wagi = served("{ '/' = 'web', '/etc/app' = 'data', '/again' = 'data' }");
    assert!(list(&wagi, "/").contains(&"index.html".to_owned()));
    assert_eq!(list(&wagi, "/etc/app"), ["facts.txt"]);
    assert_eq!(list(&wagi, "/again"), ["facts.txt"]);
    assert_eq!(list(&wagi, "/below"), ["deep.txt"]);
}

#[test]
fn a_guest_without_volumes_finds_no_files() {
    let wagi = Site::probe("").start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/list?/").status, 403);
    let answer = Connection::open(wagi.address()).get("/open-escape?/etc/passwd").text();
    assert!(!answer.contains("opened"), "{answer}");
}

#[test]
fn a_volume_is_written_to_and_a_read_only_one_is_not() {
    let wagi = served("{ '/' = 'data' }");
    assert_eq!(Connection::open(wagi.address()).post("/write/new.txt", "fresh").text(), "wrote 5 bytes\n");
    assert_eq!(Connection::open(wagi.address()).post("/write/facts.txt", "altered").text(), "wrote 7 bytes\n");
    let data = wagi.directory().join("data");
    assert_eq!(std::fs::read_to_string(data.join("new.txt")).expect("it is there"), "fresh");
    assert_eq!(std::fs::read_to_string(data.join("facts.txt")).expect("it is there"), "altered");

    let wagi = served("{ '/' = { path = 'data', read_only = true } }");
    assert_eq!(read(&wagi, "facts.txt").as_deref(), Some("facts"));
    for name in ["new.txt", "facts.txt"] {
        assert_eq!(Connection::open(wagi.address()).post(&format!("/write/{name}"), "x").status, 403, "{name}");
    }
    let data = wagi.directory().join("data");
    assert!(!data.join("new.txt").exists());
    assert_eq!(std::fs::read_to_string(data.join("facts.txt")).expect("it is there"), "facts");
}

#[test]
fn no_name_leads_out_of_a_volume() {
    let wagi = served("{ '/' = 'web' }");
    let absolute = wagi.directory().join("secret.txt").display().to_string();
    for name in [
        "../secret.txt",
        "below/../../secret.txt",
        "./../secret.txt",
        "below/../below/../../secret.txt",
        "%2e%2e/secret.txt",
        "..%2fsecret.txt",
        &absolute,
        &format!("/{absolute}"),
        "absolute/passwd",
        "relative",
        "up/secret.txt",
        "twice/secret.txt",
        "winding",
        "loop",
        "inside-directory/../../secret.txt",
        "inside-directory/../up/secret.txt",
    ] {
        assert_eq!(read(&wagi, name), None, "{name}");
        let answer = Connection::open(wagi.address()).get(&format!("/open-escape?{name}"));
        assert_eq!(answer.status, 200, "{name}");
        assert!(!answer.text().contains("opened"), "{name}: {}", answer.text());
    }
    for directory in ["/up", "/absolute", "/..", "/below/../.."] {
        let answer = Connection::open(wagi.address()).get(&format!("/list?{directory}"));
        assert!(!answer.text().contains("secret.txt") && !answer.text().contains("passwd"), "{directory}");
    }
}

#[test]
fn nothing_is_written_outside_of_a_volume() {
    let wagi = served("{ '/' = 'web' }");
    for name in ["relative", "../secret.txt", "up/secret.txt", "up/planted.txt", "winding"] {
        assert_eq!(Connection::open(wagi.address()).post(&format!("/write/{name}"), "gotcha").status, 403, "{name}");
    }
    assert_eq!(std::fs::read_to_string(wagi.directory().join("secret.txt")).expect("it is there"), SECRET);
    assert!(!wagi.directory().join("planted.txt").exists());
}

#[test]
fn a_directory_that_is_missing_or_a_file_stops_the_start() {
    for (volumes, problem) in [
        ("{ '/' = '.', '/data' = 'missing' }", "`missing` does not exist"),
        ("{ '/' = { path = 'missing', read_only = true } }", "`missing` does not exist"),
        ("{ '/' = 'file.txt' }", "`file.txt`"),
    ] {
        let site = Site::probe(&format!("volumes = {volumes}"));
        site.file("file.txt", "no directory");
        let output = site.run(&[]);
        let shown = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{shown}");
        assert!(shown.contains(problem) && shown.contains("modules.toml:4:"), "{shown}");
        assert!(output.stdout.is_empty(), "it is not ready");
    }
}

/// A directory that is replaced while the server runs stays the one it opened: nobody slips another one in.
#[test]
fn a_volume_is_the_directory_that_was_there_at_the_start() {
    let wagi = served("{ '/' = 'data' }");
    let data = wagi.directory().join("data");
    std::fs::rename(&data, wagi.directory().join("moved")).expect("it can be moved");
    symlink(Path::new("/etc"), &data).expect("a link can be made");
    assert_eq!(read(&wagi, "facts.txt").as_deref(), Some("facts"));
    assert_eq!(read(&wagi, "passwd"), None);
}

/// What one call may copy is renewed for each: a file of any size can be read and written.
#[tokio::test(flavor = "multi_thread")]
async fn files_larger_than_a_guests_memory_pass_through_it() {
    let volume = tempfile::tempdir().expect("a directory");
    let size = 40 << 20;
    std::fs::write(volume.path().join("large"), vec![b'x'; size]).expect("a file can be written");
    let keys = format!("volumes = {{ '/' = '{}' }}\nlimits = {{ memory = '16MiB' }}", volume.path().display());
    let test = crate::support::harness::Test::new();
    let running = test.file_module("/...", &crate::support::guest::probe(), &keys).start().await;
    let answer = running.get("/files/large").await;
    assert_eq!((answer.status.as_u16(), answer.body.len(), answer.cut), (200, size, false));
}

/// Opens `web/index.html` of 12 bytes, polls it together with its standard input and two timers, reads it to its end, polls it
/// again, and prints the events: user data, type and flags.
const POLLS: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "index.html")
    (data (i32.const 100) "Content-Type: text/plain\n\n")
    (func $print (param $from i32) (param $length i32)
        (i32.store (i32.const 80) (local.get $from))
        (i32.store (i32.const 84) (local.get $length))
        (drop (call $write (i32.const 1) (i32.const 80) (i32.const 1) (i32.const 88))))
    (func $digit (param $value i32) (param $end i32)
        (i32.store8 (i32.const 96) (i32.add (i32.const 48) (local.get $value)))
        (i32.store8 (i32.const 97) (local.get $end))
        (call $print (i32.const 96) (i32.const 2)))
    (func $subscribe (param $at i32) (param $data i64) (param $kind i32) (param $fd i32) (param $time i64)
        (i64.store (local.get $at) (local.get $data))
        (i32.store8 offset=8 (local.get $at) (local.get $kind))
        (i32.store offset=16 (local.get $at) (local.get $fd))
        (i64.store offset=24 (local.get $at) (local.get $time)))
    (func $events (local $at i32)
        (call $digit (call $poll (i32.const 1024) (i32.const 2048) (i32.const 5) (i32.const 92)) (i32.const 58))
        (local.set $at (i32.const 2048))
        (loop $next
            (if (i32.load (i32.const 92)) (then
                (call $digit (i32.load8_u (local.get $at)) (i32.const 32))
                (call $digit (i32.load8_u offset=10 (local.get $at)) (i32.const 32))
                (call $digit (i32.load8_u offset=24 (local.get $at)) (i32.const 59))
                (local.set $at (i32.add (local.get $at) (i32.const 32)))
                (i32.store (i32.const 92) (i32.sub (i32.load (i32.const 92)) (i32.const 1)))
                (br $next))))
        (call $digit (i32.const 0) (i32.const 10)))
    (func (export "_start") (local $fd i32)
        (call $print (i32.const 100) (i32.const 26))
        (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 10) (i32.const 0)
            (i64.const 0x1fffffff) (i64.const 0) (i32.const 0) (i32.const 72)))
        (local.set $fd (i32.load (i32.const 72)))
        (call $subscribe (i32.const 1024) (i64.const 1) (i32.const 1) (local.get $fd) (i64.const 0))
        (call $subscribe (i32.const 1072) (i64.const 2) (i32.const 2) (local.get $fd) (i64.const 0))
        (call $subscribe (i32.const 1120) (i64.const 3) (i32.const 0) (i32.const 1) (i64.const 0))
        (call $subscribe (i32.const 1168) (i64.const 4) (i32.const 0) (i32.const 1) (i64.const 3600000000000))
        (call $subscribe (i32.const 1216) (i64.const 5) (i32.const 1) (i32.const 0) (i64.const 0))
        (call $events)
        (i32.store (i32.const 80) (i32.const 4096))
        (i32.store (i32.const 84) (i32.const 100))
        (drop (call $read (local.get $fd) (i32.const 80) (i32.const 1) (i32.const 88)))
        (call $events)))"#;

/// POSIX `poll`: a regular file is always ready. Types are 0 for a timer, 1 for reading and 2 for writing; the flag is that of
/// the end.
#[test]
fn a_file_that_is_polled_is_ready_at_once_for_reading_and_writing() {
    let site = Site::new().text_module("/", POLLS, "volumes = { '/' = 'web' }");
    site.file("web/index.html", "<p>index</p>");
    let wagi = site.start(&[]);
    let answer = Connection::open(wagi.address()).get("/");
    // The request has no body, so its end is there.
    assert_eq!(answer.text(), "0:1 1 0;2 2 0;3 0 0;5 1 0;0\n0:1 1 1;2 2 0;3 0 0;5 1 0;0\n");
    // A client that sends nothing makes its guest wait for the file no longer.
    let mut connection = Connection::open(wagi.address());
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(connection.answer().text(), "0:1 1 0;2 2 0;3 0 0;0\n0:1 1 1;2 2 0;3 0 0;0\n");
}

/// A component of WASI 0.2 that opens the file `f` of its first volume until that fails, and then ends with an error.
const OPENS: &str = r#"(component
    (import "wasi:filesystem/types@0.2.0" (instance $types
        (export "descriptor" (type $d (sub resource)))
        (type $error_ (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist"
            "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io" "is-directory" "loop"
            "too-many-links" "message-size" "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory"
            "insufficient-space" "not-directory" "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device"
            "overflow" "not-permitted" "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
        (export "error-code" (type $error (eq $error_)))
        (type $path_ (flags "symlink-follow"))
        (export "path-flags" (type $path (eq $path_)))
        (type $open_ (flags "create" "directory" "exclusive" "truncate"))
        (export "open-flags" (type $open (eq $open_)))
        (type $flags_ (flags "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync"
            "mutate-directory"))
        (export "descriptor-flags" (type $flags (eq $flags_)))
        (export "[method]descriptor.open-at" (func (param "self" (borrow $d)) (param "path-flags" $path)
            (param "path" string) (param "open-flags" $open) (param "flags" $flags)
            (result (result (own $d) (error $error)))))))
    (alias export $types "descriptor" (type $descriptor))
    (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
        (alias outer 1 $descriptor (type $outer))
        (export "descriptor" (type $d (eq $outer)))
        (export "get-directories" (func (result (list (tuple (own $d) string)))))))
    (core module $libc
        (memory (export "memory") 1)
        (data (i32.const 64) "f")
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $next)
            (global.set $next (i32.add (global.get $next)
                (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
    (core instance $libc (instantiate $libc))
    (core func $directories (canon lower (func $preopens "get-directories")
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core func $open (canon lower (func $types "[method]descriptor.open-at") (memory (core memory $libc "memory"))))
    (core module $m
        (import "" "memory" (memory 1))
        (import "" "directories" (func $directories (param i32)))
        (import "" "open" (func $open (param i32 i32 i32 i32 i32 i32 i32)))
        (func (export "run") (result i32) (local $fd i32)
            (call $directories (i32.const 0))
            (local.set $fd (i32.load (i32.load (i32.const 0))))
            (loop $more
                (call $open (local.get $fd) (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 1)
                    (i32.const 80))
                (br_if $more (i32.eqz (i32.load8_u (i32.const 80)))))
            ;; insufficient-memory
            (if (i32.ne (i32.load8_u (i32.const 84)) (i32.const 22)) (then unreachable))
            (i32.const 1)))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $libc "memory"))
        (export "directories" (func $directories))
        (export "open" (func $open))))))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $cli (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $cli)))"#;

#[test]
fn a_component_that_opens_too_many_files_gets_an_error_and_goes_on() {
    let site = Site::new().text_module("/", OPENS, "volumes = { '/' = 'web' }");
    site.file("web/f", "");
    let wagi = site.start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/").status, 500);
    wagi.logged(&["end=exit", "the guest exited with code 1"]);
}
