//! Components of WASI 0.3, over HTTP and through `wasi:cli`.

use bytes::Bytes;
use http::Request;

use crate::file_loops::guests::ComponentCall;
use crate::support::guest::component;
use crate::support::harness::{Running, Test};
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::upstream::{Upstream, reply};
use crate::support::{eventually, http2};

async fn started(keys: &str) -> Running {
    Test::new().file_module("/p/...", &component("http3-probe.wasm"), keys).start().await
}

#[tokio::test]
async fn a_component_sees_the_request_and_answers() {
    let running = started("").await;
    let request = Request::put("/p/request?a").header("host", "example.org:81").body(Bytes::new()).unwrap();
    assert_eq!(running.send(request).await.text(), "Method::Put Some(Scheme::Http) example.org:81 /p/request?a\n");
    let body: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    assert!(running.post("/p/echo", body.clone()).await.body == body, "the body comes back changed");
    assert_eq!(running.post("/p/echo", "").await.text(), "");
}

#[test]
fn pieces_arrive_one_by_one() {
    let wagi = Site::new().module("/p/...", &component("http3-probe.wasm"), "").start(&[]);
    let mut connection = Connection::begin(wagi.address(), "/p/pieces?40");
    assert_eq!(connection.head().status, 200);
    let pieces: String = (0..40).map(|piece| format!("piece {piece}\n")).collect();
    let chunks = connection.chunks();
    // A busy machine may send some of them together, but not all.
    assert!(chunks.len() > 1 && chunks.concat() == pieces.as_bytes(), "{chunks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_reach_http_2_clients() {
    let wagi = Site::new().module("/p/...", &component("http3-probe.wasm"), "").start(&[]);
    let mut connection = http2::Connection::open(wagi.address()).await;
    for pieces in [0, 3] {
        let (answer, _stream) = connection.get(&format!("/p/pieces?{pieces}")).await;
        let (status, mut body) = http2::head(answer).await;
        let mut text = Vec::new();
        while let Some(piece) = http2::piece(&mut body).await {
            text.extend_from_slice(&piece.expect("a piece"));
        }
        assert_eq!((status, String::from_utf8_lossy(&text).lines().count()), (200, pieces));
        let trailers = body.trailers().await.expect("an end").expect("trailers");
        assert_eq!(trailers["x-after"], "1");
        let line = wagi.logged(&[&format!("/p/pieces?{pieces} ")]);
        assert!(line.contains("end=ok"), "{line}");
    }
}

#[test]
fn an_answer_is_over_with_its_trailers_whether_the_client_wants_them_or_not() {
    let wagi = Site::new().module("/p/...", &component("http3-probe.wasm"), "").start(&[]);
    for (target, fields) in [("/p/pieces?2", ""), ("/p/pieces?3", "TE: trailers\r\nConnection: te\r\n")] {
        let mut connection = Connection::open(wagi.address());
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
        connection.head();
        while connection.chunk().unwrap().is_some() {}
        let line = wagi.logged(&[target]);
        assert!(line.contains("end=ok"), "{line}");
    }
}

/// A command made of many parts, each of which waits for a minute by itself while the first waits for all.
fn waiting_everywhere(parts: usize) -> String {
    let clock = "(import \"wasi:clocks/monotonic-clock@0.3.0\" (instance $c
        (export \"wait-for\" (func async (param \"how-long\" u64)))))";
    let callback = "(func (export \"cb\") (param i32 i32 i32) (result i32) (i32.const 0))";
    let wait = "(call $wait (i64.const 60000000000))";
    let each = |text: &str| (0..parts).map(|part| text.replace('N', &part.to_string())).collect::<String>();
    let instances =
        each("(instance $pN (instantiate $part (with \"wasi:clocks/monotonic-clock@0.3.0\" (instance $c))))");
    let given = each("(with \"pN\" (func $pN \"go\"))");
    let taken = each("(import \"pN\" (func $pN async)) (core func $lN (canon lower (func $pN) async))");
    let exports = each("(export \"pN\" (func $lN))");
    let imports = each("(import \"\" \"pN\" (func $pN (result i32)))");
    let calls = each("(drop (call $pN))");
    format!(
        r#"(component {clock}
            (component $part {clock}
                (core func $wait (canon lower (func $c "wait-for")))
                (core module $m (import "" "wait" (func $wait (param i64))) {callback}
                    (func (export "go") (result i32) {wait} (i32.const 0)))
                (core instance $i (instantiate $m (with "" (instance (export "wait" (func $wait))))))
                (func (export "go") async (canon lift (core func $i "go") async (callback (core func $i "cb")))))
            {instances}
            (component $first {clock} {taken}
                (core func $wait (canon lower (func $c "wait-for")))
                (core module $m {imports} (import "" "wait" (func $wait (param i64))) {callback}
                    (func (export "run") (result i32) {calls} {wait} (i32.const 0)))
                (core instance $i (instantiate $m (with "" (instance {exports} (export "wait" (func $wait))))))
                (func (export "run") async (result (result))
                    (canon lift (core func $i "run") async (callback (core func $i "cb")))))
            (instance $f (instantiate $first (with "wasi:clocks/monotonic-clock@0.3.0" (instance $c)) {given}))
            (instance $cli (export "run" (func $f "run")))
            (export "wasi:cli/run@0.3.0" (instance $cli)))"#
    )
}

#[test]
fn guests_that_wait_in_all_their_parts_leave_room_for_others() {
    let site = Site::new().text_module("/w", &waiting_everywhere(60), "");
    let wagi = site.module("/p/...", &component("http3-probe.wasm"), "").start(&[]);
    let mut waiting: Vec<Connection> = (0..64).map(|_| Connection::open(wagi.address())).collect();
    for connection in &mut waiting {
        connection.ask("/w");
    }
    wagi.quiet();
    assert!(!wagi.log().contains("GET /w"), "{}", wagi.log());
    assert_eq!(Connection::open(wagi.address()).get("/p/request").status, 200);
}

/// A command that begins so many waits of this many nanoseconds, and does not end before them.
fn many_waits(count: usize, time: u64) -> String {
    format!(
        r#"(component
            (import "wasi:clocks/monotonic-clock@0.3.0" (instance $c
                (export "wait-for" (func async (param "how-long" u64)))))
            (core func $wait (canon lower (func $c "wait-for") async))
            (core func $last (canon lower (func $c "wait-for")))
            (core func $return (canon task.return (result (result))))
            (core module $m
                (import "" "wait" (func $wait (param i64) (result i32)))
                (import "" "last" (func $last (param i64)))
                (import "" "return" (func $return (param i32)))
                (func (export "cb") (param i32 i32 i32) (result i32) (i32.const 0))
                (func (export "run") (result i32) (local $left i32)
                    (local.set $left (i32.const {count}))
                    (loop
                        (drop (call $wait (i64.const {time})))
                        (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
                    (call $last (i64.const {time}))
                    (call $return (i32.const 0))
                    (i32.const 0)))
            (core instance $i (instantiate $m (with "" (instance
                (export "wait" (func $wait)) (export "last" (func $last)) (export "return" (func $return))))))
            (func $run async (result (result))
                (canon lift (core func $i "run") async (callback (core func $i "cb"))))
            (instance $cli (export "run" (func $run)))
            (export "wasi:cli/run@0.3.0" (instance $cli)))"#
    )
}

#[test]
fn what_the_engine_keeps_for_a_guest_that_waits_often_is_bounded() {
    let minute = 60_000_000_000;
    let site = Site::new()
        .text_module("/few", &many_waits(900, 1_000_000), "")
        .text_module("/many", &many_waits(1100, minute), "")
        .text_module("/long", &many_waits(900, minute), "");
    let wagi = site.start(&[]);
    let mut connection = Connection::open(wagi.address());
    connection.get("/few");
    // It has printed nothing.
    let line = wagi.logged(&["GET /few "]);
    assert!(line.contains("end=bad-head"), "{line}");
    connection.get("/many");
    let line = wagi.logged(&["GET /many "]);
    assert!(line.contains("end=trap"), "{line}");
    let before = wagi.resident();
    let first = waited_by_64(&wagi, 1);
    assert!(first < before + (128 << 20), "{before} bytes before, {first} now");
    // What the allocator keeps, it keeps for the next.
    for round in 2..=4 {
        let now = waited_by_64(&wagi, round);
        assert!(now < first + (32 << 20), "{first} bytes in the first round, {now} in round {round}");
    }
}

/// How many bytes the gateway has while 64 guests wait, for this round of them, which end behind that.
fn waited_by_64(wagi: &Wagi, round: usize) -> u64 {
    let mut waiting: Vec<Connection> = (0..64).map(|_| Connection::open(wagi.address())).collect();
    for connection in &mut waiting {
        connection.ask("/long");
    }
    wagi.quiet();
    assert_eq!(wagi.log().matches("GET /long ").count(), 64 * (round - 1), "{}", wagi.log());
    let bytes = wagi.resident();
    drop(waiting);
    eventually(|| (wagi.log().matches("GET /long ").count() >= 64 * round).then_some(()));
    bytes
}

#[tokio::test]
async fn failures_are_those_of_other_guests() {
    let running = started("limits = { cpu_time = '300ms', time_to_head = '10m' }").await;
    for (path, status, reason) in
        [("trap", 500, "end=trap"), ("error", 500, "LoopDetected"), ("spin", 504, "used up its CPU time")]
    {
        assert_eq!(running.get(&format!("/p/{path}")).await.status.as_u16(), status, "{path}");
        assert!(running.log().contains(reason), "{path}: {}", running.log());
    }
    let answer = running.get("/p/trap-late").await;
    assert_eq!((answer.text().as_str(), answer.cut), ("begun\n", true));
}

#[test]
fn a_guest_may_go_on_behind_its_answer() {
    let wagi = Site::new().module("/p/...", &component("http3-probe.wasm"), "").start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/p/after?300").text(), "answered\n");
    wagi.logged(&["done behind the answer"]);
}

#[tokio::test]
async fn calls_are_allowed_or_denied() {
    let upstream = Upstream::start(|_| reply("203 Fine", "", "hello"));
    let target = format!("/p/call?{}", upstream.url("/x"));
    assert!(started("").await.get(&target).await.text().contains("HttpRequestDenied"));
    assert_eq!(started("allowed_hosts = ['http://127.0.0.1']").await.get(&target).await.text(), "203\nhello");
    assert_eq!(upstream.only().line, "GET /x");
}

#[tokio::test]
async fn a_command_has_the_contract_of_cgi() {
    let command = component("cli3-probe.wasm");
    let running = Test::new().file_module("/c/...", &command, "environment = { A = '1' }").start().await;
    let answer = running.post("/c/x?a=b", "the body").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/plain"));
    let text = answer.text();
    assert!(text.starts_with("[\"/c/x\", \"a=b\"]\n") && text.ends_with("the body"), "{text}");
    for line in ["\nPATH_INFO=/x\n", "\nA=1\n", "\nREQUEST_METHOD=POST\n", "\nCONTENT_LENGTH=8\n"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!(running.get("/c/fail").await.status.as_u16(), 500);
}

#[tokio::test]
async fn volumes_are_mounted_in_order_and_nothing_leads_out_of_them() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("there.txt"), "outside").unwrap();
    for name in ["b", "a"] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
        std::fs::write(directory.path().join(name).join("there.txt"), name).unwrap();
    }
    let path = directory.path().display();
    let keys = format!("volumes = {{ '/b' = '{path}/b', '/a' = {{ path = '{path}/a', read_only = true }} }}");
    let running = Test::new().file_module("/c/...", &component("cli3-probe.wasm"), &keys).start().await;
    let text = running.get("/c/files").await.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("/b Ok(\"b\") Ok(()) Err("), "{text}");
    assert!(lines[1].starts_with("/a Ok(\"a\") Err("), "{text}");
    assert!(!text.contains("outside"), "{text}");
    assert_eq!(std::fs::read_to_string(directory.path().join("b/new.txt")).unwrap(), "stored");
    assert!(!directory.path().join("a/new.txt").exists());
}

