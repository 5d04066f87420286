//! The clocks of guests that could read a body and do something else: they stand still only while a guest waits for its
//! client, and that has a limit too.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::support::guest::{component, escaped, probe};
use crate::support::harness::{Running, Test};
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, alone};

const LIMIT: Duration = Duration::from_secs(2);
const LIMITS: &str =
    "limits = { time_to_head = '2s', time_between_outputs = '2s', cpu_time = '60s', concurrency = 200 }";

/// For how long the guests look at their bodies. They do wait meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// A body of which a byte comes after each `pause`, and never the last.
struct Dripping {
    /// What is announced; `None` for a chunked body.
    length: Option<u64>,
    bytes: Interval,
}

impl Dripping {
    fn new(length: Option<u64>, pause: Duration) -> Self {
        let mut bytes = interval(pause);
        bytes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first is there at once, which none of these bytes is.
        bytes.reset();
        Self { length, bytes }
    }
}

impl Body for Dripping {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.bytes.poll_tick(cx).map(|_| Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Sends a POST and reads what comes: the status, whether the body was cut, and how long all took.
async fn post(running: &Running, target: &str, body: Dripping) -> (u16, bool, Duration) {
    let begun = Instant::now();
    let response = running.gateway().handle(Request::post(target).body(body).expect("a request")).await;
    let status = response.status().as_u16();
    let cut = response.into_body().collect().await.is_err();
    (status, cut, begun.elapsed())
}

/// A module that looks at its stdin and at a timer, before or behind its head, and then does something else for ever.
fn leaving(what: &str, when: &str, url: &str) -> String {
    let head = if when == "behind" { "Content-Type: text/plain\n\nbegun\n" } else { "" };
    let instead = match what {
        "sleep" => "(call $wait (i64.const 600000000000) (i32.const 1))".to_owned(),
        "spin" => "(loop $again (br $again))".to_owned(),
        _ => format!(
            "(drop (call $req (i32.const 1024) (i32.const {}) (i32.const 2048) (i32.const 3)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512) (i32.const 516)))",
            url.len()
        ),
    };
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_experimental_http" "req"
                (func $req (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 1024) "{}")
            (data (i32.const 2048) "GET")
            (data (i32.const 3072) "{}")
            (func $wait (param $time i64) (param $subscriptions i32)
                (i32.store (i32.const 16) (i32.const 1))
                (i64.store (i32.const 24) (local.get $time))
                (i32.store8 (i32.const 56) (i32.const 1))
                (drop (call $poll (i32.const 0) (i32.const 256) (local.get $subscriptions) (i32.const 500))))
            (func (export "_start")
                (i32.store (i32.const 400) (i32.const 3072))
                (i32.store (i32.const 404) (i32.const {}))
                (drop (call $write (i32.const 1) (i32.const 400) (i32.const 1) (i32.const 500)))
                (call $wait (i64.const 50000000) (i32.const 2))
                {instead}))"#,
        escaped(url.as_bytes()),
        escaped(head.as_bytes()),
        head.len(),
    )
}

/// One row of the table: where, and with which body.
struct Row {
    target: String,
    length: Option<u64>,
    /// When a byte comes; after the end of the test for a body that never does.
    byte: Duration,
    behind: bool,
}

#[test]
fn a_guest_that_leaves_its_body_and_does_something_else_is_ended_by_its_limits() {
    let _alone = alone();
    Runtime::new().expect("a runtime").block_on(leave_and_do_something_else());
}

