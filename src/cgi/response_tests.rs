//! What a head means, rule by rule.

use crate::cgi::response::*;

fn parse(text: &str) -> Result<ResponseHead, HeadError> {
    ResponseHead::parse(text.as_bytes())
}

fn head(text: &str) -> ResponseHead {
    parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn status(text: &str) -> u16 {
    head(text).status.as_u16()
}

/// All values of a field, with U+FFFD for what is not UTF-8.
fn values(text: &str, name: &str) -> Vec<String> {
    let head = head(text);
    let values = head.headers.get_all(name).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

fn reasons(text: &str) -> Vec<Reason> {
    head(text).dropped.iter().map(|dropped| dropped.reason).collect()
}

/// RFC 3875 §6.2.1; WAGI 0.8: Status alone will do, and so will an empty Content-Type.
#[test]
fn one_field_of_cgi_is_enough() {
    for (text, code, content_type) in [
        ("Content-Type: text/plain\n\n", 200, Some("text/plain")),
        ("CONTENT-TYPE:text/html; charset=utf-8\n\n", 200, Some("text/html; charset=utf-8")),
        ("Content-Type:\n\n", 200, Some("")),
        ("Status: 404\n\n", 404, None),
        ("Location: /x\n\n", 302, None),
        ("Location: https://a.example/\nContent-Type: a/b\n\n", 302, Some("a/b")),
        ("content-type: text/plain\nstatus: 404\n\n", 404, Some("text/plain")),
        ("x-a: 1\nStatus : 201 \n\n", 201, None),
        ("\nStatus: 200\n\n", 200, None),
    ] {
        assert_eq!(status(text), code, "{text:?}");
        assert_eq!(values(text, "content-type").first().map(String::as_str), content_type, "{text:?}");
    }
    for text in ["", "\n", "\n\n", "x-a: 1\n\n", "nonsense\n\n", "Content-Length: 3\n\n", "Content_Type: a/b\n\n"] {
        assert_eq!(parse(text), Err(HeadError::Insufficient), "{text:?}");
    }
}

/// RFC 3875 §6.3.3
#[test]
fn a_status_is_three_digits_before_the_first_blank() {
    for (value, code) in [
        ("200", 200),
        ("404 Not Found", 404),
        ("  201\tCreated", 201),
        ("299 ", 299),
        ("599", 599),
        ("999 Odd", 999),
        ("", 502),
        ("abc", 502),
        ("20", 502),
        ("2000", 502),
        ("+20", 502),
        ("099", 502),
        ("000", 502),
        ("404: Not Found", 502),
        ("200OK", 502),
        ("2\u{1}0", 502),
        ("２００", 502),
    ] {
        let text = format!("Content-Type: a/b\nX-A: 1\nStatus: {value}\n\n");
        assert_eq!(status(&text), code, "{value:?}");
        assert_eq!((values(&text, "content-type"), values(&text, "x-a")), (vec!["a/b".into()], vec!["1".into()]));
        let expected = if code == 502 { vec![Reason::InvalidStatus] } else { vec![] };
        assert_eq!(reasons(&text), expected, "{value:?}");
    }
    assert_eq!(head("Status: 502 Bad Gateway\n\n").dropped, []);
}

/// lighttpd and Apache (`nph-`): the first line of HTTP. A Status field beside it counts for more.
#[test]
fn a_status_line_of_http_stands_for_status_if_it_comes_first() {
    for (text, code) in [
        ("HTTP/1.0 404 Not Found\n\n", 404),
        ("HTTP/1.1 404 Not: Found\nContent-Type: a/b\n\n", 404),
        ("\nHTTP/1.1  201\nX-A: 1\n\n", 201),
        ("HTTP/2 204\n\n", 204),
        ("HTTP/1.1 301 Moved\nLocation: /x\n\n", 301),
        ("HTTP/1.1 404 Not Found\nStatus: 410\n\n", 410),
    ] {
        assert_eq!((status(text), reasons(text)), (code, vec![]), "{text:?}");
    }
    for line in ["HTTP/1.1 soon", "HTTP/1.1", "HTTP/ 404", "HTTP/x 404", "HTTP/1.1 4040", "http/1.1 404", "HTTP 404"] {
        let text = format!("{line}\nStatus: 200\n\n");
        assert_eq!((status(&text), reasons(&text)), (200, vec![Reason::NoColon]), "{line}");
    }
    assert_eq!(status("Content-Type: a/b\nHTTP/1.1 404 Not Found\n\n"), 200);
    assert_eq!(parse("HTTP/1.1 100 Continue\n\n"), Err(HeadError::Informational(100)));
}

/// RFC 9110 §15.2: a 1xx is not a final answer.
#[test]
fn an_informational_status_is_refused() {
    for code in [100, 101, 103, 199] {
        assert_eq!(parse(&format!("Status: {code} x\nContent-Type: a/b\n\n")), Err(HeadError::Informational(code)));
    }
    assert_eq!(status("Status: 100\nStatus: 200\n\n"), 200);
}

/// RFC 3875 §6.2.3: Location alone is a client redirect, and WAGI 0.8 accepts any text.
#[test]
fn a_location_without_status_is_302_and_goes_out_verbatim() {
    for place in ["https://example.com/", "/local?x=1", "relative", "a b é", "", "http://a.example/#x:y"] {
        let text = format!("Location: {place}\n\nbody");
        assert_eq!(status(&text), 302, "{place:?}");
        assert_eq!(values(&format!("Location: {place}\n"), "location"), [place], "{place:?}");
    }
}

/// RFC 3875 §6.2.4
#[test]
fn explicit_status_wins_over_location_in_either_order() {
    assert_eq!(status("Status: 303\nLocation: /x\n\n"), 303);
    assert_eq!(status("Location: /x\nStatus: 303\n\n"), 303);
    assert_eq!(status("Status: 200\nLocation: /x\n\n"), 200);
}

#[test]
fn a_malformed_status_is_502_even_beside_a_location() {
    for text in ["Status: soon\nLocation: /x\n\n", "Location: /x\nStatus: soon\n\n"] {
        assert_eq!(status(text), 502);
        assert_eq!(values(text, "location"), ["/x"]);
    }
}

/// RFC 3875 §6.2.1 to §6.2.4
#[test]
fn responses_have_the_types_of_the_rfc() {
    for (text, kind) in [
        ("Content-Type: a/b\n\n", ResponseType::Document),
        ("Status: 404\n\n", ResponseType::Document),
        ("Location: /x\n\n", ResponseType::LocalRedirect),
        ("Location: https://a.example/\n\n", ResponseType::ClientRedirect),
        ("Status: 301\nLocation: https://a.example/\nContent-Type: a/b\n\n", ResponseType::ClientRedirectDocument),
    ] {
        assert_eq!(head(text).kind, kind, "{text:?}");
    }
}

/// WAGI 0.8: of CGI's own fields the last counts, all others are kept in order (RFC 6265 §3 for Set-Cookie).
#[test]
fn repeated_fields_are_kept_except_those_of_cgi() {
    let text = "Status: 200\nset-cookie: a=1\nStatus: 404\nContent-Type: a/b\nSet-Cookie: b=2\nLocation: /x\n\
                content-type: c/d\nX-A: 1\nSET-COOKIE: a=1\nlocation: /y\n\n";
    assert_eq!(status(text), 404);
    assert_eq!(values(text, "content-type"), ["c/d"]);
    assert_eq!(values(text, "location"), ["/y"]);
    assert_eq!(values(text, "set-cookie"), ["a=1", "b=2", "a=1"]);
    assert_eq!(status("Status: 200\nStatus: later\n\n"), 502);
}

#[test]
fn lines_that_are_no_fields_are_left_out() {
    let text = "Content-Type: a/b\nno colon\n: no name\nbad name: 1\nbäd: 2\n \nX-A : a: b \nX-Empty:\n\n";
    assert_eq!(values(text, "x-a"), ["a: b"]);
    assert_eq!(values(text, "x-empty"), [""]);
    assert_eq!(head(text).headers.len(), 3);
    assert_eq!(reasons(text), [Reason::NoColon, Reason::InvalidName, Reason::InvalidName, Reason::InvalidName]);
    assert_eq!(head(text).dropped[0].to_string(), "header line without a colon: \"no colon\"");
}

/// RFC 3875 §6.3.4: nothing that would disturb the connection to the client.
#[test]
fn fields_about_the_connection_are_left_out() {
    for name in
        ["Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "TE", "Trailer", "Proxy-Connection", "CONNECTION"]
    {
        let text = format!("Status: 200\n{name}: chunked\nDate: x\nServer: y\nX-CGI-A: z\n\n");
        assert_eq!(reasons(&text), [Reason::Connection], "{name}");
        assert_eq!(head(&text).headers.len(), 3, "{name}");
    }
}

#[test]
fn a_content_length_is_taken_out_of_the_fields() {
    for (fields, length, dropped) in [
        ("Content-Length: 3\n", Some(3), 0),
        ("Content-Length: 3\ncontent-length: 3\n", Some(3), 0),
        ("Content-Length: 0\n", Some(0), 0),
        ("Content-Length: 3\nContent-Length: 4\n", None, 1),
        ("Content-Length: 3\nContent-Length: 4\nContent-Length: 3\n", None, 2),
        ("Content-Length: many\n", None, 1),
        ("Content-Length: +3\n", None, 1),
        ("Content-Length:\n", None, 1),
        ("Content-Length: 99999999999999999999\n", None, 1),
        ("", None, 0),
    ] {
        let text = format!("Status: 200\n{fields}\n");
        let head = head(&text);
        assert_eq!((head.content_length, head.dropped.len(), head.headers.len()), (length, dropped, 0), "{fields:?}");
    }
}

#[test]
fn nul_bytes_are_taken_out() {
    let text = "\0Con\0tent-Type: text\0/plain\0\nStatus: 2\x000\x004\0\n\0\nX-A: \0\n\n";
    assert_eq!(status(text), 204);
    assert_eq!(values(text, "content-type"), ["text/plain"]);
    assert_eq!(values(text, "x-a"), [""]);
    assert_eq!(head(text).dropped, []);
}

#[test]
fn a_field_with_a_control_character_is_left_out() {
    for control in ['\u{1}', '\u{8}', '\u{1b}', '\u{7f}'] {
        let text = format!("Status: 200\nContent-Type: a{control}/b\nX-A: a{control}b\nX-B: 1\n\n");
        assert_eq!(reasons(&text), [Reason::ControlCharacter, Reason::ControlCharacter], "{control:?}");
        assert_eq!(head(&text).headers.len(), 1, "{control:?}");
        let alone = format!("Content-Type: a{control}/b\n\n");
        assert_eq!(parse(&alone), Err(HeadError::Insufficient), "{control:?}");
        let earlier = format!("Location: /x\nLocation: /{control}y\n\n");
        assert_eq!(values(&earlier, "location"), ["/x"], "{control:?}");
    }
}

#[test]
fn text_beyond_ascii_goes_out_as_it_is() {
    assert_eq!(values("Status: 200\nX-A: é\t日本\n\n", "x-a"), ["é\t日本"]);
    assert_eq!(ResponseHead::parse(b"Status: 200\nX-A: \xe9\n\n"), Err(HeadError::NotUtf8));
}

#[test]
fn the_number_of_fields_is_limited() {
    let most = format!("Status: 200\n{}\n", "X-A: 1\n".repeat(MAX_FIELDS - 1));
    assert_eq!(head(&most).headers.len(), MAX_FIELDS - 1);
    for line in ["X-A: 1\n", "no colon\n", "Status: 200\n"] {
        assert_eq!(parse(&[most.as_str().trim_end(), "\n", line, "\n"].concat()), Err(HeadError::TooManyFields));
    }
}
