//! Responses that are compressed, and those that are not.

use std::io::{Read, Write};

use crate::support::guest::{printing, printing_then};
use crate::support::http1::{Answer, Connection};
use crate::support::http2;
use crate::support::process::Wagi;
use crate::support::site::Site;

const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];
const ON: &str = "[server]\ncompress = true";

/// A text that gains, longer than what is encoded at once.
fn text() -> String {
    "All work and no play makes Jack a dull boy. ".repeat(20_000)
}

fn page(fields: &str, body: &str) -> String {
    printing(format!("Content-Type: text/html\n{fields}\n{body}"))
}

/// What a complete body of this coding says. The bytes before an error are there, too.
fn decoded(coding: &str, body: &[u8]) -> (Vec<u8>, std::io::Result<usize>) {
    let mut plain = Vec::new();
    let result = match coding {
        "zstd" => zstd::stream::read::Decoder::new(body).expect("a decoder").read_to_end(&mut plain),
        "br" => brotli::Decompressor::new(body, 4096).read_to_end(&mut plain),
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut plain),
        other => panic!("no coding is called {other}"),
    };
    (plain, result)
}

/// Takes a piece of a compressed body and returns what can be decoded of it.
type Decoder = dyn FnMut(&[u8]) -> Vec<u8>;

/// A decoder that says what it knows after each piece.
fn live_decoder(coding: &str) -> Box<Decoder> {
    match coding {
        "zstd" => {
            let mut decoder = zstd::stream::write::Decoder::new(Vec::new()).expect("a decoder");
            Box::new(move |piece| {
                decoder.write_all(piece).and_then(|()| decoder.flush()).expect("zstd");
                std::mem::take(decoder.get_mut())
            })
        }
        "br" => {
            let mut decoder = brotli::DecompressorWriter::new(Vec::new(), 4096);
            Box::new(move |piece| {
                decoder.write_all(piece).and_then(|()| decoder.flush()).expect("brotli");
                std::mem::take(decoder.get_mut())
            })
        }
        _ => {
            let mut decoder = flate2::write::GzDecoder::new(Vec::new());
            Box::new(move |piece| {
                decoder.write_all(piece).and_then(|()| decoder.flush()).expect("gzip");
                std::mem::take(decoder.get_mut())
            })
        }
    }
}

fn send(connection: &mut Connection, method: &str, path: &str, accepted: &str) {
    connection.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {accepted}\r\n\r\n"));
}

fn get(wagi: &Wagi, path: &str, accepted: &str) -> Answer {
    let mut connection = Connection::open(wagi.address());
    send(&mut connection, "GET", path, accepted);
    connection.answer()
}

#[test]
fn a_response_comes_in_the_coding_that_its_client_prefers() {
    let guest = page("ETag: \"v1\"\nVary: Cookie\n", &text());
    let wagi = Site::new().text_module("/text", &guest, "").top(ON).start(&[]);
    for coding in CODINGS {
        let answer = get(&wagi, "/text", &format!("{coding}, *;q=0.5, identity;q=0"));
        assert_eq!((answer.status, answer.header("content-encoding")), (200, Some(coding)));
        assert_eq!(answer.header("vary"), Some("Cookie, Accept-Encoding"));
        assert_eq!(answer.header("etag"), Some("W/\"v1\""));
        assert_eq!(answer.header("content-length"), None);
        assert!(answer.body.len() < text().len() / 20, "{coding}: {} bytes", answer.body.len());
        assert!(decoded(coding, &answer.body).0 == text().as_bytes(), "{coding}");
        wagi.logged(&["GET /text", &format!(" 200 {}", answer.body.len())]);
    }
    for accepted in ["", "identity", "gzip;q=0", "identity;q=0", "*;q=0", "deflate"] {
        let answer = get(&wagi, "/text", accepted);
        assert_eq!((answer.status, answer.header("content-encoding")), (200, None), "{accepted}");
        assert_eq!(answer.header("vary"), Some("Cookie, Accept-Encoding"));
        assert_eq!(answer.header("etag"), Some("\"v1\""));
        assert_eq!(answer.body.len(), text().len());
    }
}

