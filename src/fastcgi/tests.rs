//! Conversations in all pieces, and mutated ones.

use bytes::{Bytes, BytesMut};

use crate::fastcgi::record::{BEGIN_REQUEST, PARAMS, STDIN, append};
use crate::fastcgi::*;

/// Parameters as a web server sends them.
fn pairs(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in pairs {
        for length in [name.len(), value.len()] {
            match u8::try_from(length) {
                Ok(short @ ..0x80) => bytes.push(short),
                _ => bytes.extend((u32::try_from(length).expect("short") | 0x8000_0000).to_be_bytes()),
            }
        }
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(value.as_bytes());
    }
    bytes
}

fn conversation() -> BytesMut {
    let long = "x".repeat(300);
    let mut out = BytesMut::new();
    append(&mut out, 9, 0, &pairs(&[("FCGI_MPXS_CONNS", ""), ("FCGI_MAX_CONNS", ""), ("OTHER", "")]));
    append(&mut out, 77, 0, b"?");
    append(&mut out, BEGIN_REQUEST, 9, &[0, 2, 1, 0, 0, 0, 0, 0]);
    append(&mut out, BEGIN_REQUEST, 1, &[0, 1, 1, 0, 0, 0, 0, 0]);
    append(&mut out, PARAMS, 1, &pairs(&[("REQUEST_METHOD", "POST"), ("HTTP_LONG", &long)]));
    append(&mut out, BEGIN_REQUEST, 2, &[0, 1, 1, 0, 0, 0, 0, 0]);
    append(&mut out, PARAMS, 1, &[]);
    append(&mut out, STDIN, 1, b"ab");
    append(&mut out, STDIN, 2, b"of another");
    append(&mut out, STDIN, 1, b"c");
    append(&mut out, STDIN, 1, b"");
    append(&mut out, 2, 1, b"");
    out
}

