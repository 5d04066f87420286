//! How long the client of registries and bindle servers waits.

use http::HeaderMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::sleep;
use tokio_rustls::rustls::RootCertStore;
use url::Url;

use std::time::Duration;

use crate::net::client::{ClientError, Fetch, FetchResponse, HttpClient};
use crate::net::connect::transport::SystemTransport;
use crate::net::interim::MAX_INTERIM;
use crate::net::response::FetchTimeouts;
use crate::net::tests::*;
use crate::net::tls;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);
const LONG_TIMEOUTS: FetchTimeouts = FetchTimeouts { head: LONG, idle: LONG, total: LONG };

fn client(timeouts: FetchTimeouts) -> HttpClient {
    let tls = Arc::new(tls::verified(RootCertStore::empty()).expect("TLS"));
    HttpClient::with(&tls, &(Arc::new(SystemTransport) as Arc<dyn Transport>), timeouts)
}

/// Starts a server that writes `head` and then `piece` again and again, with a pause each time.
async fn endless(head: &'static str, piece: &'static str, pause: Duration) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let mut written = stream.write_all(head.as_bytes()).await;
                while written.is_ok() {
                    sleep(pause).await;
                    written = stream.write_all(piece.as_bytes()).await;
                }
            });
        }
    });
    Url::parse(&format!("http://{address}/")).expect("a URL")
}

async fn get(client: &HttpClient, url: &Url, fetch: Fetch) -> Result<FetchResponse, ClientError> {
    client.get(url, &HeaderMap::new(), fetch).await
}

#[tokio::test]
async fn a_body_that_drips_has_a_total_and_a_second_request_of_the_fetch_gets_no_more() {
    let url = endless("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "x", Duration::from_millis(5)).await;
    let (client, fetch) = (client(FetchTimeouts { total: 5 * SHORT, ..LONG_TIMEOUTS }), Fetch::start());
    let error = get(&client, &url, fetch).await.expect("a head").bytes(u64::MAX).await.expect_err("too slow");
    assert!(matches!(&error, ClientError::TooSlow { .. }) && !error.is_transient(), "{error}");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
    let again = get(&client, &url, fetch).await.map(drop);
    assert!(matches!(again, Err(ClientError::HeadTimedOut { .. })), "{again:?}");
}

#[tokio::test]
async fn bytes_give_a_fetch_more_time_whether_or_not_their_number_is_known() {
    // The bytes of four seconds at the slowest speed, and then silence.
    let body = "x".repeat(64 << 10);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", 1 << 20);
    let url = endless(head.leak(), "", LONG).await;
    let timeouts = FetchTimeouts { total: SHORT, ..LONG_TIMEOUTS };
    for size in [0, 64 << 10] {
        let begun = std::time::Instant::now();
        let error = get(&client(timeouts), &url, Fetch::start_sized(size)).await.expect("a head").bytes(u64::MAX).await;
        let error = error.expect_err("too slow").to_string();
        assert!(error.contains("has not arrived in full within 4 s"), "{error}");
        assert!(begun.elapsed() > 10 * SHORT, "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_patient_client_waits_for_longer_in_each_step() {
    let short = FetchTimeouts { head: Duration::ZERO, idle: Duration::ZERO, total: Duration::ZERO };
    let url = endless("", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", SHORT).await;
    let hasty = get(&client(short), &url, Fetch::start()).await.map(drop);
    assert!(matches!(hasty, Err(ClientError::HeadTimedOut { .. })), "{hasty:?}");
    let mut response = get(&client(short).patient(LONG), &url, Fetch::start()).await.expect("a head");
    assert_eq!(response.bytes(100).await.expect("a body").len(), 100);
}

#[tokio::test]
async fn silence_within_a_body_has_a_time_of_its_own() {
    let url = endless("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", "", LONG).await;
    let client = client(FetchTimeouts { idle: SHORT, ..LONG_TIMEOUTS });
    let error = get(&client, &url, Fetch::start()).await.expect("a head").bytes(9).await.expect_err("it stalls");
    assert!(matches!(error, ClientError::BodyStalled { .. }), "{error}");
}

#[tokio::test]
async fn redirects_share_the_time_for_the_head() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = Url::parse(&format!("http://{}/", listener.local_addr().expect("an address"))).expect("a URL");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                while let Ok(1..) = stream.read(&mut [0; 4096]).await {
                    sleep(SHORT / 2).await;
                    let _ = stream.write_all(b"HTTP/1.1 307 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n").await;
                }
            });
        }
    });
    let client = client(FetchTimeouts { head: SHORT, ..LONG_TIMEOUTS });
    let result = get(&client, &url, Fetch::start()).await.map(drop);
    assert!(matches!(result, Err(ClientError::HeadTimedOut { .. })), "{result:?}");
}

#[tokio::test]
async fn interim_responses_are_counted() {
    let client = client(LONG_TIMEOUTS);
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let url = endless("HTTP/1.1 100 Continue\r\n\r\n", hint, Duration::from_millis(1)).await;
    let error = get(&client, &url, Fetch::start()).await.map(drop).expect_err("there is no response");
    assert!(matches!(&error, ClientError::TooManyInterim { .. }) && !error.is_transient(), "{error}");
    let some = hint.repeat(MAX_INTERIM) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    let url = endless(some.leak(), "", LONG).await;
    let mut response = get(&client, &url, Fetch::start()).await.expect("a response");
    assert_eq!((response.status.as_u16(), response.bytes(9).await.expect("a body").as_slice()), (200, &b"hi"[..]));
}