#[test]
fn what_does_not_gain_or_must_not_change_is_sent_as_it_is() {
    let long = "x".repeat(2000);
    let mut site = Site::new().top(ON);
    for (route, head, body) in [
        ("/short", "Content-Type: text/plain\n", &long[..1023]),
        ("/image", "Content-Type: image/png\n", &long),
        ("/untyped", "Content-Type:\n", &long),
        ("/coded", "Content-Type: text/plain\nContent-Encoding: gzip\n", &long),
        ("/fixed", "Content-Type: text/plain\nCache-Control: max-age=1, no-transform\n", &long),
        ("/part", "Status: 206\nContent-Type: text/plain\nContent-Range: bytes 0-1999/3000\n", &long),
        ("/none", "Status: 204\nContent-Type: text/plain\n", ""),
        ("/unchanged", "Status: 304\nETag: \"a\"\nContent-Type: text/plain\n", ""),
    ] {
        site = site.text_module(route, &printing(format!("{head}\n{body}")), "");
    }
    let wagi = site.start(&[]);
    for path in ["/short", "/image", "/coded", "/fixed", "/part", "/none", "/unchanged", "/missing"] {
        let (coded, plain) = (get(&wagi, path, "gzip"), get(&wagi, path, "identity"));
        let fields = |answer: &Answer| {
            let fields = answer.headers.iter().filter(|(name, _)| name != "date");
            fields.cloned().collect::<Vec<_>>()
        };
        assert_eq!((coded.status, fields(&coded)), (plain.status, fields(&plain)), "{path}");
        // Of these two, the whole response may be compressed.
        let vary = ["/part", "/unchanged"].contains(&path).then_some("Accept-Encoding");
        assert_eq!((coded.header("vary"), &coded.body), (vary, &plain.body), "{path}");
    }
}

#[test]
fn a_module_overrides_what_holds_for_all_and_nothing_changes_when_it_is_off() {
    let guest = page("ETag: \"v1\"\n", &"x".repeat(2000));
    let coding = |wagi: &Wagi, path: &str| {
        let answer = get(wagi, path, "gzip");
        let field = |name| answer.header(name).map(str::to_owned);
        (field("content-encoding"), field("vary"), field("etag"), field("content-length"))
    };
    let on = (Some("gzip".into()), Some("Accept-Encoding".into()), Some("W/\"v1\"".into()), None);
    let off = (None, None, Some("\"v1\"".into()), Some("2000".to_owned()));
    let wagi = Site::new().text_module("/own", &guest, "compress = false").text_module("/all", &guest, "");
    let wagi = wagi.top(ON).start(&[]);
    assert_eq!((coding(&wagi, "/own"), coding(&wagi, "/all")), (off.clone(), on.clone()));
    let wagi = Site::new().text_module("/own", &guest, "compress = true").text_module("/all", &guest, "").start(&[]);
    assert_eq!((coding(&wagi, "/own"), coding(&wagi, "/all")), (on, off));
}

#[test]
fn a_head_request_gets_the_length_without_coding_and_what_caches_have_to_know() {
    let short = page("ETag: \"v1\"\n", "short");
    let wagi = Site::new().text_module("/text", &page("ETag: \"v1\"\n", &text()), "");
    let wagi = wagi.text_module("/short", &short, "").top(ON).start(&[]);
    let length = text().len().to_string();
    for (path, coding, vary, etag, length) in [
        ("/text", "gzip", Some("Accept-Encoding"), "W/\"v1\"", &*length),
        ("/text", "identity", Some("Accept-Encoding"), "\"v1\"", &*length),
        ("/short", "gzip", None, "\"v1\"", "5"),
    ] {
        let mut connection = Connection::open(wagi.address());
        send(&mut connection, "HEAD", path, coding);
        let head = connection.head();
        assert_eq!((head.status, head.header("content-encoding")), (200, None), "{path}, {coding}");
        let fields = ["vary", "etag", "content-length"].map(|name| head.header(name));
        assert_eq!(fields, [vary, Some(etag), Some(length)], "{path}, {coding}");
        let get = get(&wagi, path, coding);
        assert_eq!(["vary", "etag"].map(|name| get.header(name)), fields[..2], "{path}, {coding}");
    }
}