#[tokio::test]
async fn what_a_command_prints_is_limited() {
    let command = component("cli3-probe.wasm");
    let running = Test::new().file_module("/c/...", &command, "limits = { response_body = '200KiB' }").start().await;
    let answer = running.get("/c/much").await;
    assert!(answer.cut || answer.status == 500, "{}", answer.status);
    assert!(running.log().contains("printed more than the limit"), "{}", running.log());
}

const STAT: ComponentCall = ComponentCall {
    name: "stat-at",
    signature: r#"(param "path-flags" $path-flags) (param "path" string) (result (result $stat (error $error)))"#,
    core: "(param i32 i32 i32 i32 i32)",
    pushed: "(i32.const 0) (i32.const 64) LENGTH (i32.const 2048)",
    then: "(call $is (i32.load8_u (i32.const 2048)) (i32.load8_u (i32.const 2056)))",
};

const REMOVE: ComponentCall = ComponentCall {
    name: "remove-directory-at",
    signature: r#"(param "path" string) (result (result (error $error)))"#,
    core: "(param i32 i32 i32 i32)",
    pushed: "(i32.const 64) LENGTH (i32.const 2048)",
    then: "(call $is (i32.load8_u (i32.const 2048)) (i32.load8_u (i32.const 2052)))",
};

