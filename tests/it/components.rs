//! Components that are asked over `wasi:http` 0.2: what they see, what becomes of what they answer, and how they end.

use std::path::PathBuf;

use bytes::Bytes;
use http::Request;

use crate::support::guest::component;
use crate::support::harness::{Running, Test};
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;

fn probe() -> PathBuf {
    component("http-probe.wasm")
}

async fn started(keys: &str) -> Running {
    Test::new().file_module("/p/...", &probe(), keys).start().await
}

fn served(keys: &str) -> Wagi {
    Site::new().module("/p/...", &probe(), keys).start(&[])
}

fn post(connection: &mut Connection, path: &str, headers: &str) {
    connection.send(format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"));
}

#[tokio::test]
async fn a_component_sees_the_request_as_it_was_sent_and_where_it_is_mounted() {
    let running = started("").await;
    let request = Request::builder()
        .method("PATCH")
        .uri("/p/request?a=%2F&b")
        .header("host", "example.org:81")
        .header("x-two", "1")
        .header("x-two", "2")
        .header("authorization", "Basic eA==")
        .header("wagi-path-info", "/evil")
        .header("proxy-authorization", "Basic eA==")
        .header("connection", "x-hop")
        .header("x-hop", "1");
    let text = running.send(request.body(Bytes::new()).unwrap()).await.text();
    let (first, fields) = text.split_once('\n').unwrap();
    assert_eq!(first, "Method::Patch Scheme::Http example.org:81 /p/request?a=%2F&b");
    let is_id = |line: &&str| line.starts_with("wagi-request-id: ");
    assert_eq!(fields.lines().filter(is_id).count(), 1, "{fields}");
    let mut fields: Vec<&str> = fields.lines().filter(|line| !is_id(line)).collect();
    fields.sort_unstable();
    let expected = [
        "authorization: Basic eA==",
        "wagi-matched-route: /p/...",
        "wagi-path-info: /request",
        "wagi-remote-addr: 192.168.0.1",
        "wagi-remote-port: 4321",
        "wagi-script-name: /p",
        "x-two: 1",
        "x-two: 2",
    ];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn credentials_do_not_pass_where_the_operator_says_no() {
    let running = started("pass_authorization = false").await;
    let request = Request::get("/p/request").header("authorization", "Basic eA==").body(Bytes::new()).unwrap();
    assert!(!running.send(request).await.text().contains("authorization"));
}

#[tokio::test]
async fn its_variables_are_the_operators_and_nothing_else() {
    let running = started("environment = { GREETING = 'hello', PATH_INFO = 'mine' }").await;
    let text = running.get("/p/env").await.text();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["GREETING=hello", "PATH_INFO=mine"]);
    assert_eq!(running.get("/p/args").await.text(), "[]\n");
}

#[tokio::test]
async fn what_it_prints_goes_to_the_log() {
    let running = started("").await;
    assert_eq!(running.get("/p/print").await.text(), "printed\n");
    let log = running.log();
    assert!(log.contains("stderr \"printed on stdout") && log.contains("stderr \"printed on stderr"), "{log}");
}

#[test]
fn an_answer_that_is_known_in_full_goes_out_in_one_piece() {
    let wagi = served("");
    let answer = Connection::open(wagi.address()).get("/p/print");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain")));
    assert_eq!((answer.header("content-length"), answer.text().as_str()), (Some("8"), "printed\n"));
}

#[tokio::test]
async fn fields_of_the_connection_are_left_out_and_others_are_sent_in_order() {
    let running = started("").await;
    let wagi = served("");
    let answer = Connection::open(wagi.address()).get("/p/headers");
    let kept: Vec<&str> =
        answer.headers.iter().filter(|(name, _)| name == "keep").map(|(_, value)| value.as_str()).collect();
    assert_eq!((answer.status, kept, answer.header("te")), (200, vec!["a", "b"], None));
    assert_eq!(answer.text(), "body\n");
    for name in ["connection", "transfer-encoding", "host", "keep-alive"] {
        assert!(running.get(&format!("/p/bad-header?{name}")).await.text().contains("Forbidden"), "{name}");
    }
}

#[test]
fn trailers_reach_a_client_that_asks_for_them() {
    let wagi = served("");
    let mut connection = Connection::open(wagi.address());
    connection.send("GET /p/headers HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\nConnection: close, te\r\n\r\n");
    let raw = String::from_utf8(connection.rest()).unwrap();
    assert!(raw.ends_with("5\r\nbody\n\r\n0\r\nx-after: 1\r\n\r\n"), "{raw}");
}

#[tokio::test]
async fn every_status_of_an_answer_is_passed_on_and_no_other() {
    let running = started("").await;
    for status in [200, 204, 205, 301, 304, 418, 500, 599] {
        assert_eq!(running.get(&format!("/p/status?{status}")).await.status.as_u16(), status);
    }
    for status in [100, 101, 199] {
        assert_eq!(running.get(&format!("/p/status?{status}")).await.status.as_u16(), 500, "{status}");
    }
}

#[tokio::test]
async fn a_head_over_the_limit_is_500() {
    let running = started("limits = { response_head = '1KiB' }").await;
    assert_eq!(running.get("/p/head?900").await.status.as_u16(), 200);
    assert_eq!(running.get("/p/head?1100").await.status.as_u16(), 500);
    assert!(running.log().contains("end=bad-head"), "{}", running.log());
}

#[tokio::test]
async fn a_length_that_is_not_true_does_not_break_the_framing() {
    let running = started("").await;
    assert_eq!(running.get("/p/length?5,5").await.text(), "xxxxx");
    for lie in ["5,3", "3,5", "5,0"] {
        let answer = running.get(&format!("/p/length?{lie}")).await;
        assert!(answer.status == 500 || answer.cut, "{lie}: {answer:?}");
    }
}

#[tokio::test]
async fn an_answer_to_head_has_the_length_the_body_would_have_had() {
    let running = started("").await;
    for (target, length) in [("/p/print", "8"), ("/p/length?1000,0", "1000"), ("/p/length?7,7", "7")] {
        let answer = running.send(Request::head(target).body(Bytes::new()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-length")), (200, length), "{target}");
        assert!(answer.body.is_empty(), "{target}");
    }
}

#[test]
fn pieces_arrive_one_by_one() {
    let wagi = served("");
    let mut connection = Connection::begin(wagi.address(), "/p/pieces?40");
    assert_eq!(connection.head().header("transfer-encoding"), Some("chunked"));
    let pieces: String = (0..40).map(|piece| format!("piece {piece}\n")).collect();
    let chunks = connection.chunks();
    // A busy machine may send some of them together, but not all.
    assert!(chunks.len() > 1 && chunks.concat() == pieces.as_bytes(), "{chunks:?}");
}

/// A task of tokio may do so much before it has to pause. A response that is complete when a pause is due was taken for one that
/// its guest left.
#[test]
fn a_response_of_many_pieces_is_complete_wherever_its_task_pauses() {
    let wagi = served("");
    let mut connection = Connection::open(wagi.address());
    for count in 1..=200 {
        let pieces = "1\r\nx\r\n".repeat(count);
        let head = "POST /p/echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        connection.send(format!("{head}{pieces}0\r\n\r\n"));
        let answer = connection.answer();
        assert_eq!((answer.status, answer.text().len()), (200, count));
    }
}

#[test]
fn a_body_comes_back_while_it_is_being_sent() {
    let wagi = served("");
    let mut connection = Connection::open(wagi.address());
    post(&mut connection, "/p/echo", "Transfer-Encoding: chunked\r\n");
    for piece in ["one", "two", "three"] {
        connection.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        if piece == "one" {
            assert_eq!(connection.head().status, 200);
        }
        assert_eq!(connection.chunk().unwrap().unwrap(), piece.as_bytes());
    }
    connection.send("0\r\nX-Behind: me\r\n\r\n");
    assert!(connection.chunk().unwrap().is_none());
    wagi.logged(&["trailer x-behind: me"]);
}

#[test]
fn a_large_body_comes_back_unharmed() {
    let wagi = served("");
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
    let address = wagi.address();
    let mut connection = Connection::open(address);
    let mut writer = connection.stream().try_clone().unwrap();
    let sent = body.clone();
    let sending = std::thread::spawn(move || {
        use std::io::Write;
        write!(writer, "POST /p/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", sent.len()).unwrap();
        writer.write_all(&sent).unwrap();
    });
    let answer = connection.answer();
    sending.join().unwrap();
    assert!(answer.body == body, "the body comes back changed");
}

#[test]
fn a_client_that_stops_reading_holds_its_guest_back_and_then_gets_everything() {
    let wagi = served("");
    let mut connection = Connection::begin(wagi.address(), "/p/much?400");
    assert_eq!(connection.head().status, 200);
    wagi.quiet();
    assert!(!wagi.log().contains("written 400"), "25 MiB have gone somewhere");
    let mut total = 0;
    while let Some(chunk) = connection.chunk().unwrap() {
        total += chunk.len();
    }
    assert_eq!(total, 400 * 64 * 1024);
}

#[tokio::test]
async fn a_guest_that_fails_before_its_answer_goes_out_is_500() {
    let running = started("").await;
    for (path, reason) in [
        ("trap", "end=trap"),
        ("trap-soon", "end=trap"),
        ("nothing", "it gave none"),
        ("error", "LoopDetected"),
        ("unfinished", "end=not-answered"),
        ("forgotten", "it returned before its end"),
    ] {
        let answer = running.get(&format!("/p/{path}")).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (500, ""), "{path}");
        let log = running.log();
        let line = log.lines().find(|line| line.contains(&format!("/p/{path} "))).expect("a line");
        assert!(line.contains(reason), "{line}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_failure_for_head_as_for_get() {
    let running = started("").await;
    for path in ["unfinished", "forgotten", "trap"] {
        let head = Request::head(format!("/p/{path}")).body(Bytes::new()).unwrap();
        assert_eq!(running.send(head).await.status.as_u16(), 500, "{path}");
    }
    let log = running.log();
    let unfinished = log.lines().find(|line| line.contains("/p/unfinished ")).expect("a line");
    assert!(unfinished.contains("end=not-answered"), "{unfinished}");
}

#[tokio::test]
async fn a_guest_that_traps_behind_its_head_cuts_the_transfer() {
    let running = started("").await;
    let answer = running.get("/p/trap-late").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str(), answer.cut), (200, "begun\n", true));
}

#[tokio::test]
async fn a_guest_that_loops_for_ever_is_504_and_one_that_computes_for_a_while_is_not() {
    let limits = "limits = { cpu_time = '200ms', time_to_head = '10m', time_between_outputs = '10m' }";
    let running = started(limits).await;
    assert_eq!(running.get("/p/spin?0").await.status.as_u16(), 504);
    assert!(running.log().contains("used up its CPU time"), "{}", running.log());
    let answer = running.get("/p/spin-late?100").await;
    assert_eq!((answer.text().as_str(), answer.cut), ("begun\nspun\n", false));
    assert!(running.get("/p/spin-late?0").await.cut);
}

#[tokio::test]
async fn silence_is_limited_before_the_head_and_behind_it() {
    let running = started("limits = { time_to_head = '100ms', time_between_outputs = '100ms' }").await;
    assert_eq!(running.get("/p/sleep?60000").await.status.as_u16(), 504);
    assert!(running.log().contains("no complete head within 100ms"), "{}", running.log());
    assert_eq!(started("").await.get("/p/sleep?1").await.text(), "slept\n");
    let running = started("limits = { time_between_outputs = '100ms' }").await;
    let answer = running.get("/p/leave?drop,sleep,behind,").await;
    assert_eq!((answer.status.as_u16(), answer.cut), (200, true));
    assert!(running.log().contains("printed nothing for 100ms"), "{}", running.log());
}

#[tokio::test]
async fn output_over_the_limit_is_not_sent() {
    let running = started("limits = { response_head = '1KiB', response_body = '100KiB' }").await;
    let answer = running.get("/p/much?50").await;
    assert!(answer.cut || answer.status == 500, "{}", answer.status);
    assert!(answer.body.len() <= 101 * 1024);
}

#[tokio::test]
async fn memory_is_refused_at_the_limit_and_the_guest_goes_on() {
    let running = started("limits = { memory = '20MiB' }").await;
    let text = running.get("/p/memory").await.text();
    let taken: u32 = text.trim_end_matches(" MiB\n").parse().expect(&text);
    assert!((10..20).contains(&taken), "{text}");
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whatever_the_guest_makes_of_it() {
    let running = started("limits = { request_body = '1KiB' }").await;
    assert_eq!(running.post("/p/count", vec![b'x'; 1024]).await.text(), "1024 bytes\n");
    assert_eq!(running.post("/p/count", vec![b'x'; 1025]).await.status.as_u16(), 413);
    let wagi = served("limits = { request_body = '1KiB' }");
    let mut connection = Connection::open(wagi.address());
    post(&mut connection, "/p/count", "Transfer-Encoding: chunked\r\n");
    connection.send(format!("400\r\n{}\r\n1\r\nx\r\n0\r\n\r\n", "x".repeat(1024)));
    assert_eq!(connection.answer().status, 413);
}

#[test]
fn a_body_is_asked_for_when_the_guest_reads_it_and_not_before() {
    let wagi = served("");
    let mut connection = Connection::open(wagi.address());
    post(&mut connection, "/p/count", "Content-Length: 5\r\nExpect: 100-continue\r\n");
    assert_eq!(connection.head().status, 100);
    connection.send("hello");
    assert_eq!(connection.answer().text(), "5 bytes\n");
    let mut connection = Connection::open(wagi.address());
    post(&mut connection, "/p/print", "Content-Length: 5\r\nExpect: 100-continue\r\n");
    assert_eq!(connection.answer().status, 200);
}

#[test]
fn a_client_that_leaves_ends_its_guest() {
    let wagi = served("");
    for target in ["/p/sleep?60000", "/p/spin-late?9000", "/p/much?9999"] {
        let mut connection = Connection::begin(wagi.address(), target);
        if !target.contains("sleep") {
            assert_eq!(connection.head().status, 200);
        }
        drop(connection);
        wagi.logged(&[target, "client-gone"]);
    }
    wagi.quiet();
}

#[test]
fn a_guest_may_go_on_behind_its_answer_and_holds_nobody_up() {
    let site = Site::new().module("/p/...", &probe(), "");
    let wagi = site.module("/short/...", &probe(), "limits = { time_between_outputs = '2s' }").start(&[]);
    let mut connection = Connection::open(wagi.address());
    assert_eq!(connection.get("/p/after?3000").text(), "answered\n");
    assert!(!wagi.log().contains("done behind the answer"));
    wagi.logged(&["done behind the answer"]);
    assert_eq!(connection.get("/p/trap-after?100").text(), "answered\n");
    wagi.logged(&["[the guest went on behind its answer: Trapped"]);
    assert_eq!(connection.get("/short/after?600000").text(), "answered\n");
    wagi.logged(&["it took too long and was stopped"]);
}

#[tokio::test]
async fn a_guest_that_goes_on_keeps_its_place() {
    let test = Test::new().top("[limits]\nqueue_wait = '10m'");
    let running = test.file_module("/p/...", &probe(), "limits = { concurrency = 1 }").start().await;
    assert_eq!(running.get("/p/after?300").await.text(), "answered\n");
    // It waits for the place, and gets it.
    assert_eq!(running.get("/p/print").await.status.as_u16(), 200);
    assert!(running.log().contains("done behind the answer"), "{}", running.log());
}

#[tokio::test]
async fn every_request_gets_a_fresh_instance_and_chance_is_not_repeated() {
    let running = started("").await;
    let random = (running.get("/p/random").await.text(), running.get("/p/random").await.text());
    assert!(random.0.len() > 10 && random.0 != random.1, "{random:?}");
}

#[tokio::test]
async fn volumes_are_mounted_and_what_is_read_only_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("there.txt"), "content").unwrap();
    let path = directory.path().display();
    let running =
        started(&format!("volumes = {{ '/rw' = '{path}', '/ro' = {{ path = '{path}', read_only = true }} }}")).await;
    assert_eq!(running.get("/p/file?/rw/there.txt").await.text(), "content");
    assert_eq!(running.get("/p/file?/ro/there.txt").await.text(), "content");
    assert_eq!(running.get("/p/store?/rw/new.txt").await.text(), "Ok(())\n");
    assert_eq!(running.get("/p/file?/ro/new.txt").await.text(), "stored");
    assert!(running.get("/p/store?/ro/other.txt").await.text().starts_with("Err("));
    assert!(!directory.path().join("other.txt").exists());
    assert!(!running.get("/p/file?/rw/../../etc/passwd").await.text().contains("root"));
}

#[tokio::test]
async fn sockets_lead_nowhere() {
    assert!(started("allowed_hosts = ['insecure:allow-all']").await.get("/p/socket").await.text().starts_with("Err("));
}

#[tokio::test]
async fn arguments_have_no_effect_and_entry_points_are_not_to_be_chosen() {
    let (running, problems) = Test::new().file_module("/", &probe(), "argv = 'x'").try_start().await;
    assert!(running.is_some() && problems.contains("`argv` has no effect"), "{problems}");
    let (running, problems) = Test::new().file_module("/", &probe(), "entrypoint = 'other'").try_start().await;
    assert!(running.is_none() && problems.contains("remove `entrypoint`"), "{problems}");
}

#[tokio::test]
async fn a_component_that_exports_nothing_to_enter_stops_the_start_and_is_told_what_is_served() {
    let text = r#";; text
        (component (instance $i) (export "acme:shop/counter@1.0.0" (instance $i)))"#;
    let (running, problems) = Test::at("/", text).try_start().await;
    assert!(running.is_none(), "{problems}");
    for part in ["`acme:shop/counter@1.0.0`", "wasi:cli/run", "wasi:http/incoming-handler", "modules.toml:3"] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
}

/// Both exports do nothing: asked over HTTP that is no answer, run like a module it is no head.
const BOTH: &str = r#"(component
    (import "wasi:http/types@0.2.0" (instance $types
        (export "incoming-request" (type (sub resource)))
        (export "response-outparam" (type (sub resource)))))
    (alias export $types "incoming-request" (type $request))
    (alias export $types "response-outparam" (type $out))
    (core module $m (func (export "handle") (param i32 i32)) (func (export "run") (result i32) (i32.const 0)))
    (core instance $i (instantiate $m))
    (func $handle (param "request" (own $request)) (param "response-out" (own $out)) (canon lift (core func $i "handle")))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $http (export "handle" (func $handle)))
    (instance $cli (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $cli))
    (export "wasi:http/incoming-handler@0.2.0" (instance $http)))"#;

