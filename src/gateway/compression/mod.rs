//! Is a response compressed, and how does its head change then?
//!
//! tower-http encodes the body. Called for the routes with `compress = true`, at the end of the request path. A failed
//! transfer stays a failed one: the encoder does not end its stream when the body fails.

mod eligible;
pub(in crate::gateway) mod encoder_input;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::header::{ACCEPT_ENCODING, ETAG, IF_NONE_MATCH, VARY};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::Body;
use tower_http::CompressionLevel;
use tower_http::compression::{Compression, CompressionBody};
use tower_service::Service;

use crate::content::coding::{AcceptedCodings, ContentCoding};
use crate::gateway::admission::client_shares::{Permitted, SharedPermit};
use crate::gateway::response_body::ResponseBody;

/// The response to `request`, in the coding that the client prefers if it gains by that. Without a permit for an encoder it stays as it
/// is.
pub(super) async fn compress(
    request: &Parts,
    mut response: Response<ResponseBody>,
    permit: impl FnOnce() -> Option<SharedPermit>,
) -> Response<ResponseBody> {
    let preferred = AcceptedCodings::of(&request.headers).preferred();
    if response.status() == StatusCode::NOT_MODIFIED && preferred.is_some() {
        repeat_etag(&request.headers, response.headers_mut());
    }
    if !eligible::is_eligible(&request.method, &response) {
        if eligible::may_stand_for_eligible(&response) {
            add_vary(response.headers_mut());
        }
        return response;
    }
    add_vary(response.headers_mut());
    let Some(coding) = preferred else { return response };
    // Without content there is nothing to encode; the length stays that of the content as it is.
    if request.method == Method::HEAD {
        weaken_etag(response.headers_mut());
        return response;
    }
    let Some(permit) = permit() else { return response };
    weaken_etag(response.headers_mut());
    let encoded = encoded(coding, response.map(ResponseBody::into_source)).await;
    encoded.map(|body| ResponseBody::compressed(Permitted::new(body, permit)))
}

/// The response in this coding, with `Content-Encoding` and without `Content-Length`.
async fn encoded<B: Body>(coding: ContentCoding, response: Response<B>) -> Response<CompressionBody<B>> {
    let always = |_: StatusCode, _: Version, _: &HeaderMap, _: &Extensions| true;
    let mut encoder = Compression::new(ResponseService).compress_when(always).quality(level(coding));
    let mut request = Request::new(response);
    request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static(coding.name()));
    let Ok(response) = encoder.call(request).await;
    response
}

/// Levels that keep up with a network: about those that Caddy and nginx have by default. Zstd has 1, so that an event stream
/// costs about 1 MiB.
fn level(coding: ContentCoding) -> CompressionLevel {
    CompressionLevel::Precise(match coding {
        ContentCoding::Zstd => 1,
        ContentCoding::Brotli => 4,
        ContentCoding::Gzip => 5,
    })
}

/// A service whose response is in the request.
struct ResponseService;

impl<B> Service<Request<Response<B>>> for ResponseService {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Ready<Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Response<B>>) -> Self::Future {
        ready(Ok(request.into_body()))
    }
}

/// RFC 9110 §12.5.5: another client may get other bytes. The name is added to the list that is there.
fn add_vary(headers: &mut HeaderMap) {
    let names = headers.get_all(VARY).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut names = names.map(<[u8]>::trim_ascii);
    if names.any(|name| name == b"*" || name.eq_ignore_ascii_case(b"accept-encoding")) {
        return;
    }
    let ours = HeaderValue::from_static("Accept-Encoding");
    match headers.get_mut(VARY) {
        Some(first) if !first.as_bytes().trim_ascii().is_empty() => {
            let joined = HeaderValue::from_bytes(&[first.as_bytes(), b", Accept-Encoding"].concat());
            *first = joined.unwrap_or(ours);
        }
        Some(empty) => *empty = ours,
        None => drop(headers.insert(VARY, ours)),
    }
}

