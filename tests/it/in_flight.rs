//! Which requests are listed while they go on and after they have failed, and how an operator ends one.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use wagi::ResponseBody;
use wagi::observe::{FailedRequest, InFlightRequest, Phase};

use crate::support::LONG;
use crate::support::guest::{component, probe};
use crate::support::harness::{Running, Test};

/// A guest that says something on standard error, and then sleeps for a minute or traps.
const TALKER: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 3)
    (data (i32.const 0) "\10\00\00\00\1d\00\00\00")
    (data (i32.const 16) "out of <b>luck</b> \22here\22 \ff\n\00")
    ;; A subscription to the monotonic clock: 60 s.
    (data (i32.const 80) "\01\00\00\00\00\00\00\00\00\58\47\f8\0d\00\00\00")
    (func $say (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8))))
    (func (export "sleep") (call $say) (drop (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8))))
    (func $inner unreachable)
    (func $outer (call $inner))
    (func (export "trap") (call $say) (call $outer)))"#;

async fn talkers() -> Running {
    let test = Test::new().module("/sleep", TALKER, "entrypoint = 'sleep'");
    test.module("/trap/...", TALKER, "entrypoint = 'trap'").start().await
}

/// Waits for a condition without holding up the server.
async fn eventually<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < LONG, "waited {LONG:?} in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until there is one request in flight, in this phase.
async fn only(running: &Running, phase: Phase) -> InFlightRequest {
    eventually(|| match &running.gateway().requests_in_flight()[..] {
        [request] if request.phase == phase => Some(request.clone()),
        _ => None,
    })
    .await
}

fn send(running: &Running, target: &str) -> tokio::task::JoinHandle<Response<ResponseBody>> {
    let (gateway, request) = (running.gateway().clone(), Request::get(target).body(Empty::new()).expect("a request"));
    tokio::spawn(async move { gateway.handle(request).await })
}

