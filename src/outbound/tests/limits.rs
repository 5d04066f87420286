//! What a call may take.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::net::connect::transport::{Pending, Transport};
use crate::net::interim::MAX_INTERIM;
use crate::outbound::tests::*;

/// Calls that wait at once, all on the one thread of the test.
const CALLS: usize = 300;

const URL: &str = "http://10.0.0.1/";

fn client(server: SocketAddr, limits: CallLimits) -> Client {
    network(FakeTransport::new(server)).client(allowed(&[URL]), limits)
}

#[tokio::test]
async fn bodies_have_a_limit_whether_or_not_their_length_is_known() {
    let limits = || CallLimits { body: 10, ..CallLimits::default() };
    let known = client(server(|request| answer(200, &[], request.uri().path()[1..].to_owned())).await, limits());
    assert_eq!(get(&known, "http://10.0.0.1/1234567890").await.expect("an answer").body().len(), 10);
    assert!(matches!(get(&known, "http://10.0.0.1/12345678901").await, Err(Error::TooLarge(10))));
    for bytes in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n5\r\n12345\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n12345678901",
    ] {
        let client = client(raw_server(bytes).await, limits());
        assert!(matches!(get(&client, URL).await, Err(Error::TooLarge(10))));
    }
}

#[tokio::test]
async fn response_heads_have_a_limit() {
    let long = |request: ServerRequest| {
        let length = request.uri().path()[1..].parse().expect("a length");
        answer(200, &[("x-long", &"x".repeat(length))], "")
    };
    let client = client(server(long).await, CallLimits { headers: 8 * 1024, ..CallLimits::default() });
    for (length, fits) in [(7 * 1024, true), (9 * 1024, false), (1024 * 1024, false)] {
        let answered = get(&client, &format!("{URL}{length}?{}", "x".repeat(9 * 1024))).await;
        assert_eq!(answered.map_err(|error| error.code()).is_ok(), fits, "{length}");
    }
}

#[tokio::test]
async fn time_is_limited_for_the_whole_and_for_silence_and_by_the_run() {
    let short = Duration::from_millis(50);
    for (bytes, limits, time_left) in [
        (&b""[..], CallLimits { total: short, ..CallLimits::default() }, LONG),
        (b"", CallLimits::default(), short),
        (b"", CallLimits::default(), Duration::ZERO),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", CallLimits { idle: short, ..CallLimits::default() }, LONG),
    ] {
        let client = client(raw_server(bytes).await, limits);
        let request = request(&client, "GET", URL, "", "").expect("a request");
        assert!(matches!(client.send(request, None, time_left).await, Err(Error::TimedOut)));
    }
}

#[tokio::test]
async fn interim_responses_are_counted() {
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let answered = hint.repeat(MAX_INTERIM) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let some = client(raw_server(answered.leak().as_bytes()).await, CallLimits::default());
    assert_eq!(text(&get(&some, URL).await.expect("an answer")), "hi");
    let many = client(raw_server(hint.repeat(MAX_INTERIM + 1).leak().as_bytes()).await, CallLimits::default());
    let error = get(&many, URL).await.expect_err("there is no answer");
    assert!(matches!(error, Error::TooManyInterim(_)) && error.code() == 11, "{error}");
}

/// A transport that never says anything.
struct Silent;

impl Transport for Silent {
    fn lookup(&self, _: String, _: u16, turn: OwnedSemaphorePermit) -> Pending<Vec<SocketAddr>> {
        Box::pin(async move {
            let _turn = turn;
            std::future::pending().await
        })
    }

    fn connect(&self, _: SocketAddr) -> Pending<TcpStream> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn resolving_and_connecting_have_their_own_time() {
    let short = Duration::from_millis(50);
    let limits = CallLimits { resolve: short, connect: short, ..CallLimits::default() };
    let client = network(Arc::new(Silent)).client(allowed(&[URL, "a.example"]), limits);
    assert!(matches!(get(&client, "http://a.example/").await, Err(Error::Resolve { .. })));
    assert!(matches!(get(&client, URL).await, Err(Error::Connect { .. })));
}

#[tokio::test]
async fn connections_of_a_script_are_counted() {
    let limits = CallLimits { connections: 1, connect: Duration::from_millis(50), ..CallLimits::default() };
    let transport = FakeTransport::new(server(|_| answer(200, &[], "")).await);
    let client = network(transport.clone()).client(allowed(&[URL, "http://10.0.0.2"]), limits);
    get(&client, URL).await.expect("an answer");
    // The first is idle now, but there.
    assert!(matches!(get(&client, "http://10.0.0.2/").await, Err(Error::Connect { .. })));
    get(&client, URL).await.expect("an answer");
    assert_eq!(transport.dialled(), ["10.0.0.1:80"]);
}

#[tokio::test]
async fn all_scripts_share_the_room_for_answers() {
    let mut network = network(FakeTransport::new(server(|_| answer(200, &[], "123456")).await));
    network.memory = Arc::new(Semaphore::new(10));
    let [one, other] = [(), ()].map(|()| network.client(allowed(&[URL]), CallLimits::default()));
    let held = get(&one, URL).await.expect("an answer");
    let error = get(&other, URL).await.expect_err("too much");
    assert_eq!((error.code(), network.memory.available_permits()), (12, 4));
    drop(held);
    get(&other, URL).await.expect("an answer");
}

#[tokio::test]
async fn a_call_ends_when_nobody_waits_for_it() {
    let (entered, mut has_entered) = tokio::sync::mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut bytes = [0; 4096];
        while let Ok(1..) = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await {
            entered.send(()).expect("the test listens");
        }
    });
    let client = client(address, CallLimits::default());
    let request = request(&client, "GET", URL, "", "").expect("a request");
    let call = tokio::spawn(async move { client.send(request, None, LONG).await });
    has_entered.recv().await.expect("a request");
    call.abort();
    server.await.expect("the connection ends");
}

#[tokio::test]
async fn waiting_calls_take_no_thread() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let transport = FakeTransport::new(listener.local_addr().expect("an address"));
    // Answers only when all have come.
    tokio::spawn(async move {
        let mut streams = Vec::new();
        while streams.len() < CALLS {
            streams.push(listener.accept().await.expect("a connection").0);
        }
        for stream in &mut streams {
            // An answer that comes before its request would be none.
            let mut request = [0; 4096];
            tokio::io::AsyncReadExt::read(stream, &mut request).await.expect("a request");
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(stream, answer).await.expect("a reader");
        }
        std::future::pending::<()>().await;
    });
    let client = network(transport).client(allowed(&[URL]), CallLimits::default());
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { get(&client, URL).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("no panic").expect("an answer").status(), 200);
    }
}