/// Reads until the decoder knows `expected` more.
fn read_event(connection: &mut Connection, decode: &mut dyn FnMut(&[u8]) -> Vec<u8>, expected: &str) {
    let mut known = Vec::new();
    while known.len() < expected.len() {
        known.extend(decode(&connection.chunk().expect("a chunk").expect("more")));
    }
    assert_eq!(String::from_utf8_lossy(&known), expected);
}

#[test]
fn each_event_arrives_before_the_next_is_made() {
    let wagi = Site::probe("").top(ON).start(&[]);
    let events: Vec<_> = (1..=5).map(|number| format!("data: event {number}\n\n")).collect();
    for coding in CODINGS {
        let mut connection = Connection::open(wagi.address());
        let length: usize = events.iter().map(String::len).sum();
        let fields = format!("Content-Type: text/event-stream\r\nContent-Length: {length}");
        connection
            .send(format!("POST /echo HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {coding}\r\n{fields}\r\n\r\n"));
        let (mut decode, mut is_begun) = (live_decoder(coding), false);
        for event in &events {
            // The guest repeats it, and gets the next one only when this one is here.
            connection.send(event);
            if !is_begun {
                assert_eq!(connection.head().header("content-encoding"), Some(coding));
                is_begun = true;
            }
            read_event(&mut connection, &mut *decode, event);
        }
        while let Some(rest) = connection.chunk().expect("the whole body") {
            assert_eq!(decode(&rest), b"", "{coding}");
        }
    }
}

#[test]
fn a_line_arrives_while_the_guest_sleeps() {
    let wagi = Site::probe("").top(ON).start(&[]);
    for coding in CODINGS {
        let mut connection = Connection::open(wagi.address());
        // The sleep is longer than the patience of the test.
        send(&mut connection, "GET", "/slow-lines?2&600000", coding);
        assert_eq!(connection.head().header("content-encoding"), Some(coding));
        read_event(&mut connection, &mut *live_decoder(coding), "line 1\n");
    }
}

/// A directory with a text and an image, served at `/...` with these keys.
fn files(top: &str, keys: &str) -> Wagi {
    let site = Site::new();
    for (name, content) in [
        ("public/text.txt", text()),
        ("public/short.txt", text()[..1023].to_owned()),
        ("public/limit.txt", text()[..1024].to_owned()),
        ("public/image.png", text()),
        ("public/ready.js", text()),
        ("public/ready.js.gz", "compressed before".repeat(100)),
    ] {
        site.file(name, content);
    }
    site.top(&format!("{top}\n[[static]]\nroute = '/...'\ndirectory = 'public'\n{keys}")).start(&[])
}

/// The answer to a GET with these fields.
fn get_with(wagi: &Wagi, path: &str, fields: &str) -> Answer {
    let mut connection = Connection::open(wagi.address());
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
    connection.answer()
}