#[tokio::test]
async fn a_component_that_is_both_is_asked_over_http() {
    let running = Test::at("/", BOTH).start().await;
    assert_eq!(running.get("/").await.status.as_u16(), 500);
    assert!(running.log().contains("end=not-answered"), "{}", running.log());
}

/// A command that makes so many handles to a resource of its own, and then says that all is well.
fn handles(count: u32) -> String {
    format!(
        r#"(component
            (type $mine (resource (rep i32)))
            (core func $new (canon resource.new $mine))
            (core module $m
                (import "" "new" (func $new (param i32) (result i32)))
                (func (export "run") (result i32) (local i32)
                    (loop $next
                        (drop (call $new (i32.const 1)))
                        (br_if $next (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const {count}))))
                    (i32.const 0)))
            (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $cli (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $cli)))"#
    )
}

#[tokio::test]
async fn handles_are_limited() {
    for (count, ending) in [(9_000, "end=bad-head"), (11_000, "store handle limit exceeded")] {
        let running = Test::at("/", &handles(count)).start().await;
        assert_eq!(running.get("/").await.status.as_u16(), 500);
        assert!(running.log().contains(ending), "{count}: {}", running.log());
    }
}

#[tokio::test]
async fn a_component_of_too_many_memories_is_refused_and_no_limit_is_named_that_would_not_help() {
    let text = r#"(component
        (core module $m (memory 1) (func (export "run") (result i32) (i32.const 0)))
        (core instance (instantiate $m)) (core instance (instantiate $m)) (core instance (instantiate $m))
        (core instance (instantiate $m)) (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $cli (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $cli)))"#;
    let (running, problems) = Test::at("/", text).try_start().await;
    assert!(running.is_none() && problems.contains("more memories, tables or parts"), "{problems}");
    assert!(!problems.contains("help: raise"), "{problems}");
}

#[tokio::test]
async fn a_component_that_imports_what_nobody_provides_stops_the_start_with_a_list() {
    let text = r#"(component
        (import "acme:shop/one@1.0.0" (instance (export "f" (func))))
        (import "acme:shop/two@1.0.0" (instance (export "f" (func))))
        (import "wasi:io/poll@0.2.0" (instance))
        (instance $i)
        (export "wasi:cli/run@0.2.0" (instance $i)))"#;
    let (running, problems) = Test::at("/", text).try_start().await;
    assert!(running.is_none(), "{problems}");
    assert!(problems.contains("imports `acme:shop/one@1.0.0`, `acme:shop/two@1.0.0`, which nothing"), "{problems}");
}
