//! Scratch directories: what a request may write there, and that nothing is left of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::{eventually, make_pipe};

/// A module that makes calls, and prints the error number of each in two digits. The names of files are letters. The scratch
/// directory is descriptor 3 unless `$directory` says otherwise. What is written has 64 KiB, or the length in `$length`.
fn calls(body: &str) -> String {
    let import = |name: &str, parameters: &str| {
        format!(r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {parameters}) (result i32)))"#)
    };
    let imports = [
        import("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
        import("fd_write", "i32 i32 i32 i32"),
        import("fd_pwrite", "i32 i32 i32 i64 i32"),
        import("fd_close", "i32"),
        import("fd_filestat_set_size", "i32 i64"),
        import("path_unlink_file", "i32 i32 i32"),
        import("path_create_directory", "i32 i32 i32"),
        import("path_symlink", "i32 i32 i32 i32 i32"),
        import("path_rename", "i32 i32 i32 i32 i32 i32"),
        import("path_link", "i32 i32 i32 i32 i32 i32 i32"),
        import("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
    ]
    .concat();
    format!(
        r#"(module {imports}
            (memory (export "memory") 4)
            (data (i32.const 0) "Content-Type: text/plain\n\n")
            (data (i32.const 1000) "abcdefghij.")
            (global $end (mut i32) (i32.const 26))
            (global $directory (mut i32) (i32.const 3))
            (global $length (mut i32) (i32.const 65536))
            (func $name (param $letter i32) (result i32) (i32.add (i32.const 1000) (local.get $letter)))
            (func $show (param $errno i32)
                (i32.store8 (global.get $end) (i32.add (i32.const 48) (i32.div_u (local.get $errno) (i32.const 10))))
                (i32.store8 offset=1 (global.get $end)
                    (i32.add (i32.const 48) (i32.rem_u (local.get $errno) (i32.const 10))))
                (i32.store8 offset=2 (global.get $end) (i32.const 32))
                (global.set $end (i32.add (global.get $end) (i32.const 3))))
            (func $open_with (param $letter i32) (param $flags i32) (param $mode i32) (result i32)
                (call $show (call $path_open (global.get $directory) (i32.const 0) (call $name (local.get $letter))
                    (i32.const 1) (local.get $flags) (i64.const -1) (i64.const -1) (local.get $mode) (i32.const 2000)))
                (i32.load (i32.const 2000)))
            (func $open (param $letter i32) (param $flags i32) (result i32)
                (call $open_with (local.get $letter) (local.get $flags) (i32.const 0)))
            (func $append (param $letter i32) (result i32)
                (call $open_with (local.get $letter) (i32.const 1) (i32.const 1)))
            (func $touch (param $letter i32)
                (call $show (call $path_filestat_set_times (global.get $directory) (i32.const 1)
                    (call $name (local.get $letter)) (i32.const 1) (i64.const 1000000000) (i64.const 1000000000) (i32.const 5))))
            (func $iovec (result i32)
                (i32.store (i32.const 2008) (i32.const 65536)) (i32.store (i32.const 2012) (global.get $length))
                (i32.const 2008))
            (func $create (param $letter i32) (result i32) (call $open (local.get $letter) (i32.const 1)))
            (func $write (param $fd i32)
                (call $show (call $fd_write (local.get $fd) (call $iovec) (i32.const 1) (i32.const 2016))))
            (func $write_at (param $fd i32) (param $offset i64)
                (call $show (call $fd_pwrite (local.get $fd) (call $iovec) (i32.const 1) (local.get $offset) (i32.const 2016))))
            (func $close (param $fd i32) (call $show (call $fd_close (local.get $fd))))
            (func $size (param $fd i32) (param $size i64)
                (call $show (call $fd_filestat_set_size (local.get $fd) (local.get $size))))
            (func $unlink (param $letter i32)
                (call $show (call $path_unlink_file (global.get $directory) (call $name (local.get $letter)) (i32.const 1))))
            (func $mkdir (param $letter i32)
                (call $show (call $path_create_directory (global.get $directory) (call $name (local.get $letter)) (i32.const 1))))
            (func $symlink (param $letter i32)
                (call $show (call $path_symlink (call $name (i32.const 0)) (i32.const 1) (global.get $directory)
                    (call $name (local.get $letter)) (i32.const 1))))
            (func $rename (param $letter i32) (param $to i32) (param $other i32)
                (call $show (call $path_rename (global.get $directory) (call $name (local.get $letter)) (i32.const 1)
                    (local.get $to) (call $name (local.get $other)) (i32.const 1))))
            (func $link (param $letter i32) (param $to i32) (param $other i32)
                (call $show (call $path_link (global.get $directory) (i32.const 0) (call $name (local.get $letter))
                    (i32.const 1) (local.get $to) (call $name (local.get $other)) (i32.const 1))))
            (func $print
                (i32.store (i32.const 2008) (i32.const 0)) (i32.store (i32.const 2012) (global.get $end))
                (drop (call $fd_write (i32.const 1) (i32.const 2008) (i32.const 1) (i32.const 2016))))
            (func (export "_start") (local $a i32) (local $b i32) {body} (call $print)))"#
    )
}

