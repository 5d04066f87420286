//! Guests that use files without end, that yield without end, or whose files hang: what they cost the others.

pub mod guests;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::guest::{component, hello, probe};
use crate::support::http1::Connection;
use crate::support::process::{Ending, Wagi};
use crate::support::site::Site;
use crate::support::{alone, at_leisure, eventually, make_pipe};

/// Every kind of loop at a route `/spin/...` of its own, and the routes.
fn loops(limits: &str) -> (Site, Vec<String>) {
    let mut site = Site::new().text_module("/hello", &hello(), "");
    site.file("volume/f", [0; 8192]);
    let keys = format!("volumes = {{ '/' = 'volume' }}\nlimits = {{ time_to_head = '10m', {limits} }}");
    let mut routes = Vec::new();
    for (name, text) in guests::all() {
        let route = format!("/spin/{name}");
        site = site.text_module(&route, &text, &keys);
        routes.push(route);
    }
    (site, routes)
}

#[test]
fn guests_that_use_files_or_yield_for_ever_compute_on_few_threads_of_the_lowest_priority() {
    let _alone = alone();
    let (site, routes) = loops("cpu_time = '200ms'");
    let wagi = site.start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/hello").body, b"hello");
    let (threads, before) = (wagi.threads(), wagi.cpu_times());
    let mut looping: Vec<Connection> = routes.iter().map(|route| Connection::begin(wagi.address(), route)).collect();
    at_leisure(|| (wagi.cpu_times().lowest > before.lowest + Duration::from_millis(300)).then_some(()));
    for _ in 0..20 {
        assert_eq!(Connection::open(wagi.address()).get("/hello").body, b"hello");
    }
    assert!(!wagi.log().contains("GET /spin"), "all loop until here: {}", wagi.log());
    assert!(wagi.threads() <= threads + 16, "{threads} threads before, {} beside loops", wagi.threads());
    for (connection, route) in looping.iter_mut().zip(&routes) {
        assert_eq!(connection.answer().status, 504, "{route}");
    }
    let after = wagi.cpu_times();
    let (normal, lowest) = (after.normal - before.normal, after.lowest - before.lowest);
    // 40 ms of each, and what the server does for it, of which it does more while others compute.
    let count = u32::try_from(routes.len()).expect("few");
    assert!(normal < count * Duration::from_millis(200), "{normal:?} at normal priority, {lowest:?} at the lowest");
}

#[test]
fn guests_that_use_files_or_yield_for_ever_end_at_their_limit() {
    let _alone = alone();
    let (site, routes) = loops("cpu_time = '300ms'");
    let wagi = site.start(&[]);
    for route in &routes {
        let before = wagi.cpu_times();
        assert_eq!(Connection::begin(wagi.address(), route).answer().status, 504, "{route}: {}", wagi.log());
        let after = wagi.cpu_times();
        let (normal, lowest) = (after.normal - before.normal, after.lowest - before.lowest);
        eprintln!("{route}: {normal:?} and {lowest:?}");
        wagi.logged(&["used up its CPU time", &format!("route=\"{route}\"")]);
        let used = normal + lowest;
        // The system counts in steps of 10 ms, and what the server does for the request counts too.
        assert!(used > Duration::from_millis(260) && used < Duration::from_millis(500), "{route}: {used:?}");
        assert!(normal < Duration::from_millis(250), "{route}: {normal:?}");
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
struct Lease {
    _holder: Ending,
}

impl Lease {
    fn on(path: &Path) -> Self {
        const SCRIPT: &str = "import fcntl, os, signal, sys\n\
            signal.signal(signal.SIGIO, signal.SIG_IGN)\n\
            file = os.open(sys.argv[1], os.O_RDWR)\n\
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)\n\
            print('held', flush=True)\n\
            sys.stdin.read()";
        let holder = Command::new("python3")
            .args(["-c", SCRIPT])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is python3");
        let mut holder = Ending(holder);
        let mut line = String::new();
        let printed = BufReader::new(holder.0.stdout.take().expect("it is piped")).read_line(&mut line);
        assert_eq!((printed.expect("a line"), line.as_str()), (5, "held\n"), "the file system has leases");
        Self { _holder: holder }
    }
}

#[test]
fn files_that_hang_keep_few_threads_and_no_others_from_files() {
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
    let mut hanging: Vec<Connection> = (0..40).map(|_| Connection::begin(wagi.address(), "/hangs/files/f")).collect();
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