async fn leave_and_do_something_else() {
    let silent = Upstream::start_with(|_, _| {
        thread::sleep(PATIENCE);
        Ok(())
    });
    let url = silent.url("/");
    let keys = format!("allowed_hosts = ['http://127.0.0.1']\n{LIMITS}");
    let mut test = Test::new()
        .file_module("/probe/...", &probe(), LIMITS)
        .file_module("/p2/...", &component("http-probe.wasm"), &keys)
        .file_module("/p3/...", &component("http3-probe.wasm"), &keys);
    let (never, late) = (PATIENCE * 2, LIMIT / 2);
    let mut rows = Vec::new();
    for what in ["sleep", "spin", "call"] {
        for when in ["before", "behind"] {
            test = test.module(&format!("/module/{what}/{when}"), &leaving(what, when, &url), &keys);
            let mut add = |target: String, length: Option<u64>| {
                for byte in [never, late] {
                    rows.push(Row { target: target.clone(), length, byte, behind: when == "behind" });
                }
            };
            add(format!("/module/{what}/{when}"), Some(10));
            for how in ["poll", "read", "drop"] {
                add(format!("/p2/leave?{how},{what},{when},{url}"), Some(10));
            }
            for how in ["read", "cancel", "drop"] {
                add(format!("/p3/leave?{how},{what},{when},{url}"), None);
            }
        }
    }
    let running = test.start().await;
    let mut requests = JoinSet::new();
    let running = std::sync::Arc::new(running);
    for row in rows {
        let running = running.clone();
        requests.spawn(async move {
            let answer = post(&running, &row.target, Dripping::new(row.length, row.byte)).await;
            (row, answer)
        });
    }
    // The same limit without a body says what the machine makes of it now.
    let begun = Instant::now();
    assert_eq!(running.get("/probe/never-read?60000").await.status, 200);
    let measure = begun.elapsed().max(LIMIT);
    let failed: Vec<String> = requests
        .join_all()
        .await
        .into_iter()
        .filter_map(|(row, (status, cut, took))| {
            let ended = if row.behind { (status, cut) == (200, true) } else { status == 504 };
            let in_time = took > LIMIT * 9 / 10 && took < measure * 11 / 10 + LOOK;
            (!ended || !in_time)
                .then(|| format!("{} {:?} {:?}: {status} {cut} {took:?}", row.target, row.length, row.byte))
        })
        .collect();
    assert!(failed.is_empty(), "against {measure:?}:\n{}", failed.join("\n"));
    for reason in ["no complete head within 2s", "printed nothing for 2s"] {
        assert!(running.log().contains(reason), "{reason}");
    }
}

/// A body that the server itself does not end: an embedder may have no timeout of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_keep_its_guest_waiting_for_30_seconds_and_a_second_for_each_4_kib() {
    let keys = "limits = { time_to_head = '10s', time_between_outputs = '10s' }";
    let running = Test::new()
        .file_module("/module/...", &probe(), keys)
        .file_module("/p2/...", &component("http-probe.wasm"), keys)
        .file_module("/p3/...", &component("http3-probe.wasm"), keys)
        .start()
        .await;
    let running = std::sync::Arc::new(running);
    let mut requests = JoinSet::new();
    for (target, length, behind) in [
        ("/module/stdin", Some(1_000), false),
        ("/module/stdin", None, false),
        ("/module/echo", Some(1_000), true),
        ("/p2/count", Some(1_000), false),
        ("/p2/count", None, false),
        ("/p2/echo", None, true),
        ("/p3/echo", Some(1_000), true),
    ] {
        for pause in [Duration::from_secs(1), PATIENCE * 4] {
            let running = running.clone();
            requests.spawn(async move {
                let answer = post(&running, target, Dripping::new(length, pause)).await;
                (target, length, behind, answer)
            });
        }
    }
    for (target, length, behind, (status, cut, took)) in requests.join_all().await {
        let ended = if behind { (status, cut) == (200, true) } else { status == 408 };
        let limit = Duration::from_secs(30);
        assert!(ended && took >= limit && took < limit * 11 / 10, "{target} {length:?}: {status} {cut} {took:?}");
    }
    assert!(running.log().contains("the client stopped sending the request body"), "{}", running.log());
}

/// Honest clients: what is slow is the network, and no clock of the guest counts that.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_outlasts_the_limits_of_its_guest() {
    let keys = "limits = { time_to_head = '300ms', time_between_outputs = '300ms' }";
    let running = Test::new()
        .file_module("/module/...", &probe(), keys)
        .file_module("/p2/...", &component("http-probe.wasm"), keys)
        .file_module("/p3/...", &component("http3-probe.wasm"), keys)
        .start()
        .await;
    for (target, expected) in [("/module/stdin", "10 "), ("/p2/count", "10 bytes"), ("/p3/echo", "xxxxxxxxxx")] {
        let body = http_body_util::BodyExt::boxed(Ten(Dripping::new(Some(10), Duration::from_millis(100)), 10));
        let response = running.gateway().handle(Request::post(target).body(body).expect("a request")).await;
        let status = response.status();
        let body = response.into_body().collect().await.expect("a whole body").to_bytes();
        let text = String::from_utf8_lossy(&body);
        assert!(status == 200 && text.starts_with(expected), "{target}: {status} {text}");
    }
}

/// The first bytes of a body.
struct Ten(Dripping, usize);

impl Body for Ten {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.1 == 0 {
            return Poll::Ready(None);
        }
        let frame = std::task::ready!(Pin::new(&mut self.0).poll_frame(cx));
        self.1 -= 1;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.1 == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.1 as u64)
    }
}
