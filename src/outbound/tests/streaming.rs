//! Requests that are streamed, and what is refused of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};

use crate::net::tests::{FakeTransport, answer, server};
use crate::outbound::tests::client;
use crate::outbound::{CallTimeouts, Error, StreamingRequest};

type Body = UnsyncBoxBody<Bytes, Error>;

/// A body whose length is not known.
fn pieces(pieces: &'static [&'static str]) -> Body {
    let frames = pieces.iter().map(|piece| Ok(http_body::Frame::data(Bytes::from_static(piece.as_bytes()))));
    StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync()
}

fn whole(text: &'static str) -> Body {
    Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed_unsync()
}

/// What a server says that sends its requests' Content-Length and Transfer-Encoding back, and how many requests it has seen.
async fn sent(request: Request<Body>) -> (Result<String, Error>, usize) {
    let seen = Arc::new(AtomicUsize::new(0));
    let transport = {
        let seen = seen.clone();
        FakeTransport::new(
            server(move |request| {
                seen.fetch_add(1, Ordering::Relaxed);
                let field = |name: &str| request.headers().get(name).map_or("-".into(), |value| format!("{value:?}"));
                let framing = format!("{} {}", field("content-length"), field("transfer-encoding"));
                answer(200, &[("x-framing", &framing)], "")
            })
            .await,
        )
    };
    let client = client(&transport, &["http://10.0.0.1"]);
    let budget = client.budget(None);
    let request =
        StreamingRequest { request, timeouts: CallTimeouts::default(), budget: Arc::downgrade(&budget), tracer: None };
    let response = client.send_streaming(request).await;
    (
        response.map(|response| response.headers()["x-framing"].to_str().expect("text").to_owned()),
        seen.load(Ordering::Relaxed),
    )
}

fn request(method: Method, path: &str, body: Body) -> Request<Body> {
    Request::builder().method(method).uri(format!("http://10.0.0.1{path}")).body(body).expect("a request")
}

/// The library sends no body with a GET unless it knows the length.
#[tokio::test]
async fn a_body_that_would_not_be_sent_is_an_error() {
    for method in [Method::GET, Method::HEAD] {
        let (refused, _) = sent(request(method.clone(), "/", pieces(&["", "body"]))).await;
        assert!(matches!(refused, Err(Error::UnexpectedBody(_))), "{method}: {refused:?}");
        for empty in [pieces(&[]), pieces(&["", ""]), whole("")] {
            let (accepted, _) = sent(request(method.clone(), "/", empty)).await;
            assert_eq!(accepted.expect("no body"), "- -", "{method}");
        }
    }
    let (accepted, _) = sent(request(Method::GET, "/", whole("body"))).await;
    assert_eq!(accepted.expect("its length is known"), "\"4\" -");
    let mut announced = request(Method::GET, "/", pieces(&["bo", "dy"]));
    announced.headers_mut().insert("content-length", http::HeaderValue::from_static("4"));
    assert_eq!(sent(announced).await.0.expect("its length is known"), "\"4\" -");
    let (accepted, _) = sent(request(Method::DELETE, "/", pieces(&["body"]))).await;
    assert_eq!(accepted.expect("a body"), "- \"chunked\"");
}

#[tokio::test]
async fn what_no_program_may_send_reaches_no_server() {
    let pri = Method::from_bytes(b"PRI").expect("a token");
    for (method, path, expected) in [
        (Method::TRACE, "/", 11),
        (pri, "/", 11),
        (Method::CONNECT, "/", 11),
        (Method::GET, "/caf\u{e9}", 10),
        (Method::GET, "/?\u{e9}", 10),
    ] {
        let (refused, seen) = sent(request(method.clone(), path, whole(""))).await;
        assert_eq!((refused.expect_err("refused").code(), seen), (expected, 0), "{method} {path}");
    }
    assert!(sent(request(Method::GET, "/caf%C3%A9", whole(""))).await.0.is_ok());
}
