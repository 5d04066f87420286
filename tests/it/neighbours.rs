//! What a guest that computes, grows or waits costs everybody else: little.

use std::time::Duration;

use crate::support::guest::{hello, probe};
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::{alone, at_leisure, eventually};

const MIB: u64 = 1 << 20;

#[test]
fn eight_guests_that_loop_for_ever_compute_at_the_lowest_priority_and_end_by_their_limit() {
    let _alone = alone();
    let wagi = Site::new()
        .text_module("/hello", &hello(), "")
        .module("/...", &probe(), "limits = { cpu_time = '500ms', time_to_head = '10m' }")
        .start(&[]);
    assert_eq!(Connection::open(wagi.address()).get("/hello").body, b"hello");
    let (threads, before) = (wagi.threads(), wagi.cpu_times());
    let mut looping: Vec<Connection> = (0..8).map(|_| Connection::open(wagi.address())).collect();
    for connection in &mut looping {
        connection.ask("/spin");
    }
    at_leisure(|| (wagi.cpu_times().lowest > before.lowest + Duration::from_millis(300)).then_some(()));
    for _ in 0..20 {
        assert_eq!(Connection::open(wagi.address()).get("/hello").body, b"hello");
    }
    let health = Connection::open(wagi.address()).get("/healthz");
    assert_eq!((health.status, health.body.as_slice()), (200, &b"OK"[..]));
    assert!(wagi.threads() <= threads + 16, "{} threads before, {} beside loops", threads, wagi.threads());
    assert!(!wagi.log().contains("GET /spin"), "all loop until here: {}", wagi.log());
    for connection in &mut looping {
        assert_eq!(connection.answer().status, 504);
    }
    let after = wagi.cpu_times();
    let (normal, lowest) = (after.normal - before.normal, after.lowest - before.lowest);
    assert!(normal < 8 * Duration::from_millis(200), "{normal:?} at normal priority, {lowest:?} at the lowest");
    at_leisure(|| (wagi.log().matches("used up its CPU time").count() >= 8).then_some(()));
    wagi.quiet();
}

#[test]
fn a_guest_that_computes_on_gets_only_what_everything_else_leaves() {
    let limits = "limits = { cpu_time = '10m', time_to_head = '10m' }";
    let wagi = Site::new().module("/...", &probe(), limits).start(&[]);
    let _spinning = Connection::begin(wagi.address(), "/spin");
    at_leisure(|| (wagi.time_of_idle_threads() > Duration::from_millis(100)).then_some(()));
}

/// A guest that takes memory and writes to all of it until it is refused more, reads a byte, and answers.
const GREEDY: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\00\10\00\00\01\00\00\00")
    (data (i32.const 16) "\20\00\00\00\22\00\00\00")
    (data (i32.const 32) "Content-Type: text/plain\n\nrefused\n")
    (func (export "_start")
        (local $pages i32)
        (loop $more
            (local.set $pages (memory.grow (i32.const 16)))
            (if (i32.ne (local.get $pages) (i32.const -1))
                (then
                    (memory.fill (i32.mul (local.get $pages) (i32.const 65536)) (i32.const 1) (i32.const 1048576))
                    (br $more))))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)))))"#;

fn greedy_and_hello() -> Wagi {
    let wagi = Site::new()
        .text_module("/greedy", GREEDY, "limits = { memory = '96MiB', time_to_head = '10m' }")
        .text_module("/hello", &hello(), "")
        .start(&[]);
    Connection::open(wagi.address()).get("/hello");
    wagi
}

#[test]
fn a_guest_that_grows_for_ever_is_refused_and_its_memory_comes_back() {
    let _alone = alone();
    let wagi = greedy_and_hello();
    let before = wagi.resident();
    for _ in 0..3 {
        let mut greedy: Vec<Connection> = (0..2).map(|_| Connection::open(wagi.address())).collect();
        for connection in &mut greedy {
            connection.send("POST /greedy HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n");
        }
        at_leisure(|| (wagi.resident() > before + 180 * MIB).then_some(()));
        assert_eq!(Connection::open(wagi.address()).get("/hello").text(), "hello");
        assert!(wagi.resident() < before + 224 * MIB, "two guests with 96 MiB each");
        for connection in &mut greedy {
            connection.send("x");
            assert_eq!(connection.answer().text(), "refused\n");
        }
        at_leisure(|| (wagi.resident() < before + 32 * MIB).then_some(()));
    }
}

#[test]
fn memory_of_a_guest_whose_client_leaves_comes_back() {
    let _alone = alone();
    let wagi = greedy_and_hello();
    let before = wagi.resident();
    let mut greedy = Connection::open(wagi.address());
    greedy.send("POST /greedy HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n");
    at_leisure(|| (wagi.resident() > before + 90 * MIB).then_some(()));
    drop(greedy);
    at_leisure(|| (wagi.resident() < before + 32 * MIB).then_some(()));
}

#[test]
fn sixty_four_sleeping_guests_cost_no_thread_and_little_memory() {
    let wagi = Site::probe("").start(&[]);
    let mut warm = Connection::open(wagi.address());
    assert_eq!(warm.get("/sleep?20").text(), "awake\n");
    let (threads, memory) = (wagi.threads(), wagi.resident());
    let mut sleeping: Vec<Connection> = (0..64).map(|_| Connection::open(wagi.address())).collect();
    for connection in &mut sleeping {
        connection.ask("/sleep?60000");
    }
    for connection in &mut sleeping {
        assert_eq!(connection.head().status, 200);
    }
    assert!(wagi.threads() <= threads, "{threads} threads before, {} now", wagi.threads());
    assert!(wagi.resident() < memory + 64 * MIB, "a MiB for each is plenty");
    assert_eq!(Connection::open(wagi.address()).get("/healthz").text(), "OK");
}

/// Sixty-four is the limit for one module; another one has places of its own.
#[test]
fn a_module_whose_places_are_all_taken_turns_its_own_clients_away_and_no_others() {
    let wagi = Site::new()
        .top("[limits]\nqueue_wait = '100ms'")
        .text_module("/hello", &hello(), "")
        .module("/...", &probe(), "limits = { concurrency = 4 }")
        .start(&[]);
    let mut sleeping: Vec<Connection> = (0..4).map(|_| asleep(&wagi)).collect();
    let mut connection = Connection::open(wagi.address());
    let refused = connection.get("/args");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(connection.get("/hello").text(), "hello");
    assert_eq!(connection.get("/healthz").text(), "OK");
    sleeping.pop();
    eventually(|| (connection.get("/args").status == 200).then_some(()));
}

fn asleep(wagi: &Wagi) -> Connection {
    let mut connection = Connection::begin(wagi.address(), "/sleep?60000");
    assert_eq!(connection.head().status, 200);
    connection
}
