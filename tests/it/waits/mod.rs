//! The clocks of guests that could read a body and do something else: they stand still only while a guest waits for its
//! client, and that has a limit too.

mod guests;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use crate::support::guest::{component, printing, probe};
use crate::support::harness::{Running, Test};
use crate::support::http1::Connection;
use crate::support::process::Wagi;
use crate::support::site::Site;
use crate::support::upstream::Upstream;
use crate::support::{LONG, PATIENCE, alone};
use crate::uploads::connect;
use crate::waits::guests::Leaving;

const LIMIT: Duration = Duration::from_secs(2);
const LIMITS: &str =
    "limits = { time_to_head = '2s', time_between_outputs = '2s', cpu_time = '60s', concurrency = 200 }";

/// For how long the guests look at their bodies. They do wait meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// How late a machine may be that runs all tests at once, and ends a hundred guests in the same moment.
const LATE: Duration = Duration::from_secs(5);

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

/// A server that never answers.
fn silent() -> Upstream {
    Upstream::start_with(|_, _| {
        thread::sleep(PATIENCE);
        Ok(())
    })
}

/// Both ways in which a body comes late, for one guest.
fn late(target: &str, length: Option<u64>, behind: bool) -> [Row; 2] {
    [PATIENCE * 2, LIMIT / 2].map(|byte| Row { target: target.to_owned(), length, byte, behind })
}

/// The table, in parts: there are not permits enough for all these uploads at once.
fn tables(url: &str, guests: &[Leaving]) -> [Vec<Row>; 2] {
    let mut components = Vec::new();
    for what in ["sleep", "spin", "call"] {
        for when in ["before", "behind"] {
            for how in ["poll", "read", "drop"] {
                components.extend(late(&format!("/p2/leave?{how},{what},{when},{url}"), Some(10), when == "behind"));
            }
            for how in ["read", "cancel", "drop"] {
                components.extend(late(&format!("/p3/leave?{how},{what},{when},{url}"), None, when == "behind"));
            }
        }
    }
    let guests = guests.iter().flat_map(|guest| late(&guest.route, Some(10), guest.is_behind));
    [components, guests.collect()]
}

/// What is wrong with the end of a row. `measure` says what the machine makes of the same limit.
fn wrong(row: &Row, (status, cut, took): (u16, bool, Duration), measure: Duration) -> Option<String> {
    let ended = if row.behind { (status, cut) == (200, true) } else { status == 504 };
    let in_time = took > LIMIT * 9 / 10 && took < measure * 11 / 10 + LOOK + LATE;
    (!ended || !in_time).then(|| format!("{} {:?} {:?}: {status} {cut} {took:?}", row.target, row.length, row.byte))
}

async fn leave_and_do_something_else() {
    let silent = silent();
    let url = silent.url("/");
    let keys = format!("allowed_hosts = ['http://127.0.0.1']\n{LIMITS}");
    let mut test = Test::new()
        .file_module("/probe/...", &probe(), LIMITS)
        .file_module("/p2/...", &component("http-probe.wasm"), &keys)
        .file_module("/p3/...", &component("http3-probe.wasm"), &keys);
    let guests = guests::all(&url);
    for guest in &guests {
        test = test.module(&guest.route, &guest.text, &keys);
    }
    let running = std::sync::Arc::new(test.start().await);
    for rows in tables(&url, &guests) {
        let mut requests = JoinSet::new();
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
        let answers = requests.join_all().await;
        let failed: Vec<_> = answers.into_iter().filter_map(|(row, answer)| wrong(&row, answer, measure)).collect();
        assert!(failed.is_empty(), "against {measure:?}:\n{}", failed.join("\n"));
    }
    for reason in ["no complete head within 2s", "printed nothing for 2s"] {
        assert!(running.log().contains(reason), "{reason}");
    }
}

/// The same guests behind a real server.
fn site(url: &str, limits: &str) -> Wagi {
    let keys = format!("allowed_hosts = ['http://127.0.0.1']\n{limits}");
    let mut site = Site::new()
        .text_module("/hello", &printing("Content-Type: text/plain\n\nhello\n"), "")
        .module("/probe/...", &probe(), limits)
        .module("/p2/...", &component("http-probe.wasm"), &keys)
        .module("/p3/...", &component("http3-probe.wasm"), &keys);
    for guest in guests::all(url) {
        site = site.text_module(&guest.route, &guest.text, &keys);
    }
    site.start(&[])
}