#[test]
fn files_are_compressed_while_they_are_sent() {
    let wagi = files("", "compress = true");
    for coding in CODINGS {
        let answer = get(&wagi, "/text.txt", coding);
        assert_eq!((answer.status, answer.header("content-encoding")), (200, Some(coding)));
        assert_eq!((answer.header("vary"), answer.header("content-length")), (Some("Accept-Encoding"), None));
        assert_eq!((answer.header("accept-ranges"), answer.header("x-content-type-options")), (None, Some("nosniff")));
        assert!(answer.header("etag").is_some_and(|tag| tag.starts_with("W/\"")), "{coding}");
        assert!(answer.header("last-modified").is_some() && answer.body.len() < text().len() / 20, "{coding}");
        assert!(decoded(coding, &answer.body).0 == text().as_bytes(), "{coding}");
        wagi.logged(&["GET /text.txt", &format!(" 200 {}", answer.body.len()), "end=static"]);
    }
    for (path, accepted, coding) in [
        ("/text.txt", "identity", None),
        ("/text.txt", "identity;q=0", None),
        ("/short.txt", "zstd", None),
        ("/limit.txt", "zstd", Some("zstd")),
        ("/image.png", "zstd", None),
        // The file beside it is sent as it is.
        ("/ready.js", "gzip", Some("gzip")),
        ("/ready.js", "br", Some("br")),
    ] {
        let answer = get(&wagi, path, accepted);
        assert_eq!((answer.status, answer.header("content-encoding")), (200, coding), "{path}: {accepted}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{path}: {accepted}");
        let is_weak = answer.header("etag").is_some_and(|tag| tag.starts_with("W/"));
        let is_sent_as_it_is = answer.header("content-length").is_some();
        assert!(is_weak != is_sent_as_it_is, "{path}: {accepted}");
    }
    assert_eq!(get(&wagi, "/ready.js", "gzip").body, "compressed before".repeat(100).as_bytes());
}

#[test]
fn ranges_and_conditions_are_right_beside_compression() {
    let wagi = files("", "compress = true");
    let (plain, coded) = (get(&wagi, "/text.txt", "identity"), get(&wagi, "/text.txt", "gzip"));
    let (strong, weak) = (plain.header("etag").expect("a tag"), coded.header("etag").expect("a tag"));
    assert_eq!(weak, format!("W/{strong}"));
    for (fields, status, coding, tag) in [
        ("Range: bytes=2-4\r\n".to_owned(), 206, None, strong),
        (format!("Range: bytes=2-4\r\nIf-Range: {strong}\r\n"), 206, None, strong),
        (format!("Range: bytes=2-4\r\nIf-Range: {weak}\r\n"), 200, Some("gzip"), weak),
        (format!("If-None-Match: {weak}\r\n"), 304, None, weak),
        (format!("If-None-Match: \"x\", {weak}\r\n"), 304, None, weak),
        (format!("If-None-Match: {strong}\r\n"), 304, None, strong),
        ("If-None-Match: \"x\"\r\n".to_owned(), 200, Some("gzip"), weak),
        (format!("If-Match: {strong}\r\n"), 200, Some("gzip"), weak),
    ] {
        let answer = get_with(&wagi, "/text.txt", &format!("Accept-Encoding: gzip\r\n{fields}"));
        let found = (answer.status, answer.header("content-encoding"), answer.header("etag"));
        assert_eq!(found, (status, coding, Some(tag)), "{fields}");
        assert!(status != 206 || answer.body == text().as_bytes()[2..5], "{fields}");
    }
    // A client that takes no coding would get the strong tag with a 200.
    let answer = get_with(&wagi, "/text.txt", &format!("If-None-Match: {weak}\r\n"));
    assert_eq!((answer.status, answer.header("etag")), (304, Some(strong)));
    for (fields, status) in [("Range: bytes=99999999-\r\n".to_owned(), 416), (format!("If-Match: {weak}\r\n"), 412)] {
        let answer = get_with(&wagi, "/text.txt", &format!("Accept-Encoding: gzip\r\n{fields}"));
        assert_eq!((answer.status, answer.header("content-encoding")), (status, None), "{fields}");
    }
}