const OPEN: ComponentCall = ComponentCall {
    name: "open-at",
    signature: r#"(param "path-flags" $path-flags) (param "path" string) (param "open-flags" $open-flags)
        (param "flags" $flags) (result (result (own $d) (error $error)))"#,
    core: "(param i32 i32 i32 i32 i32 i32 i32)",
    pushed: "(i32.const 0) (i32.const 64) LENGTH (i32.const 0) (i32.const 1) (i32.const 2048)",
    then: "",
};

// Numbers of cases of `descriptor-type`, and then of `error-code`.
const DIRECTORY: u8 = 2;
const LINK: u8 = 4;
const FILE: u8 = 5;
const NO_ENTRY: u8 = 19;
const INSUFFICIENT_MEMORY: u8 = 21;
const NOT_DIRECTORY: u8 = 23;
const NOT_EMPTY: u8 = 24;

/// What the guests of these texts get, in order: each ends with code 1 if it gets what it wants, and else with a trap.
#[track_caller]
fn assert_all_get_what_they_want(site: Site, guests: &[(String, String)]) {
    let keys = "volumes = { '/' = 'volume' }";
    let add = |site: Site, (route, text): &(String, String)| site.text_module(route, text, keys);
    let wagi = guests.iter().fold(site, add).start(&[]);
    for (route, _) in guests {
        Connection::open(wagi.address()).get(route);
        let line = wagi.logged(&[&format!("GET {route} ")]);
        assert!(line.contains("the guest exited with code 1"), "{line}");
    }
}