fn last_failure(running: &Running) -> FailedRequest {
    running.gateway().failed_requests().into_iter().next().expect("a request has failed")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_computes_is_listed_and_cancelled_with_504() {
    let running = Test::new().file_module("/p/...", &probe(), "").start().await;
    let sent = send(&running, "/p/spin?a=%3Cb%3E");
    let computes = |request: &InFlightRequest| request.cpu_time > Duration::from_millis(20) && request.memory > 0;
    let request = eventually(|| running.gateway().requests_in_flight().into_iter().find(computes)).await;
    assert_eq!((request.route.as_str(), request.method.as_str()), ("/p/...", "GET"));
    assert_eq!((request.target.as_str(), request.phase), ("/p/spin?a=%3Cb%3E", Phase::Guest));
    assert!(request.age >= request.cpu_time, "{request:?}");
    assert_eq!(request.to_json()["phase"], "guest");
    assert!(!running.gateway().cancel_request("0000000000000000"));
    assert!(running.gateway().cancel_request(&request.id));
    let response = sent.await.expect("a response");
    assert_eq!(response.status(), 504);
    drop(response);
    assert!(running.gateway().requests_in_flight().is_empty());
    assert!(!running.gateway().cancel_request(&request.id));
    let log = running.log();
    assert!(log.contains("end=cancelled") && log.contains("reason=\"an operator has ended the request\""), "{log}");
    let failed = last_failure(&running);
    assert_eq!((failed.id, failed.end.as_str(), failed.status), (request.id, "cancelled", 504));
    assert!(
        running
            .gateway()
            .render_metrics()
            .contains("wagi_guest_ends_total{http_route=\"/p/...\",end=\"cancelled\"} 1\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_sleeps_is_waiting_and_its_standard_error_is_kept_when_it_is_cancelled() {
    let running = talkers().await;
    let sent = send(&running, "/sleep");
    let request = only(&running, Phase::Waiting).await;
    assert!(request.memory >= 3 << 16, "{request:?}");
    assert!(running.gateway().cancel_request(&request.id));
    assert_eq!(sent.await.expect("a response").status(), 504);
    assert_eq!(last_failure(&running).stderr, "out of <b>luck</b> \"here\" \u{fffd}\n\0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_the_queue_is_cancelled_without_a_guest() {
    let limits = "limits = { concurrency = 1, cpu_time = '10m', time_to_head = '10m' }";
    let test = Test::new().top("[limits]\nqueue_wait = '10m'").file_module("/...", &probe(), limits);
    let running = test.start().await;
    let first = send(&running, "/spin");
    only(&running, Phase::Guest).await;
    let second = send(&running, "/args");
    let queued = |request: &InFlightRequest| request.phase == Phase::Queue;
    let request = eventually(|| running.gateway().requests_in_flight().into_iter().find(queued)).await;
    assert!(running.gateway().cancel_request(&request.id));
    assert_eq!(second.await.expect("a response").status(), 504);
    let failed = last_failure(&running);
    assert!(failed.times.queue > Duration::ZERO && failed.guest.is_none(), "{failed:?}");
    first.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_being_read() {
    let running = Test::new().file_module("/...", &probe(), "").start().await;
    let never = futures_util::stream::pending::<Result<http_body::Frame<Bytes>, Infallible>>();
    let (gateway, request) = (running.gateway().clone(), Request::post("/stdin").body(StreamBody::new(never)));
    let sent = tokio::spawn(async move { gateway.handle(request.expect("a request")).await });
    let request = only(&running, Phase::Reading).await;
    assert!(running.gateway().cancel_request(&request.id));
    assert_eq!(sent.await.expect("a response").status(), 504);
    assert!(last_failure(&running).times.reading > Duration::ZERO);
}

/// A body of a known length that does not come: its guest waits for it.
struct Stalled;

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(10)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_waits_for_its_body_is_reading() {
    let running = Test::new().file_module("/...", &probe(), "").start().await;
    let (gateway, request) = (running.gateway().clone(), Request::post("/stdin").body(Stalled));
    let sent = tokio::spawn(async move { gateway.handle(request.expect("a request")).await });
    let request = only(&running, Phase::Reading).await;
    assert!(running.gateway().cancel_request(&request.id));
    assert_eq!(sent.await.expect("a response").status(), 504);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_that_its_client_does_not_take_is_sending_and_its_guest_ends_without_the_client() {
    let test = Test::new().top("[limits]\nqueue_wait = '10m'");
    let running = test.file_module("/...", &probe(), "limits = { concurrency = 1 }").start().await;
    let mut response = send(&running, "/flood?100000000").await.expect("a response");
    assert_eq!(response.status(), 200);
    response.body_mut().frame().await.expect("a frame").expect("no failure");
    let request = only(&running, Phase::Sending).await;
    assert!(running.gateway().cancel_request(&request.id));
    // Its permit is free, although nothing was taken.
    assert_eq!(running.get("/args").await.status, 200);
    let rest = response.into_body().collect().await;
    assert!(rest.is_err());
    let log = running.log();
    assert!(log.contains("reason=\"cut after the head: an operator has ended the request\""), "{log}");
    assert_eq!(last_failure(&running).end.as_str(), "cancelled");
}

/// Takes what is there of a body, as a connection that then waits for more.
fn take_what_is_there(body: &mut ResponseBody) {
    while let Poll::Ready(Some(Ok(_))) = pin!(body.frame()).poll(&mut Context::from_waker(Waker::noop())) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_silent_is_cut_when_it_is_cancelled() {
    let running = Test::new().file_module("/...", &probe(), "").start().await;
    let mut response = send(&running, "/sleep?60000").await.expect("a response");
    let request = eventually(|| {
        take_what_is_there(response.body_mut());
        running.gateway().requests_in_flight().into_iter().find(|request| request.phase == Phase::Waiting)
    })
    .await;
    assert!(running.gateway().cancel_request(&request.id));
    assert!(response.into_body().collect().await.is_err());
    assert!(running.log().contains("end=cancelled"), "{}", running.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_listed_and_cancelled_too() {
    let running = Test::new().file_module("/...", &component("http-probe.wasm"), "").start().await;
    let (gateway, request) = (running.gateway().clone(), Request::post("/echo").body(Stalled));
    let sent = tokio::spawn(async move { gateway.handle(request.expect("a request")).await });
    let request = eventually(|| running.gateway().requests_in_flight().pop()).await;
    assert!(running.gateway().cancel_request(&request.id));
    drop(sent.await.expect("a response"));
    assert!(running.gateway().requests_in_flight().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_is_kept_with_its_backtrace_and_the_words_of_its_guest() {
    let running = talkers().await;
    assert_eq!(running.get("/trap/x?%3Cscript%3E").await.status, 500);
    let failed = last_failure(&running);
    assert_eq!((failed.route.as_str(), failed.target.as_str()), ("/trap/...", "/trap/x?%3Cscript%3E"));
    assert!(failed.module.ends_with("guest1.wat"), "{failed:?}");
    assert!(failed.reason.starts_with("the guest trapped: wasm trap: "), "{failed:?}");
    assert_eq!(failed.stderr, "out of <b>luck</b> \"here\" \u{fffd}\n\0");
    let backtrace = failed.backtrace.clone().expect("a trap has one");
    let names: Vec<_> = backtrace.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(names[..2], ["inner", "outer"], "{backtrace}");
    assert!(failed.guest.is_some() && failed.memory >= 3 << 16, "{failed:?}");
    let json = failed.to_json();
    assert_eq!((&json["end"], &json["client"]), (&"trap".into(), &"192.168.0.1".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_that_are_as_they_should_be_are_no_failures() {
    let running = Test::new().file_module("/p/...", &probe(), "").start().await;
    for (target, status) in [("/p/args", 200), ("/p/status?503", 503), ("/nowhere", 404)] {
        assert_eq!(running.get(target).await.status, status, "{target}");
    }
    assert!(running.gateway().failed_requests().is_empty());
    assert_eq!(running.get("/p/exit?3").await.status, 500);
    assert_eq!(running.gateway().failed_requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once_are_each_listed_once_and_gone_at_the_end() {
    let limits = "limits = { cpu_time = '10m', time_to_head = '10m' }";
    let running = Arc::new(Test::new().file_module("/...", &probe(), limits).start().await);
    let sent: Vec<_> = (0..20).map(|number| send(&running, &format!("/spin?{number}"))).collect();
    let requests = eventually(|| Some(running.gateway().requests_in_flight()).filter(|list| list.len() == 20)).await;
    let mut targets: Vec<_> = requests.iter().map(|request| request.target.clone()).collect();
    targets.sort();
    targets.dedup();
    assert_eq!(targets.len(), 20);
    assert!(requests.is_sorted_by(|one, other| one.age >= other.age));
    assert!(requests.iter().all(|request| running.gateway().cancel_request(&request.id)));
    for response in sent {
        assert_eq!(response.await.expect("a response").status(), 504);
    }
    assert!(running.gateway().requests_in_flight().is_empty());
    let gateway = running.gateway();
    gateway.handle(Request::get("/args").body(Full::<Bytes>::default()).expect("a request")).await;
    assert!(gateway.requests_in_flight().is_empty());
}
