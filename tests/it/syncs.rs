//! What a guest brings to the disk, and renames: which calls of the system that becomes.

use std::fs;
use std::process::Command;

use crate::support::eventually;
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;

/// Makes the file `f`, brings it and its directory to the disk, and calls it `g`. Prints an X for each call that succeeds.
const MODULE: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_sync" (func $sync (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_datasync" (func $datasync (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_rename" (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\08\00\00\00\1a\00\00\00")
    (data (i32.const 8) "Content-Type: text/plain\n\n")
    (data (i32.const 100) "fg")
    (func $show (param $errno i32)
        (i32.store8 (i32.add (i32.const 8) (i32.load (i32.const 4)))
            (i32.add (i32.const 88) (local.get $errno)))
        (i32.store (i32.const 4) (i32.add (i32.load (i32.const 4)) (i32.const 1))))
    (func (export "_start") (local $f i32)
        (call $show (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 1) (i64.const -1)
            (i64.const -1) (i32.const 0) (i32.const 200)))
        (local.set $f (i32.load (i32.const 200)))
        (call $show (call $sync (local.get $f)))
        (call $show (call $datasync (local.get $f)))
        (call $show (call $sync (i32.const 3)))
        (call $show (call $datasync (i32.const 3)))
        (call $show (call $rename (i32.const 3) (i32.const 100) (i32.const 1) (i32.const 3) (i32.const 101) (i32.const 1)))
        ;; Standard output is no file, and 99 is nothing.
        (call $show (i32.sub (call $sync (i32.const 99)) (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 300)))))"#;

/// Brings its volume and a file in it to the disk. Ends well if both succeed.
const COMPONENT: &str = r#"(component
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
        (export "[method]descriptor.sync" (func (param "self" (borrow $d)) (result (result (error $error)))))
        (export "[method]descriptor.sync-data" (func (param "self" (borrow $d)) (result (result (error $error)))))
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
    (core func $sync (canon lower (func $types "[method]descriptor.sync") (memory (core memory $libc "memory"))))
    (core func $data (canon lower (func $types "[method]descriptor.sync-data") (memory (core memory $libc "memory"))))
    (core module $m
        (import "" "memory" (memory 1))
        (import "" "directories" (func $directories (param i32)))
        (import "" "open" (func $open (param i32 i32 i32 i32 i32 i32 i32)))
        (import "" "sync" (func $sync (param i32 i32)))
        (import "" "data" (func $data (param i32 i32)))
        (func $done (if (i32.load8_u (i32.const 80)) (then unreachable)))
        (func (export "run") (result i32) (local $volume i32) (local $f i32)
            (call $directories (i32.const 0))
            (local.set $volume (i32.load (i32.load (i32.const 0))))
            (call $open (local.get $volume) (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 1) (i32.const 3)
                (i32.const 80))
            (call $done)
            (local.set $f (i32.load (i32.const 84)))
            (call $sync (local.get $f) (i32.const 80)) (call $done)
            (call $data (local.get $f) (i32.const 80)) (call $done)
            (call $sync (local.get $volume) (i32.const 80)) (call $done)
            (i32.const 1)))
    (core instance $i (instantiate $m (with "" (instance
        (export "memory" (memory $libc "memory"))
        (export "directories" (func $directories))
        (export "sync" (func $sync))
        (export "data" (func $data))
        (export "open" (func $open))))))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $cli (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $cli)))"#;

/// Asks a guest once. Returns what it printed, and its calls of the system, as `fsync(/f)`.
#[track_caller]
fn traced(guest: &str, least: usize) -> (u16, String, Vec<String>) {
    let site = Site::new().text_module("/", guest, "volumes = { '/' = 'data' }");
    fs::create_dir(site.path().join("data")).expect("writable");
    site.write();
    let trace = site.path().join("trace");
    let mut strace = Command::new("strace");
    // -D: the server itself is the child of this process. -y: with the path of each descriptor.
    strace.args(["-D", "-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o"]).arg(&trace);
    strace.arg(env!("CARGO_BIN_EXE_wagi")).args(["-l", "127.0.0.1:0", "-c", "modules.toml"]);
    let wagi = Wagi::spawn(strace.current_dir(site.path()).env("XDG_CACHE_HOME", site.path()));
    let answer = Connection::open(wagi.address()).get("/");
    let data = site.path().canonicalize().expect("it is there").join("data");
    let calls = eventually(|| {
        let text = fs::read_to_string(&trace).expect("strace writes it");
        let lines = text.lines().filter(|line| line.contains(&data.display().to_string()));
        let calls: Vec<_> = lines.filter_map(|line| call(line, &data.display().to_string())).collect();
        (calls.len() >= least).then_some(calls)
    });
    (answer.status, answer.text(), calls)
}

/// What succeeded, without process, descriptors and the path of the volume.
fn call(line: &str, data: &str) -> Option<String> {
    let (_, call) = line.split_once(' ')?;
    let (call, result) = call.rsplit_once(" = ")?;
    assert_eq!(result, "0", "{line}");
    let call: String = call.trim().replace(data, "").split('<').map(without_number).collect();
    Some(call.replace('>', ""))
}

fn without_number(part: &str) -> &str {
    part.trim_end_matches(|c: char| c.is_ascii_digit())
}

#[test]
#[ignore = "needs strace"]
fn what_a_module_syncs_is_brought_to_the_disk_files_and_directories_and_a_rename_is_one() {
    for name in ["wasi_snapshot_preview1", "wasi_unstable"] {
        let (_, printed, calls) = traced(&MODULE.replace("wasi_snapshot_preview1", name), 5);
        assert_eq!(printed, "XXXXXXX", "{name}");
        assert_eq!(calls[..2], ["fsync(/f)", "fdatasync(/f)"], "{name}");
        assert_eq!(calls[2..4], ["fsync()", "fsync()"], "{name}");
        assert!(
            matches!(&calls[4..], [one] if one.starts_with("rename") && one.contains("\"f\"") && one.contains("\"g\"")),
            "{calls:?}"
        );
    }
}

#[test]
#[ignore = "needs strace"]
fn what_a_component_syncs_is_brought_to_the_disk_too() {
    let (status, _, calls) = traced(COMPONENT, 3);
    // It prints no head, and ends with an error of its own behind its last call.
    assert_eq!((status, &calls[..]), (500, &["fsync(/f)", "fdatasync(/f)", "fsync()"].map(str::to_owned)[..]));
}