/// POSIX, as in WASI 0.2 and for modules.
#[test]
fn a_slash_at_the_end_of_a_path_stands_for_a_directory() {
    let site = Site::new();
    site.file("volume/file", "");
    site.file("volume/full/inside", "");
    std::fs::create_dir(site.path().join("volume/empty")).expect("a directory");
    std::os::unix::fs::symlink("full", site.path().join("volume/link")).expect("a link");
    let rows = [
        (&STAT, "link", Ok(LINK)),
        (&STAT, "link/", Ok(DIRECTORY)),
        (&STAT, "full//", Ok(DIRECTORY)),
        (&STAT, "file", Ok(FILE)),
        (&STAT, "file/", Err(NOT_DIRECTORY)),
        (&STAT, "nothing/", Err(NO_ENTRY)),
        (&REMOVE, "full/", Err(NOT_EMPTY)),
        (&REMOVE, "file/", Err(NOT_DIRECTORY)),
        (&REMOVE, "link/", Err(NOT_DIRECTORY)),
        (&REMOVE, "empty//", Ok(0)),
        (&REMOVE, "empty/", Err(NO_ENTRY)),
    ];
    let guests = rows.iter().enumerate().map(|(index, (call, path, expected))| {
        let is_value = call.name == "stat-at";
        let expected = match *expected {
            Ok(kind) if is_value => format!("(i32.or (local.get 0) (i32.ne (local.get 1) (i32.const {kind})))"),
            Ok(_) => "(local.get 0)".to_owned(),
            Err(error) => format!("(i32.or (i32.eqz (local.get 0)) (i32.ne (local.get 1) (i32.const {error})))"),
        };
        let text = call.component("0.3.0", path, "CALL (call $return (i32.const 1))");
        let is = format!("(func $is (param i32 i32) (if {expected} (then unreachable)))");
        (
            format!("/{index}/{}", call.name),
            text.replacen("(func (export \"cb\")", &format!("{is} (func (export \"cb\")"), 1),
        )
    });
    assert_all_get_what_they_want(site, &guests.collect::<Vec<_>>());
}

#[test]
fn a_file_beyond_the_limit_is_an_error_and_the_guest_goes_on() {
    let site = Site::new();
    site.file("volume/f", "");
    let body = format!(
        "(loop CALL (br_if 0 (i32.eqz (i32.load8_u (i32.const 2048)))))
        (if (i32.ne (i32.load8_u (i32.const 2052)) (i32.const {INSUFFICIENT_MEMORY})) (then unreachable))
        (call $return (i32.const 1))"
    );
    assert_all_get_what_they_want(site, &[("/open".to_owned(), OPEN.component("0.3.0", "f", &body))]);
}