/// A server whose scratch directories lie in its site, with one module.
pub fn serving(body: &str, volumes: &str, keys: &str, top: &str) -> Wagi {
    let site = Site::new();
    let directory = site.path().join("scratch");
    let top = format!("[server]\nscratch_directory = '{}'\n{top}", directory.display());
    site.top(&top).text_module("/", &calls(body), &format!("volumes = {{ {volumes} }}\n{keys}")).start(&[])
}

/// The directories of requests, of all processes.
pub fn left(wagi: &Wagi) -> Vec<String> {
    let processes = fs::read_dir(wagi.directory().join("scratch")).expect("a directory");
    let inner = processes.flat_map(|process| fs::read_dir(process.expect("readable").path()).expect("a directory"));
    let names = inner.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.starts_with("empty-")).collect()
}

/// The error numbers of all calls, and that nothing is left of the request.
#[track_caller]
pub fn errors(wagi: &Wagi) -> String {
    let answer = Connection::open(wagi.address()).get("/");
    assert_eq!(answer.status, 200);
    eventually(|| left(wagi).is_empty().then_some(()));
    answer.text().trim_end().to_owned()
}

pub const SCRATCH: &str = "'/tmp' = { scratch = '256KiB' }";

#[test]
fn a_file_grows_to_the_size_of_its_directory_and_writes_beyond_it_get_enospc() {
    let body = "(local.set $a (call $create (i32.const 0)))
        (call $write (local.get $a)) (call $write (local.get $a)) (call $write (local.get $a)) (call $write (local.get $a))
        (call $write (local.get $a))
        (call $size (local.get $a) (i64.const 262145)) (call $size (local.get $a) (i64.const 100000))
        (call $write_at (local.get $a) (i64.const 200000)) (call $write_at (local.get $a) (i64.const 0))
        (call $close (local.get $a)) (call $unlink (i32.const 0))
        (local.set $b (call $create (i32.const 1))) (call $size (local.get $b) (i64.const 262144))
        (call $size (local.get $b) (i64.const -1))";
    let wagi = serving(body, SCRATCH, "", "");
    for _ in 0..2 {
        assert_eq!(errors(&wagi), "00 00 00 00 00 51 51 00 51 00 00 00 00 00 51");
    }
}

/// Linux appends at any offset.
#[test]
fn a_write_at_an_offset_of_a_file_that_is_appended_to_makes_it_longer() {
    let body = "(local.set $a (call $append (i32.const 0)))
        (call $write_at (local.get $a) (i64.const 0)) (call $write_at (local.get $a) (i64.const 0))
        (call $write_at (local.get $a) (i64.const 0)) (call $write_at (local.get $a) (i64.const 0))
        (call $write_at (local.get $a) (i64.const 0)) (call $write (local.get $a))";
    assert_eq!(errors(&serving(body, SCRATCH, "", "")), "00 00 00 00 00 51 51");
}

/// A file system that is full says so of new names only.
#[test]
fn a_name_that_is_there_is_eexist_when_there_may_be_no_more() {
    let body = "(call $mkdir (i32.const 0)) (call $close (call $create (i32.const 1)))
        (call $mkdir (i32.const 0)) (call $symlink (i32.const 1)) (call $link (i32.const 1) (i32.const 3) (i32.const 0))
        (call $mkdir (i32.const 2))";
    let volumes = "'/tmp' = { scratch = '1MiB', files = 2 }";
    assert_eq!(errors(&serving(body, volumes, "", "")), "00 00 00 20 20 20 51");
}