/// RFC 9110 §8.8.1: a strong tag would be for the same bytes. What is no tag is left out.
fn weaken_etag(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(ETAG).map(HeaderValue::as_bytes) else { return };
    if tag.starts_with(b"W/") {
        return;
    }
    match HeaderValue::from_bytes(&[b"W/", tag].concat()) {
        Ok(weak) if tag.starts_with(b"\"") => drop(headers.insert(ETAG, weak)),
        _ => drop(headers.remove(ETAG)),
    }
}

/// RFC 9110 §15.4.5: a 304 has the tag that a 200 would have. A client that takes a coding and names the weak tag has a compressed response,
/// to which a strong tag does not belong.
fn repeat_etag(request: &HeaderMap, headers: &mut HeaderMap) {
    let Some(tag) = headers.get(ETAG).map(HeaderValue::as_bytes).filter(|tag| tag.starts_with(b"\"")) else { return };
    let count = |tag: &[u8]| {
        let lists = request.get_all(IF_NONE_MATCH).iter().map(HeaderValue::as_bytes);
        lists.map(|list| list.windows(tag.len()).filter(|found| *found == tag).count()).sum::<usize>()
    };
    // The weak tag ends with the strong one, so both are counted where the client names the weak one.
    let weak = count(&[b"W/", tag].concat());
    if weak > 0 && weak == count(tag) {
        weaken_etag(headers);
    }
}

#[cfg(test)]
mod tests {
    use crate::gateway::compression::*;

    #[test]
    fn vary_is_added_to_what_is_there_and_not_twice() {
        for (before, after) in [
            (&[][..], &["Accept-Encoding"][..]),
            (&[""], &["Accept-Encoding"]),
            (&["Cookie"], &["Cookie, Accept-Encoding"]),
            (&["Cookie", "Origin"], &["Cookie, Accept-Encoding", "Origin"]),
            (&["accept-encoding"], &["accept-encoding"]),
            (&["Cookie, ACCEPT-Encoding"], &["Cookie, ACCEPT-Encoding"]),
            (&["Cookie", "Accept-Encoding"], &["Cookie", "Accept-Encoding"]),
            (&["*"], &["*"]),
            (&["X-Accept-Encoding"], &["X-Accept-Encoding, Accept-Encoding"]),
        ] {
            let mut headers = HeaderMap::new();
            for value in before {
                headers.append(VARY, HeaderValue::from_static(value));
            }
            add_vary(&mut headers);
            assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), after, "{before:?}");
        }
    }

    #[test]
    fn a_strong_etag_becomes_weak() {
        for (before, after) in
            [("\"a\"", Some("W/\"a\"")), ("W/\"a\"", Some("W/\"a\"")), ("\"\"", Some("W/\"\"")), ("a", None)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(ETAG, HeaderValue::from_static(before));
            weaken_etag(&mut headers);
            assert_eq!(headers.get(ETAG).map(HeaderValue::as_bytes), after.map(str::as_bytes), "{before}");
        }
    }

    #[test]
    fn a_304_names_the_tag_that_its_client_has() {
        for (known, after) in [
            (&["W/\"a\""][..], "W/\"a\""),
            (&["\"a\""], "\"a\""),
            (&["\"b\", W/\"a\""], "W/\"a\""),
            (&["\"b\"", "W/\"a\""], "W/\"a\""),
            (&["W/\"a\", \"a\""], "\"a\""),
            (&["W/\"a\"", "\"a\""], "\"a\""),
            (&["W/\"b\""], "\"a\""),
            (&["*"], "\"a\""),
            (&[], "\"a\""),
        ] {
            let (mut request, mut headers) = (HeaderMap::new(), HeaderMap::new());
            for value in known {
                request.append(IF_NONE_MATCH, HeaderValue::from_static(value));
            }
            headers.insert(ETAG, HeaderValue::from_static("\"a\""));
            repeat_etag(&request, &mut headers);
            assert_eq!(headers.get(ETAG).map(HeaderValue::as_bytes), Some(after.as_bytes()), "{known:?}");
        }
    }
}