/// Sends a POST over HTTP/2 whose byte comes when the row says, and reads what comes.
async fn post_http2(client: SendRequest<Bytes>, row: &Row) -> (u16, bool, Duration) {
    let begun = Instant::now();
    let mut request = Request::post(format!("http://localhost{}", row.target));
    if let Some(length) = row.length {
        request = request.header("content-length", length);
    }
    let mut client = client.ready().await.expect("room for a stream");
    let (response, mut body) = client.send_request(request.body(()).expect("a request"), false).expect("a stream");
    let pause = row.byte;
    let byte = tokio::spawn(async move {
        tokio::time::sleep(pause).await;
        // The stream may be over.
        let _ = body.send_data(Bytes::from_static(b"x"), false);
        std::future::pending::<()>().await;
    });
    let response = timeout(LONG, response).await.expect("an answer in time").expect("an answer");
    let (status, mut body, mut cut) = (response.status().as_u16(), response.into_body(), false);
    while let Some(piece) = timeout(LONG, body.data()).await.expect("an end in time") {
        if piece.is_err() {
            cut = true;
            break;
        }
    }
    let took = begun.elapsed();
    byte.abort();
    (status, cut, took)
}

#[test]
fn a_guest_that_leaves_its_body_over_http_2_is_ended_by_its_limits() {
    let _alone = alone();
    Runtime::new().expect("a runtime").block_on(async {
        let silent = silent();
        let url = silent.url("/");
        let wagi = site(&url, LIMITS);
        let address = wagi.address();
        let mut clients = Vec::new();
        // One address may not have that many uploads.
        for last in 1..=4 {
            let (client, connection) = client::handshake(connect(wagi.address(), last).await).await.expect("HTTP/2");
            tokio::spawn(connection);
            clients.push(client);
        }
        for rows in tables(&url, &guests::all(&url)) {
            // The same limit without a body says what the machine makes of it now.
            let mut measures = JoinSet::new();
            for _ in 0..8 {
                measures.spawn_blocking(move || {
                    let begun = Instant::now();
                    let mut connection = Connection::open(address);
                    connection.send("GET /probe/never-read?60000 HTTP/1.1\r\nHost: a\r\n\r\n");
                    assert!(connection.try_answer().is_err());
                    begun.elapsed()
                });
            }
            let mut requests = JoinSet::new();
            for (number, row) in rows.into_iter().enumerate() {
                let client = clients[number % clients.len()].clone();
                requests.spawn(async move {
                    let answer = post_http2(client, &row).await;
                    (row, answer)
                });
            }
            let answers = requests.join_all().await;
            let measures = measures.join_all().await;
            let measure = measures.into_iter().max().unwrap_or(LIMIT).max(LIMIT);
            let failed: Vec<_> = answers.into_iter().filter_map(|(row, answer)| wrong(&row, answer, measure)).collect();
            assert!(failed.is_empty(), "against {measure:?}:\n{}", failed.join("\n"));
        }
    });
}

/// They may have half of the permits, whatever their clients send or do not send.
#[tokio::test(flavor = "multi_thread")]
async fn guests_that_leave_their_bodies_leave_permits_for_all_others() {
    let wagi = site("http://127.0.0.1:1/", "limits = { time_to_head = '60s', time_between_outputs = '60s' }");
    let targets = [
        "/module/sleep/before",
        "/module/sleep/behind",
        "/p2/leave?poll,sleep,before,",
        "/p2/leave?read,sleep,behind,",
    ];
    let mut held = Vec::new();
    for number in 0..256 {
        let last = u8::try_from(number % 10 + 1).expect("a byte");
        let mut stream = connect(wagi.address(), last).await;
        let target = targets[number % targets.len()];
        let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("the server reads");
        held.push(stream);
        let mut stream = connect(wagi.address(), if number.is_multiple_of(2) { last } else { 11 }).await;
        stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("a whole answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{number}: {answer}");
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
        assert!(ended && took >= limit && took < limit * 2, "{target} {length:?}: {status} {cut} {took:?}");
    }
    assert!(running.log().contains("the client stopped sending the request body"), "{}", running.log());
}

/// Honest clients: what is slow is the network, and no clock of the guest counts that.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_upload_outlasts_the_limits_of_its_guest() {
    let keys = "limits = { time_to_head = '2s', time_between_outputs = '2s' }";
    let running = Test::new()
        .file_module("/module/...", &probe(), keys)
        .file_module("/p2/...", &component("http-probe.wasm"), keys)
        .file_module("/p3/...", &component("http3-probe.wasm"), keys)
        .start()
        .await;
    for (target, expected) in [("/module/stdin", "10 "), ("/p2/count", "10 bytes"), ("/p3/echo", "xxxxxxxxxx")] {
        let body = http_body_util::BodyExt::boxed(Ten(Dripping::new(Some(10), Duration::from_millis(300)), 10));
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