#[test]
fn the_times_of_an_empty_directory_are_those_of_the_request() {
    let wagi = serving("(call $touch (i32.const 10))", SCRATCH, "", "");
    assert_eq!(errors(&wagi), "00");
    let processes = fs::read_dir(wagi.directory().join("scratch")).expect("a directory");
    let inner = processes.flat_map(|process| fs::read_dir(process.expect("readable").path()).expect("a directory"));
    let empty: Vec<_> = inner.map(|entry| entry.expect("readable").path()).collect();
    assert!(!empty.is_empty());
    for path in empty {
        let modified = fs::metadata(path).expect("it is there").modified().expect("a time");
        assert!(modified.elapsed().is_ok_and(|age| age.as_secs() < 1000), "nothing of the request");
    }
}

/// POSIX. Two mounts of the same file system are such, too.
#[test]
fn a_file_cannot_be_moved_to_a_volume_on_another_file_system() {
    let memory = tempfile::tempdir_in("/dev/shm").expect("there is memory for files");
    let body = "(call $close (call $create (i32.const 0)))
        (call $rename (i32.const 0) (i32.const 4) (i32.const 0)) (call $link (i32.const 0) (i32.const 4) (i32.const 0))
        (call $rename (i32.const 1) (i32.const 4) (i32.const 0)) (call $rename (i32.const 0) (i32.const 3) (i32.const 1))";
    let site = Site::new();
    fs::create_dir(site.path().join("one")).expect("writable");
    let volumes = format!("volumes = {{ '/one' = 'one', '/two' = '{}' }}", memory.path().display());
    let wagi = site.text_module("/", &calls(body), &volumes).start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/").text().trim_end(), "00 00 75 75 75 00");
}

/// The host opens a file for that.
#[test]
fn the_times_of_a_pipe_are_not_set_and_nothing_waits() {
    let site = Site::new();
    fs::create_dir(site.path().join("one")).expect("writable");
    make_pipe(&site.path().join("one/a"));
    let body = "(call $touch (i32.const 0)) (call $close (call $create (i32.const 1))) (call $touch (i32.const 1))";
    let wagi = site.text_module("/", &calls(body), "volumes = { '/one' = 'one' }").start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/").text().trim_end(), "02 00 00 00");
}

#[test]
fn a_file_without_a_name_counts_until_it_is_closed() {
    let body = "(local.set $a (call $create (i32.const 0))) (call $size (local.get $a) (i64.const 262144))
        (call $unlink (i32.const 0))
        (local.set $b (call $create (i32.const 1))) (call $write (local.get $b))
        (call $close (local.get $a)) (call $write (local.get $b))";
    assert_eq!(errors(&serving(body, SCRATCH, "", "")), "00 00 00 00 51 00 00");
}

#[test]
fn the_number_of_files_directories_and_links_is_limited() {
    let body = "(call $close (call $create (i32.const 0))) (call $mkdir (i32.const 1)) (call $symlink (i32.const 2))
        (drop (call $create (i32.const 3))) (call $mkdir (i32.const 4)) (call $symlink (i32.const 5))
        (call $link (i32.const 0) (i32.const 3) (i32.const 6))
        (call $unlink (i32.const 0)) (call $mkdir (i32.const 4))";
    let volumes = "'/tmp' = { scratch = '1MiB', files = 3 }";
    assert_eq!(errors(&serving(body, volumes, "", "")), "00 00 00 00 51 51 51 51 00 00");
}

#[test]
fn what_is_looked_for_and_not_created_is_not_there() {
    let body = "(drop (call $open (i32.const 0) (i32.const 0))) (call $unlink (i32.const 0))
        (call $rename (i32.const 0) (i32.const 3) (i32.const 1))";
    assert_eq!(errors(&serving(body, SCRATCH, "", "")), "44 44 44");
}

#[test]
fn two_scratch_directories_are_two_file_systems() {
    let body = "(call $close (call $create (i32.const 0)))
        (call $rename (i32.const 0) (i32.const 4) (i32.const 0)) (call $link (i32.const 0) (i32.const 4) (i32.const 0))
        (global.set $directory (i32.const 4)) (drop (call $open (i32.const 0) (i32.const 0)))
        (local.set $a (call $create (i32.const 0))) (call $write (local.get $a))";
    let volumes = "'/one' = { scratch = '64KiB' }, '/two' = { scratch = '32KiB' }";
    assert_eq!(errors(&serving(body, volumes, "", "")), "00 00 75 75 44 00 51");
}

