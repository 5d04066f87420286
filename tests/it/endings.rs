//! Limits, and how a guest that reaches one ends.

use std::time::Instant;

use bytes::Bytes;
use http::Request;

use crate::support::guest::{printing_then, probe};
use crate::support::harness::{Answer, Running, Test};
use crate::support::{LONG, PATIENCE};

async fn probe_with(limits: &str) -> Running {
    Test::new().file_module("/...", &probe(), &format!("limits = {{ {limits} }}")).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_loops_for_ever_is_504_when_its_cpu_time_is_used_up() {
    let running = probe_with("cpu_time = '200ms', time_to_head = '10m'").await;
    let answer = running.get("/spin").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (504, 0));
    assert!(running.log().contains("used up its CPU time"), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_prints_no_head_in_time_is_504() {
    let running = probe_with("time_to_head = '100ms', cpu_time = '10m'").await;
    let begun = Instant::now();
    assert_eq!(running.get("/spin").await.status, 504);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    assert!(running.log().contains("no complete head within 100ms"), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_fails_behind_its_head_cuts_the_transfer() {
    let running = probe_with("cpu_time = '200ms', time_between_outputs = '10m'").await;
    let answer = running.get("/spin-after-head").await;
    assert_eq!((answer.status.as_u16(), answer.cut), (200, true));
    assert!(running.log().contains("end=timeout"), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_between_outputs_is_limited() {
    let running = probe_with("time_between_outputs = '100ms'").await;
    let answer = running.get("/sleep?60000").await;
    assert!(answer.cut);
    assert!(running.log().contains("printed nothing for 100ms"), "{}", running.log());
}

/// A refused growth is the guest's to deal with: the probe answers how far it came.
#[tokio::test]
async fn memory_is_refused_at_the_limit_and_the_guest_goes_on() {
    let answer = probe_with("memory = '16MiB'").await.get("/grow").await;
    assert_eq!(answer.status, 200);
    let megabytes: u32 = answer.text().chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap();
    assert!((8..16).contains(&megabytes), "{}", answer.text());
}

#[tokio::test]
async fn a_module_that_needs_more_memory_than_it_may_have_stops_the_start() {
    let guest = "(module (memory (export \"memory\") 100) (func (export \"_start\")))";
    let (running, problems) = Test::new().module("/big", guest, "limits = { memory = '1MiB' }").try_start().await;
    assert!(running.is_none());
    for part in ["/big", "memory", "modules.toml:3"] {
        assert!(problems.contains(part), "{part}: {problems}");
    }
}

#[tokio::test]
async fn deep_recursion_is_a_trap() {
    let running = probe_with("").await;
    assert_eq!(running.get("/recurse").await.status, 500);
    assert!(running.log().contains("end=trap"), "{}", running.log());
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_whether_its_length_is_known_or_not() {
    let running = probe_with("request_body = 10").await;
    assert_eq!(running.post("/stdin", "0123456789").await.status, 200);
    assert_eq!(running.post("/stdin", "0123456789x").await.status, 413);
    let chunks = futures_core_chunks(&["01234", "56789", "x"]);
    assert_eq!(send_unsized(&running, chunks).await, 413);
    assert_eq!(send_unsized(&running, futures_core_chunks(&["01234", "56789"])).await, 200);
}

type Chunks = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

fn futures_core_chunks(chunks: &[&'static str]) -> Chunks {
    use http_body_util::BodyExt;
    struct Unsized(Vec<Bytes>);
    impl http_body::Body for Unsized {
        type Data = Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            let next = if self.0.is_empty() { None } else { Some(self.0.remove(0)) };
            std::task::Poll::Ready(next.map(|chunk| Ok(http_body::Frame::data(chunk))))
        }
    }
    Unsized(chunks.iter().map(|chunk| Bytes::from_static(chunk.as_bytes())).collect()).boxed()
}

async fn send_unsized(running: &Running, body: Chunks) -> u16 {
    running.gateway().handle(Request::post("/stdin").body(body).unwrap()).await.status().as_u16()
}

#[tokio::test]
async fn a_head_over_the_limit_is_500() {
    let long = format!("Content-Type: a/b\nX-Long: {}\n\n", "x".repeat(2000));
    let guest = crate::support::guest::printing(long);
    let test = Test::new().module("/", &guest, "limits = { response_head = 1024 }");
    let running = test.start().await;
    assert_eq!(running.get("/").await.status, 500);
    assert!(running.log().contains("longer than 1024 bytes"), "{}", running.log());
}

#[tokio::test]
async fn more_output_than_allowed_cuts_the_transfer() {
    let running = probe_with("response_body = '1MiB'").await;
    let answer = running.get("/flood?10000000").await;
    assert!(answer.cut && answer.body.len() <= (1 << 20) + (64 << 10), "{}", answer.body.len());
    assert!(running.log().contains("end=output-limit"), "{}", running.log());
}

#[tokio::test]
async fn standard_error_is_logged_with_its_request_and_cut_at_the_limit() {
    let running = probe_with("stderr = 1024").await;
    running.get("/log?something%20happened").await;
    let log = running.log();
    let line = log.lines().find(|line| line.contains("something happened")).expect("the line is logged");
    assert!(line.contains("stderr") && line.contains("route=\"/...\"") && line.contains("id="), "{line}");
    running.get("/stderr?100000").await;
    assert!(running.log().contains("the rest is dropped"));
    assert!(running.log().len() < 50_000);
}

/// Asks for the arguments until the answer has this status.
async fn asked_until(running: &Running, status: u16) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = running.get("/args").await;
        if answer.status == status {
            return answer;
        }
        assert!(begun.elapsed() < LONG, "{answer:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_over_the_limit_wait_and_then_are_turned_away() {
    let running = Test::new()
        .top("[limits]\nqueue_wait = '50ms'")
        .file_module("/...", &probe(), "limits = { concurrency = 1, time_between_outputs = '10m' }")
        .start()
        .await;
    let running = std::sync::Arc::new(running);
    let slow = tokio::spawn({
        let running = running.clone();
        async move { running.get("/sleep?600000").await }
    });
    // The first is known to hold the place once a second one is turned away.
    let refused = asked_until(&running, 503).await;
    assert_eq!(refused.header("retry-after"), "1");
    // Its client leaves.
    slow.abort();
    assert_eq!(asked_until(&running, 200).await.text(), "\"/args\"\n");
}

#[tokio::test]
async fn a_trap_names_the_function_it_happened_in() {
    let guest = printing_then("", "(call $bad)").trim_end().strip_suffix(')').unwrap().to_owned()
        + "(func $bad (unreachable)))";
    let running = Test::at("/", &guest).start().await;
    running.get("/").await;
    assert!(running.log().contains("bad"), "{}", running.log());
}

#[tokio::test]
async fn every_request_gets_a_fresh_instance() {
    let counter = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\1b\00\00\00") (data (i32.const 16) "Content-Type: text/plain\n\n0")
        (global $count (mut i32) (i32.const 0))
        (func (export "_start")
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (i32.store8 (i32.const 42) (i32.add (i32.load8_u (i32.const 42)) (global.get $count)))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    let running = Test::at("/", counter).start().await;
    for _ in 0..100 {
        assert_eq!(running.get("/").await.text(), "1");
    }
}
