//! What does a guest's request mean, and what of it is sent?
//!
//! The imports of `wasi_experimental_http` read method and headers with this before they send; `hop` and `streaming` ask
//! which of the headers are the guest's to set.

use std::str;

use bytes::Bytes;
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::hop_by_hop::{is_hop_by_hop, nominated};
use crate::outbound::error::Error;
use crate::outbound::policy::Destination;

/// As much as servers take; it also bounds the work of reading them.
const MAX_HEADERS_TEXT: usize = 64 * 1024;

/// One request of a guest.
#[derive(Clone, Debug)]
pub struct CallRequest {
    /// The server to call.
    pub destination: Destination,
    /// The method.
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

/// Refuses the methods that are not for programs to send.
pub(super) fn check_method(method: &Method) -> Result<(), Error> {
    match method.as_str() {
        "CONNECT" => Err(Error::Tunnel),
        // RFC 9113 §11.6: PRI is never used, for it begins a connection of HTTP/2.
        "TRACE" | "PRI" => Err(Error::MethodNotSent(method.clone())),
        _ => Ok(()),
    }
}

/// Reads headers: lines of `name:value`, ended by LF or CRLF. Of a repeated name the last value counts; blanks stay.
pub fn headers(text: &[u8]) -> Result<HeaderMap, Error> {
    let text = str::from_utf8(text).map_err(|_| Error::NotUtf8)?;
    if text.len() > MAX_HEADERS_TEXT {
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

/// Removes the headers that are not the guest's to set: those that are about the connection, say where the body ends or
/// which server the request is for. If two servers disagree about where a body ends, a request can be smuggled. Content-Length
/// stays: it is compared with the body where the body is sent.
pub(super) fn remove_restricted(headers: &mut HeaderMap) {
    let restricted: Vec<HeaderName> = headers.keys().filter(|name| is_restricted(name)).cloned().collect();
    let nominated: Vec<HeaderName> = nominated(headers).collect();
    for name in restricted.iter().chain(&nominated) {
        headers.remove(name);
    }
}

fn is_restricted(name: &HeaderName) -> bool {
    // Nothing would wait for the response that Expect asks for.
    is_hop_by_hop(name) || [header::HOST, header::EXPECT, header::PROXY_AUTHORIZATION].contains(name)
}

#[cfg(test)]
mod tests {
    use crate::outbound::request::*;

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
        let long = format!("a:{}\n", "x".repeat(MAX_HEADERS_TEXT));
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

    /// RFC 9110 §7.6.1
    #[test]
    fn headers_of_the_connection_are_removed_whichever_field_names_them() {
        let mut headers = HeaderMap::new();
        let fields =
            ["connection: close, x-a", "connection: x-b", "x-a: 1", "x-b: 1", "te: trailers", "host: h", "x-c: 1"];
        for (name, value) in fields.iter().filter_map(|field| field.split_once(": ")) {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        remove_restricted(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-c"]);
    }
}