#[test]
fn all_scratch_directories_together_are_limited() {
    let body = "(local.set $a (call $create (i32.const 0))) (call $write (local.get $a)) (call $write (local.get $a))
        (call $write (local.get $a))";
    let wagi = serving(body, SCRATCH, "", "scratch_total = '128KiB'");
    for _ in 0..3 {
        assert_eq!(errors(&wagi), "00 00 00 51");
    }
}

const SPINNING: &str =
    "(local.set $a (call $create (i32.const 0))) (call $write (local.get $a)) (loop $again (br $again))";

#[test]
fn nothing_is_left_of_a_guest_that_its_limit_ends() {
    let wagi = serving(SPINNING, SCRATCH, "limits = { cpu_time = '100ms', time_to_head = '10m' }", "");
    assert_eq!(Connection::open(wagi.address()).get("/").status, 504);
    eventually(|| left(&wagi).is_empty().then_some(()));
}

#[test]
fn a_start_removes_what_a_killed_server_has_left_and_nothing_of_one_that_runs() {
    let limits = "limits = { cpu_time = '10m', time_to_head = '10m' }";
    let mut wagi = serving(SPINNING, SCRATCH, limits, "");
    let _connection = Connection::begin(wagi.address(), "/");
    eventually(|| (!left(&wagi).is_empty()).then_some(()));
    let start = || {
        let mut command = crate::support::process::command(wagi.directory());
        Wagi::spawn(command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]))
    };
    let _beside = start();
    assert!(!left(&wagi).is_empty(), "its process runs");
    wagi.signal("KILL");
    wagi.ended();
    assert!(!left(&wagi).is_empty(), "nobody could remove it");
    let mut command = crate::support::process::command(wagi.directory());
    let _next = Wagi::spawn(command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]));
    assert!(left(&wagi).is_empty());
}

#[test]
fn a_directory_for_checkpoints_is_gone_after_the_start_and_after_a_start_that_was_killed() {
    let names = |directory: &Path| {
        let found = fs::read_dir(directory).expect("a directory");
        found.map(|entry| entry.expect("readable").path()).collect::<Vec<_>>()
    };
    let site = Site::new().text_module("/", &calls(""), "warm_start = true");
    let temporary = site.path().join("temporary");
    fs::create_dir(&temporary).expect("writable");
    let place = temporary.join(format!("wagi-scratch-{}", rustix::process::geteuid().as_raw()));
    let mut wagi = site.start_with(&[], &[("TMPDIR", temporary.to_str().expect("text"))]);
    let own = names(&place).pop().expect("that of the process");
    assert!(names(&own).is_empty());
    assert!(!names(&temporary).iter().any(|path| path.to_string_lossy().contains("empty")));
    wagi.signal("KILL");
    wagi.ended();
    // As if it had been killed some milliseconds earlier.
    fs::create_dir(own.join("empty-0")).expect("writable");
    let mut command = crate::support::process::command(wagi.directory());
    command.args(["-l", "127.0.0.1:0", "-c", "modules.toml"]).env("TMPDIR", &temporary);
    let _next = Wagi::spawn(&mut command);
    assert!(!own.exists());
    assert_eq!(names(&place).len(), 1);
}

/// The problems of a start.
fn refused(site: Site, keys: &str, component: bool) -> String {
    let component_text = r#"(component (core module $m (func (export "run") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m)) (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $run (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $run)))"#;
    let text = if component { component_text.to_owned() } else { calls("") };
    let output = site.text_module("/", &text, keys).run(&["--check"]);
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_place_that_others_may_use_and_a_component_are_refused() {
    let site = Site::new();
    let shared = site.path().join("shared");
    fs::create_dir(&shared).expect("writable");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let top = |directory: &Path| format!("[server]\nscratch_directory = '{}'", directory.display());
    let own = site.path().join("own");
    let said = refused(site.top(&top(&shared)), &format!("volumes = {{ {SCRATCH} }}"), false);
    for part in ["no place for scratch directories", "mode is 755", "scratch_directory", "modules.toml:"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let said = refused(Site::new().top(&top(&own)), &format!("volumes = {{ {SCRATCH} }}"), true);
    assert!(said.contains("scratch directories are for modules"), "{said}");
}