#[test]
fn files_follow_the_key_of_the_server_and_their_own() {
    for (top, keys, coding) in [
        ("", "", None),
        (ON, "", Some("gzip")),
        (ON, "compress = false", None),
        ("[server]\ncompress = false", "compress = true", Some("gzip")),
        (ON, "cache_control = 'no-transform'", None),
    ] {
        let wagi = files(top, &format!("precompressed = false\n{keys}"));
        let answer = get(&wagi, "/text.txt", "gzip");
        assert_eq!(answer.header("content-encoding"), coding, "{top}, {keys}");
        assert_eq!(answer.header("vary"), coding.map(|_| "Accept-Encoding"), "{top}, {keys}");
        let mut connection = Connection::open(wagi.address());
        send(&mut connection, "HEAD", "/text.txt", "gzip");
        let head = connection.head();
        let length = text().len().to_string();
        let expected = (200, None, Some(length.as_str()));
        assert_eq!((head.status, head.header("content-encoding"), head.header("content-length")), expected);
        let vary = coding.map(|_| "Accept-Encoding");
        assert_eq!(head.header("vary"), vary, "HEAD: {top}, {keys}");
        // RFC 9110 §15.4.5: as the 200 has it.
        let known = format!("If-None-Match: {}\r\n", head.header("etag").expect("a tag"));
        for (fields, status) in [("Range: bytes=2-4\r\n", 206), (&known, 304)] {
            let answer = get_with(&wagi, "/text.txt", fields);
            assert_eq!((answer.status, answer.header("vary")), (status, vary), "{top}, {keys}");
        }
    }
}

#[test]
fn a_guest_that_fails_leaves_an_incomplete_stream_with_all_that_it_printed() {
    let body = text();
    let guest = printing_then(format!("Content-Type: text/plain\n\n{body}"), "(unreachable)");
    let wagi = Site::new().text_module("/trap", &guest, "").top(ON).start(&[]);
    for coding in CODINGS {
        let mut connection = Connection::open(wagi.address());
        send(&mut connection, "GET", "/trap", coding);
        let head = connection.head();
        let (mut sent, mut is_cut) = (Vec::new(), false);
        while !is_cut {
            match connection.chunk() {
                Ok(Some(piece)) => sent.extend(piece),
                Ok(None) => panic!("{coding}: the response looks complete"),
                Err(_) => is_cut = true,
            }
        }
        assert_eq!((head.status, is_cut), (200, true), "{coding}");
        let (plain, result) = decoded(coding, &sent);
        assert!(result.is_err(), "{coding}: the stream looks complete");
        assert!(plain == body.as_bytes(), "{coding}: {} of {} bytes", plain.len(), body.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_2_it_is_the_same() {
    let trap = printing_then([b"Content-Type: text/plain\n\n".to_vec(), vec![b'x'; 80_000]].concat(), "(unreachable)");
    let site = Site::new().text_module("/text", &page("", &text()), "").text_module("/trap", &trap, "");
    let wagi = site.top(ON).start(&[]);
    let mut connection = http2::Connection::open(wagi.address()).await;
    for coding in CODINGS {
        let request = |path: &str| {
            let request = http::Request::get(format!("http://localhost{path}"));
            request.header("accept-encoding", coding)
        };
        let (answer, _stream) = connection.send(request("/text"), true).await;
        let (status, mut body) = http2::head(answer).await;
        let mut sent = Vec::new();
        while let Some(piece) = http2::piece(&mut body).await {
            sent.extend(piece.expect("a piece"));
        }
        assert!(status == 200 && sent.len() < text().len() / 20, "{coding}: {status}, {} bytes", sent.len());
        assert!(decoded(coding, &sent).0 == text().as_bytes(), "{coding}");
        let (answer, _stream) = connection.send(request("/trap"), true).await;
        let mut is_complete = false;
        // The reset may overtake the head.
        if let Ok(response) = answer.await {
            is_complete = response.status() == 200;
            let mut body = response.into_body();
            while let Some(piece) = http2::piece(&mut body).await
                && is_complete
            {
                is_complete = piece.is_ok();
            }
        }
        assert!(!is_complete, "{coding}: the stream is reset");
    }
}
