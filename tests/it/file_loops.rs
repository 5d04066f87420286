//! Guests that use files without end, that yield without end, or whose files hang: what they cost the others.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::neighbours::{hello, share_beside_loops, throughput};
use crate::support::guest::{component, probe};
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::{PATIENCE, alone, eventually, make_pipe};

/// A module that opens the file `f` of its first volume and then makes one call without end.
fn loops_over(name: &str, parameters: &str, call: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "{name}" (func $call (param {parameters}) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "f")
            (data (i32.const 16) "\00\01\00\00\00\10\00\00")
            (func (export "_start") (local $fd i32)
                (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0)
                    (i64.const 0x1fffffff) (i64.const 0) (i32.const 0) (i32.const 8)))
                (local.set $fd (i32.load (i32.const 8)))
                (loop (drop (call $call {call})) (br 0))))"#
    )
}

/// A component of `version` of WASI that asks without end whether its first volume is itself.
fn component_loops(version: &str) -> String {
    let (kind, lift) = match version.starts_with("0.3") {
        true => ("async", "async (callback (core func $i \"cb\"))"),
        false => ("", ""),
    };
    format!(
        r#"(component
            (import "wasi:filesystem/types@{version}" (instance $types
                (export "descriptor" (type $d (sub resource)))
                (export "[method]descriptor.is-same-object"
                    (func {kind} (param "self" (borrow $d)) (param "other" (borrow $d)) (result bool)))))
            (alias export $types "descriptor" (type $descriptor))
            (import "wasi:filesystem/preopens@{version}" (instance $preopens
                (alias outer 1 $descriptor (type $outer))
                (export "descriptor" (type $d (eq $outer)))
                (export "get-directories" (func (result (list (tuple (own $d) string)))))))
            (core module $libc
                (memory (export "memory") 1)
                (global $next (mut i32) (i32.const 1024))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (global.get $next)
                    (global.set $next (i32.add (global.get $next)
                        (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))))
            (core instance $libc (instantiate $libc))
            (core func $directories (canon lower (func $preopens "get-directories")
                (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
            (core func $same (canon lower (func $types "[method]descriptor.is-same-object")))
            (core module $m
                (import "" "memory" (memory 1))
                (import "" "directories" (func $directories (param i32)))
                (import "" "same" (func $same (param i32 i32) (result i32)))
                (func (export "cb") (param i32 i32 i32) (result i32) (i32.const 0))
                (func (export "run") (result i32) (local $fd i32)
                    (call $directories (i32.const 0))
                    (local.set $fd (i32.load (i32.load (i32.const 0))))
                    (loop (drop (call $same (local.get $fd) (local.get $fd))) (br 0))
                    (i32.const 0)))
            (core instance $i (instantiate $m (with "" (instance
                (export "memory" (memory $libc "memory"))
                (export "directories" (func $directories))
                (export "same" (func $same))))))
            (func $run {kind} (result (result)) (canon lift (core func $i "run") {lift}))
            (instance $cli (export "run" (func $run)))
            (export "wasi:cli/run@{version}" (instance $cli)))"#
    )
}

/// A component of WASI 0.3 that yields without end.
const YIELDS: &str = r#"(component
    (core module $m
        (func (export "cb") (param i32 i32 i32) (result i32) (i32.const 1))
        (func (export "run") (result i32) (i32.const 1)))
    (core instance $i (instantiate $m))
    (func $run async (result (result)) (canon lift (core func $i "run") async (callback (core func $i "cb"))))
    (instance $cli (export "run" (func $run)))
    (export "wasi:cli/run@0.3.0" (instance $cli)))"#;

/// Every kind of loop at a route `/spin/...` of its own, and the routes.
fn loops(limits: &str) -> (Site, Vec<String>) {
    let fd = "(local.get $fd)";
    let modules = [
        loops_over(
            "path_filestat_get",
            "i32 i32 i32 i32 i32",
            "(i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 512)",
        ),
        loops_over(
            "fd_readdir",
            "i32 i32 i32 i64 i32",
            "(i32.const 3) (i32.const 512) (i32.const 4096) (i64.const 0) (i32.const 24)",
        ),
        loops_over(
            "fd_pread",
            "i32 i32 i32 i64 i32",
            &format!("{fd} (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 24)"),
        ),
        loops_over(
            "fd_pwrite",
            "i32 i32 i32 i64 i32",
            &format!("{fd} (i32.const 16) (i32.const 1) (i64.const 0) (i32.const 24)"),
        ),
        loops_over(
            "path_open",
            "i32 i32 i32 i32 i32 i64 i64 i32 i32",
            "(i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0)
                (i32.const 8)",
        ),
        component_loops("0.2.0"),
        component_loops("0.3.0"),
        YIELDS.to_owned(),
    ];
    let mut site = Site::new().text_module("/hello", &hello(), "");
    site.file("volume/f", [0; 8192]);
    let mut routes = Vec::new();
    for (index, text) in modules.iter().enumerate() {
        let keys = format!("volumes = {{ '/' = 'volume' }}\nlimits = {{ time_to_head = '10m', {limits} }}");
        routes.push(format!("/spin/{index}"));
        site = site.text_module(&routes[index], text, &keys);
    }
    (site, routes)
}

#[test]
fn guests_that_use_files_or_yield_for_ever_leave_a_hello_its_speed() {
    let _alone = alone();
    let (site, routes) = loops("cpu_time = '1500ms'");
    let wagi = site.start(&[]);
    throughput(wagi.address(), Duration::from_millis(300));
    assert!(
        (0..3).any(|_| share_beside_loops(&wagi, &routes) >= 0.5),
        "loops take a hello more than half of its speed"
    );
    wagi.quiet();
}

#[test]
fn guests_that_use_files_or_yield_for_ever_end_at_their_limit() {
    let _alone = alone();
    let (site, routes) = loops("cpu_time = '1s'");
    let wagi = site.start(&[]);
    for route in &routes {
        let before = wagi.cpu_time();
        let mut connection = Connection::open(wagi.address());
        connection.stream().set_read_timeout(Some(10 * PATIENCE)).expect("a timeout is allowed");
        assert_eq!(connection.get(route).status, 504, "{route}: {}", wagi.log());
        let used = wagi.cpu_time() - before;
        eprintln!("{route}: {used:?}");
        wagi.logged(&["used up its CPU time", &format!("route=\"{route}\"")]);
        assert!(used > Duration::from_millis(900) && used < Duration::from_millis(1200), "{route}: {used:?}");
    }
}

#[test]
fn only_regular_files_and_directories_can_be_opened() {
    let volumes = "volumes = { '/' = 'volume' }";
    let site = Site::new()
        .module("/module/...", &probe(), volumes)
        .module("/p2/...", &component("http-probe.wasm"), volumes)
        .module("/p3/...", &component("cli3-probe.wasm"), volumes);
    site.file("volume/regular", "content");
    let volume = site.path().join("volume");
    make_pipe(&volume.join("there.txt"));
    symlink("there.txt", volume.join("link")).expect("a link can be made");
    let _socket = UnixListener::bind(volume.join("socket")).expect("a socket can be made");
    let wagi = site.start(&[]);
    let get = |target: &str| Connection::open(wagi.address()).get(target).text();
    for name in ["there.txt", "link", "socket"] {
        let opened = get(&format!("/module/open-escape?/{name}"));
        assert!(opened.starts_with("by name: Permission denied"), "{name}: {opened}");
        let opened = get(&format!("/p2/file?/{name}"));
        assert!(opened == "PermissionDenied\n", "{name}: {opened}");
    }
    assert!(get("/module/open-escape?/regular").contains("content"));
    assert!(get("/p2/file?/regular").contains("content"));
    let opened = get("/p3/files");
    assert!(opened.starts_with("/ Err(ErrorCode::Access) Ok(())"), "{opened}");
}

/// Holds a lease on a file: to open the file takes as long as this lives, or 45 s, as on a file server that does not answer.
struct Lease(Child);

impl Lease {
    fn on(path: &Path) -> Self {
        const SCRIPT: &str = "import fcntl, os, signal, sys\n\
            signal.signal(signal.SIGIO, signal.SIG_IGN)\n\
            file = os.open(sys.argv[1], os.O_RDWR)\n\
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n\
            print('held', flush=True)\n\
            sys.stdin.read()";
        let mut holder = Command::new("python3")
            .args(["-c", SCRIPT])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is python3");
        let mut line = String::new();
        let printed = BufReader::new(holder.stdout.take().expect("it is piped")).read_line(&mut line);
        assert_eq!((printed.expect("a line"), line.as_str()), (5, "held\n"), "the file system has leases");
        Self(holder)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(wagi: &Wagi, target: &str) -> Connection {
    let mut connection = Connection::open(wagi.address());
    connection.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    connection
}

#[test]
fn files_that_hang_keep_few_threads_and_nobody_else_from_files() {
    let _alone = alone();
    let site = Site::new()
        .module(
            "/hangs/...",
            &probe(),
            "volumes = { '/' = 'hangs' }\nlimits = { time_to_head = '2s', concurrency = 64 }",
        )
        .module("/works/...", &probe(), "volumes = { '/' = 'works' }")
        .module("/p2/...", &component("http-probe.wasm"), "volumes = { '/' = 'works' }");
    site.file("hangs/f", "came back");
    site.file("hangs/g", "another");
    site.file("works/f", "content");
    let path = site.path().join("hangs/f");
    let wagi = site.start(&[]);
    let works = |wagi: &Wagi| {
        assert_eq!(Connection::open(wagi.address()).get("/works/files/f").text(), "content");
        assert_eq!(Connection::open(wagi.address()).get("/p2/file?/f").text(), "content");
    };
    works(&wagi);
    let threads = wagi.threads();
    let lease = Lease::on(&path);
    let mut hanging: Vec<Connection> = (0..40).map(|_| ask(&wagi, "/hangs/files/f")).collect();
    works(&wagi);
    for connection in &mut hanging {
        assert_eq!(connection.answer().status, 504);
    }
    works(&wagi);
    assert!(wagi.threads() <= threads + 16, "{threads} threads before, {} now", wagi.threads());
    // As soon as the threads count as lost, nobody waits for these files.
    let refused = eventually(|| {
        let answer = Connection::open(wagi.address()).get("/hangs/files/g");
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(refused.header("retry-after"), Some("1"));
    let line = wagi.logged(&["/hangs/files/g", "503"]);
    assert!(line.contains("end=busy"), "{line}");
    assert!(line.contains("reason=\"operations on files of the module's volumes hang\""), "{line}");
    works(&wagi);
    drop(lease);
    eventually(|| (Connection::open(wagi.address()).get("/hangs/files/g").text() == "another").then_some(()));
    assert_eq!(Connection::open(wagi.address()).get("/hangs/files/f").text(), "came back");
    eventually(|| (wagi.threads() <= threads + 8).then_some(()));
}