/// The events of an input that comes in these pieces, and how it ended.
fn events(pieces: &[&[u8]]) -> (Vec<Event>, Option<BadInput>) {
    let (mut reader, mut input, mut events) = (FastCgiReader::new(4096, 7), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match reader.next(&mut input) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

#[test]
fn each_split_of_the_input_gives_the_same_events() {
    let bytes = conversation();
    let (whole, error) = events(&[&bytes]);
    assert_eq!(error, None);
    let kinds: Vec<_> = whole.iter().map(std::mem::discriminant).collect();
    let reply = std::mem::discriminant(&Event::Reply(Bytes::new()));
    assert_eq!(kinds.iter().filter(|kind| **kind == reply).count(), 4, "{whole:?}");
    assert_eq!(whole.last(), Some(&Event::Abort));
    assert!(whole.contains(&Event::Body(Bytes::from_static(b"ab"))) && whole.contains(&Event::BodyEnd));
    for at in 0..bytes.len() {
        assert_eq!(events(&[&bytes[..at], &bytes[at..]]).0, whole, "{at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(events(&single).0, whole);
}

/// FastCGI 1.0 §4.1, §4.2, §5.5
#[test]
fn management_records_and_other_roles_get_their_replies() {
    let (events, _) = events(&[&conversation()]);
    let replies: Vec<&[u8]> =
        events.iter().filter_map(|event| if let Event::Reply(bytes) = event { Some(&**bytes) } else { None }).collect();
    assert!(replies[0].ends_with(b"\x0f\x01FCGI_MPXS_CONNS0") && replies[0].starts_with(b"\x01\x0a\0\0"));
    assert_eq!(replies[1], [1, 11, 0, 0, 0, 8, 0, 0, 77, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(replies[2], [1, 3, 0, 9, 0, 8, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0]);
    assert_eq!(replies[3], [1, 3, 0, 2, 0, 8, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
}

/// A small generator with a seed, so that a failure comes again.
fn random(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).expect("31 bits")
}

#[test]
fn mutated_records_and_heads_cause_no_panic() {
    let records = conversation();
    let netstring = b"47:CONTENT_LENGTH\x003\x00SCGI\x001\x00REQUEST_METHOD\0GET\0A\0B\0,abc";
    let mut seed = 0x2545_f491_4f6c_dd1d;
    for _ in 0..100_000 {
        let (mut one, mut other) = (records.to_vec(), netstring.to_vec());
        for _ in 0..=random(&mut seed) % 4 {
            for bytes in [&mut one, &mut other] {
                let at = random(&mut seed) % bytes.len();
                bytes[at] = random(&mut seed).to_le_bytes()[0];
            }
        }
        for event in events(&[&one]).0 {
            if let Event::Request(parameters) = event {
                let _ = WebServerRequest::new(&parameters);
            }
        }
        let (mut reader, mut input) = (ScgiReader::new(4096), BytesMut::from(&*other));
        while reader.next(&mut input).is_some() {}
        ResponseDecoder::new(false).decode(&one, &mut Vec::new());
    }
}

#[test]
fn parameters_are_limited_like_heads() {
    let mut out = BytesMut::new();
    append(&mut out, BEGIN_REQUEST, 1, &[0, 1, 1, 0, 0, 0, 0, 0]);
    for content in [&[0; 4097][..], b"a", b""] {
        append(&mut out, PARAMS, 1, content);
    }
    assert_eq!(events(&[&out]).0, [Event::BadRequest(BadInput::TooLong)]);
    let many = vec![0; 2 * 513];
    assert_eq!(Parameters::read(many.into()), Err(BadInput::TooLong));
    let mut input = BytesMut::from(&b"99999999999:"[..]);
    assert_eq!(ScgiReader::new(4096).next(&mut input), Some(Event::BadRequest(BadInput::TooLong)));
}

fn request(parameters: &[(&str, &str)]) -> Option<WebServerRequest> {
    WebServerRequest::new(&Parameters::read(pairs(parameters).into()).expect("pairs"))
}

#[test]
fn parameters_become_a_head_and_facts() {
    let found = request(&[
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_URI", "/a%20b?c"),
        ("SCRIPT_NAME", "/other"),
        ("PHP_VALUE", "x=y"),
        ("HTTP_HOST", "a.test"),
        ("HTTP_PROXY", "evil"),
        ("HTTP_CONNECTION", "close"),
        ("HTTP_EXPECT", "100-continue"),
        ("HTTP_TRANSFER_ENCODING", "chunked"),
        ("HTTP_CONTENT_LENGTH", "9"),
        ("CONTENT_TYPE", "text/plain"),
        ("CONTENT_LENGTH", "3"),
        ("REMOTE_ADDR", "192.0.2.1"),
        ("REMOTE_PORT", "5"),
        ("HTTPS", "on"),
        ("SERVER_PROTOCOL", "HTTP/2.0"),
        ("REMOTE_USER", "alice"),
    ])
    .expect("a request");
    let head = String::from_utf8(found.head).expect("text");
    assert_eq!(head, "POST /a%20b?c HTTP/1.1\r\nhost: a.test\r\ncontent-type: text/plain\r\n");
    assert_eq!(found.length, BodyLength::Known(3));
    assert_eq!(found.facts.client, Some(([192, 0, 2, 1], 5).into()));
    assert!(found.facts.is_https && found.facts.version == http::Version::HTTP_2);
    assert_eq!(found.facts.user.expect("a user").name, "alice");
}

#[test]
fn the_last_parameter_of_a_name_counts_and_a_host_that_is_not_named_is_that_of_the_web_server() {
    let get = [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/")];
    for (more, expected) in [
        (&[][..], ""),
        (&[("SERVER_NAME", "a.test")], "host: a.test\r\n"),
        (&[("SERVER_NAME", "::1"), ("SERVER_PORT", "81")], "host: [::1]:81\r\n"),
        (&[("SERVER_NAME", "a.test"), ("SERVER_PORT", "81"), ("HTTP_HOST", "b.test")], "host: b.test\r\n"),
        (&[("SERVER_NAME", "a.test"), ("HTTP_HOST", "")], "host: a.test\r\n"),
        (&[("SERVER_NAME", "a.test:82"), ("SERVER_PORT", "81")], "host: a.test:82\r\n"),
        (&[("SERVER_NAME", "~^(?<x>.+)$")], ""),
        (&[("REQUEST_URI", "/b"), ("REQUEST_URI", "/")], ""),
        (&[("CONTENT_TYPE", "a/b"), ("CONTENT_TYPE", "")], ""),
        (&[("HTTP_HOST", "a.test"), ("HTTP_HOST", "b.test:81")], "host: b.test:81\r\n"),
        (&[("HTTP_ACCEPT", "a/b"), ("HTTP_ACCEPT", "c/d")], "accept: a/b\r\naccept: c/d\r\n"),
    ] {
        let head = request(&[&get, more].concat()).expect("a request").head;
        assert_eq!(String::from_utf8_lossy(&head), format!("GET / HTTP/1.1\r\n{expected}"), "{more:?}");
    }
}

#[test]
fn parameters_that_would_be_more_than_one_head_make_no_request() {
    let method = ("REQUEST_METHOD", "GET");
    for wrong in [
        &[("REQUEST_URI", "/")][..],
        &[method],
        &[method, ("SCRIPT_NAME", "/a"), ("PATH_INFO", "/b")],
        &[method, ("REQUEST_URI", "/ HTTP/1.1\r\nX: y")],
        &[method, ("REQUEST_URI", "/"), ("HTTP_X", "a\r\nY: b")],
        &[method, ("REQUEST_URI", "/"), ("HTTP_A:B", "c")],
        &[method, ("REQUEST_URI", "/"), ("CONTENT_LENGTH", "+1")],
        &[("REQUEST_METHOD", "GET / HTTP/1.1\r\n"), ("REQUEST_URI", "/")],
    ] {
        assert_eq!(request(wrong), None, "{wrong:?}");
    }
}

#[test]
fn a_response_loses_its_coding_and_its_fields_about_the_connection() {
    let http =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
        Status: 500\r\nX: y\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nT: u\r\n\r\n";
    for at in 0..http.len() {
        let (mut decoder, mut out) = (ResponseDecoder::new(false), Vec::new());
        decoder.decode(&http[..at], &mut out);
        assert!(!decoder.is_complete(), "{at}");
        decoder.decode(&http[at..], &mut out);
        assert!(decoder.is_complete(), "{at}");
        assert_eq!(out, b"Status: 404 Not Found\r\nX: y\r\n\r\nabc0123456789abcdef", "{at}");
    }
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    for (is_head, expected) in [(true, true), (false, false)] {
        let mut decoder = ResponseDecoder::new(is_head);
        decoder.decode(head, &mut Vec::new());
        assert_eq!((decoder.is_complete(), decoder.is_cut()), (expected, !expected));
    }
}
