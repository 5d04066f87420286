//! What does a guest's request mean, and what of it is sent?
//!
//! The imports of `wasi_experimental_http` read method and headers with this before they send; `exchange` asks which of
//! the headers are the guest's to set.

use std::str;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request as HttpRequest};
use http_body_util::{BodyExt, Full};
use url::Url;

use crate::outbound::Error;
use crate::outbound::exchange::Upload;
use crate::outbound::policy;
use crate::outbound::policy::Destination;

/// As much as servers take; it also bounds the work of reading them.
const HEADERS_TEXT: usize = 64 * 1024;

/// What concerns one connection, says where the body ends or whom it is for: all ours to say, since two opinions about
/// it are how requests are smuggled. Nobody would wait for the answer that `Expect` asks for.
const OURS: [HeaderName; 10] = [
    header::HOST,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// One request of a guest.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whom to call.
    pub destination: Destination,
    /// How.
    pub method: Method,
    /// The guest's headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Reads a method. It is case-sensitive and may be any token.
pub fn method(text: &[u8]) -> Result<Method, Error> {
    match str::from_utf8(text).map_err(|_| Error::NotUtf8)? {
        // What the AssemblyScript package of `wasi_experimental_http` sends for it.
        "DELET" => Ok(Method::DELETE),
        text => Method::from_bytes(text.as_bytes()).map_err(|_| Error::InvalidMethod),
    }
}

/// Reads headers: lines of `name:value`, ended by LF or CRLF. Of a repeated name the last value counts; blanks stay.
pub fn headers(text: &[u8]) -> Result<HeaderMap, Error> {
    let text = str::from_utf8(text).map_err(|_| Error::NotUtf8)?;
    if text.len() > HEADERS_TEXT {
        return Err(Error::InvalidHeaders);
    }
    let mut headers = HeaderMap::new();
    for line in text.lines() {
        let (name, value) = line.split_once(':').ok_or(Error::InvalidHeaders)?;
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::InvalidHeaders)?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Error::InvalidHeaders)?;
        headers.try_insert(name, value).map_err(|_| Error::InvalidHeaders)?;
    }
    Ok(headers)
}

/// A request on its way from one redirect to the next.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    pub url: Url,
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Hop {
    /// The first: takes from the headers what is not the guest's to set.
    pub fn first(request: Request) -> Self {
        let Request { destination: Destination(url), method, mut headers, body } = request;
        headers.remove(header::CONTENT_LENGTH);
        remove_ours(&mut headers);
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        Self { url, method, headers, body }
    }

    /// What goes to the library, which adds Host and, where there is a body, Content-Length.
    pub fn to_request(&self) -> Result<HttpRequest<Upload>, Error> {
        if self.method == Method::CONNECT {
            return Err(Error::Tunnel);
        }
        let mut request = HttpRequest::new(Full::new(self.body.clone()).map_err(|never| match never {}).boxed_unsync());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = policy::uri(&self.url)?;
        request.headers_mut().clone_from(&self.headers);
        // RFC 9110 §8.6: methods that usually come with a body say that there is none. Some servers insist.
        if self.body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&self.method) {
            request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(request)
    }
}

/// Removes the headers that are not the guest's to set. Content-Length is left: what it says has to be looked at where the
/// body is.
pub(super) fn remove_ours(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers.get(header::CONNECTION).map_or_else(Vec::new, connection_options);
    for name in OURS.iter().chain(&named) {
        headers.remove(name);
    }
}

/// RFC 9110 §7.6.1: the headers that Connection names concern the connection alone.
fn connection_options(value: &HeaderValue) -> Vec<HeaderName> {
    let names = value.to_str().unwrap_or_default().split(',');
    names.filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use crate::outbound::call::*;

    fn read(text: &[u8]) -> Result<Vec<(String, Vec<u8>)>, u32> {
        let headers = headers(text).map_err(|error| error.code())?;
        Ok(headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect())
    }

    #[test]
    fn header_text_is_lines_of_name_and_value() {
        for (text, expected) in [
            ("", vec![]),
            ("a:1\n", vec![("a", "1")]),
            ("a:1", vec![("a", "1")]),
            ("a:1\r\nb:2\r\n", vec![("a", "1"), ("b", "2")]),
            ("Content-Type:text/plain\n", vec![("content-type", "text/plain")]),
            ("a:1\nA:2\n", vec![("a", "2")]),
            ("a: 1 \n", vec![("a", " 1 ")]),
            ("a:\n", vec![("a", "")]),
            ("a:b:c\n", vec![("a", "b:c")]),
            ("a:http://x/\n", vec![("a", "http://x/")]),
            ("a:\u{fc}\n", vec![("a", "\u{fc}")]),
            ("a:\t\n", vec![("a", "\t")]),
        ] {
            let expected = expected.into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
            assert_eq!(read(text.as_bytes()), Ok(expected.collect()), "{text:?}");
        }
    }

    #[test]
    fn header_text_that_cannot_be_read_has_a_code() {
        let long = format!("a:{}\n", "x".repeat(HEADERS_TEXT));
        for (text, code) in [
            (&b"a"[..], 9),
            (b"a:1\nb\n", 9),
            (b"\n", 9),
            (b"a:1\n\nb:2\n", 9),
            (b":1\n", 9),
            (b"a :1\n", 9),
            (b" a:1\n", 9),
            (b"a:1\0\n", 9),
            (b"a:1\rb:2\n", 9),
            (b"a:1\r", 9),
            (b"\xc3\xbc:1\n", 9),
            (b"a:\xff\n", 6),
            (long.as_bytes(), 9),
        ] {
            assert_eq!(read(text), Err(code), "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn methods_are_tokens() {
        for (text, expected) in [
            (&b"GET"[..], Ok("GET")),
            (b"get", Ok("get")),
            (b"PURGE", Ok("PURGE")),
            (b"DELETE", Ok("DELETE")),
            (b"DELET", Ok("DELETE")),
            (b"M-SEARCH", Ok("M-SEARCH")),
            (b"", Err(8)),
            (b"GET ", Err(8)),
            (b"G\r\nHost:x", Err(8)),
            ("G\u{fc}T".as_bytes(), Err(8)),
            (b"\xff", Err(6)),
        ] {
            let read = method(text).map_err(|error| error.code());
            assert_eq!(read.as_ref().map(Method::as_str), expected.as_ref().map(|name| *name), "{text:?}");
        }
    }
}
