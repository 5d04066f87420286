//! What a guest prints, and what the client gets for it.

use http::{Request, StatusCode};

use crate::support::guest::{printing, printing_then};
use crate::support::harness::Test;
use crate::support::http1::Connection;
use crate::support::site::Site;

/// RFC 3875 §6.2.1.
#[tokio::test]
async fn a_document_is_sent_as_it_is() {
    let answer = Test::printing("Content-Type: text/plain\n\nhello\n").get("/").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/plain"));
    assert_eq!(answer.body, "hello\n");
}

/// RFC 3875 §7.2: the body is not looked at, the header block may end its lines either way.
#[tokio::test]
async fn crlf_ends_header_lines_and_stays_in_the_body() {
    let answer = Test::printing("content-type: text/plain\r\n\r\nOh hi world\r\n").get("/").await;
    assert_eq!(answer.header("content-type"), "text/plain");
    assert_eq!(answer.body, "Oh hi world\r\n");
}

#[tokio::test]
async fn the_header_block_ends_at_two_line_ends_of_any_kind() {
    for output in
        ["Content-Type: a/b\n\nx", "Content-Type: a/b\r\n\r\nx", "Content-Type: a/b\n\r\nx", "\nContent-Type: a/b\n\nx"]
    {
        let answer = Test::printing(output).get("/").await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "x"), "{output:?}");
    }
}

#[tokio::test]
async fn an_error_page_has_its_status_and_body() {
    let answer = Test::printing("content-type: text/plain\nstatus: 404\n\nNot Found\n").get("/").await;
    assert_eq!((answer.status, answer.text().as_str()), (StatusCode::NOT_FOUND, "Not Found\n"));
}

/// Each row: output, status, and a header that must be there.
#[tokio::test]
async fn special_fields_decide_the_status() {
    type Row = (&'static str, u16, Option<(&'static str, &'static str)>);
    let rows: [Row; 12] = [
        ("Status: 404\n\n", 404, None),
        ("Status: 201 Created\n\n", 201, None),
        ("Status: 299\nContent-Type: a/b\n\n", 299, Some(("content-type", "a/b"))),
        ("Location: https://example.com/x\n\n", 302, Some(("location", "https://example.com/x"))),
        ("Location: /relative?a=b\n\n", 302, Some(("location", "/relative?a=b"))),
        ("Status: 303\nLocation: /a\n\n", 303, Some(("location", "/a"))),
        ("Location: /a\nStatus: 303\n\n", 303, Some(("location", "/a"))),
        ("Content-Type: a/b\nLocation: /a\n\nbody", 302, Some(("location", "/a"))),
        ("Content-Type: a/b\nContent-Type: c/d\n\n", 200, Some(("content-type", "c/d"))),
        ("Status: 404\nStatus: 410\n\n", 410, None),
        ("STATUS: 404\ncOnTeNt-TyPe: a/b\n\n", 404, Some(("content-type", "a/b"))),
        ("Content-Type : a/b\n\n", 200, Some(("content-type", "a/b"))),
    ];
    for (output, status, header) in rows {
        let answer = Test::printing(output).get("/").await;
        assert_eq!(answer.status.as_u16(), status, "{output:?}");
        if let Some((name, value)) = header {
            assert_eq!(answer.header(name), value, "{output:?}");
        }
    }
}

#[tokio::test]
async fn a_malformed_status_is_502_with_headers_and_body_intact() {
    for status in ["20", "2000", "abc", "200OK", "099", ""] {
        let output = format!("Status: {status}\nContent-Type: text/plain\nX-A: b\n\nbody");
        let answer = Test::printing(output).get("/").await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::BAD_GATEWAY, "body"), "{status:?}");
        assert_eq!(answer.header("x-a"), "b");
    }
}

#[tokio::test]
async fn repeated_fields_are_all_sent_in_order() {
    let answer = Test::printing("Content-Type: a/b\nSet-Cookie: a=1\nset-cookie: b=2\nVary: x\n\n").get("/").await;
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert_eq!(answer.header("vary"), "x");
}

#[tokio::test]
async fn text_outside_ascii_goes_out_as_it_is() {
    let answer = Test::printing("Content-Type: a/b\nX-Name: é\n\n").get("/").await;
    assert_eq!(answer.headers["x-name"].as_bytes(), "é".as_bytes());
}

/// RFC 3875 §6.3.4: the connection is the server's.
#[tokio::test]
async fn framing_and_hop_by_hop_fields_are_left_out() {
    let fields = ["Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "TE", "Trailer", "Proxy-Connection"];
    for field in fields {
        let answer = Test::printing(format!("Content-Type: a/b\n{field}: close\nX-Kept: 1\n\nbody")).get("/").await;
        assert!(!answer.headers.contains_key(field), "{field}");
        assert_eq!((answer.header("x-kept"), answer.text().as_str()), ("1", "body"));
    }
}

#[tokio::test]
async fn a_content_length_that_is_wrong_changes_nothing() {
    for length in ["3", "8", "999", "-1", "x"] {
        let output = format!("Content-Type: a/b\nContent-Length: {length}\n\n12345678");
        let running = Test::printing(output).start().await;
        let answer = running.get("/").await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "12345678"), "{length}");
        assert_eq!(answer.headers.get("content-length"), None);
        assert_eq!(running.log().contains("left out of the head"), length != "8", "{length}: {}", running.log());
    }
}

#[tokio::test]
async fn control_characters_cost_a_field_and_never_more() {
    for control in ["\x01", "\x1b[31m", "\x7f"] {
        let answer = Test::printing(format!("Content-Type: a/b\nX-A: 1{control}2\nX-B: 3\n\nbody")).get("/").await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "body"), "{control:?}");
        assert!(!answer.headers.contains_key("x-a"));
        assert_eq!(answer.header("x-b"), "3");
    }
    let answer = Test::printing("Content-Type: a/\0b\n\nbody").get("/").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "a/b"));
}

#[tokio::test]
async fn names_no_header_can_have_are_left_out() {
    let answer = Test::printing("Content-Type: a/b\nb@d name: 1\nno colon here\nX-B: 3\n\nbody").get("/").await;
    assert_eq!((answer.status, answer.header("x-b"), answer.text().as_str()), (StatusCode::OK, "3", "body"));
}

/// One of Content-Type, Location and Status has to be there.
#[tokio::test]
async fn an_answer_without_a_head_is_500_and_the_log_says_why() {
    let rows = [
        ("", "no blank line"),
        ("hello", "no blank line"),
        ("Content-Type: text/plain\n", "no blank line"),
        ("\n\nbody", "content-type"),
        ("X-Only: 1\n\nbody", "content-type"),
        ("HTTP/1.1 soon\n\nbody", "content-type"),
    ];
    for (output, reason) in rows {
        let running = Test::printing(output).start().await;
        let answer = running.get("/").await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (500, 0), "{output:?}");
        let log = running.log().to_lowercase();
        assert!(log.contains(reason) && log.contains("end=bad-head"), "{output:?}: {log}");
    }
    let mut not_utf8 = b"Content-Type: \xff\xfe\n\n".to_vec();
    not_utf8.extend_from_slice(b"body");
    assert_eq!(Test::printing(not_utf8).get("/").await.status, 500);
}

/// RFC 3875 §6.2.1 knows no 1xx answers.
#[tokio::test]
async fn an_informational_status_is_500() {
    assert_eq!(Test::printing("Status: 100\n\n").get("/").await.status, 500);
    assert_eq!(Test::printing("Status: 101\nContent-Type: a/b\n\n").get("/").await.status, 500);
}

/// Each row: what the guest does after printing a whole answer, and what the client gets.
#[tokio::test]
async fn the_end_of_a_guest_decides_what_becomes_of_its_answer() {
    let rows = [
        ("", 200, "end=ok"),
        ("(call $exit (i32.const 0))", 200, "end=ok"),
        ("(call $exit (i32.const 1))", 500, "exited with code 1"),
        ("(call $exit (i32.const 125))", 500, "exited with code 125"),
        ("(call $exit (i32.const 126))", 500, "exited with code 126"),
        ("(call $exit (i32.const -1))", 500, "exited with code -1"),
        ("(unreachable)", 500, "unreachable"),
        ("(drop (i32.load (i32.const -1)))", 500, "out of bounds"),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", 500, "divide by zero"),
    ];
    for (then, status, logged) in rows {
        let guest = printing_then("Content-Type: text/plain\n\nhello", then);
        let running = Test::at("/", &guest).start().await;
        let answer = running.get("/").await;
        assert_eq!(answer.status.as_u16(), status, "{then}");
        assert_eq!(answer.text(), if status == 200 { "hello" } else { "" }, "{then}");
        let log = running.log();
        assert!(log.contains(logged) && log.contains("route=\"/\"") && log.contains("id="), "{then}: {log}");
    }
}

/// RFC 3875 §4.3.3.
#[tokio::test]
async fn a_head_request_has_the_length_and_not_the_body() {
    let running = Test::at("/", &printing("Content-Type: a/b\n\nhello")).start().await;
    let request = Request::head("/").body(bytes::Bytes::new()).unwrap();
    let answer = running.send(request).await;
    assert_eq!((answer.status, answer.header("content-length"), answer.body.len()), (StatusCode::OK, "5", 0));
}

#[tokio::test]
async fn the_length_that_a_guest_prints_is_the_length_in_the_answer_to_head() {
    for (body, length) in [("", "5000000"), ("hello", "5")] {
        let running = Test::printing(format!("Content-Type: a/b\nContent-Length: {length}\n\n{body}")).start().await;
        let answer = running.send(Request::head("/").body(bytes::Bytes::new()).unwrap()).await;
        assert_eq!((answer.status, answer.header("content-length"), answer.body.len()), (StatusCode::OK, length, 0));
    }
}

/// Neither that of the body that is not sent, nor the guest's own.
#[tokio::test]
async fn answers_without_content_have_no_length_whatever_the_method() {
    for status in ["204", "304"] {
        for head in ["", "Content-Length: 7\n"] {
            let running = Test::printing(format!("Status: {status}\n{head}\nnot to be sent")).start().await;
            for method in ["GET", "HEAD"] {
                let request = Request::builder().method(method).uri("/").body(bytes::Bytes::new()).unwrap();
                let answer = running.send(request).await;
                let found = (answer.status.as_str(), answer.headers.get("content-length"), answer.body.len());
                assert_eq!(found, (status, None, 0), "{method}, {head:?}");
            }
        }
    }
}

/// lighttpd takes the status of such a line; curl's and PHP's habits make programs print it.
#[tokio::test]
async fn a_status_line_in_front_of_the_head_is_the_status() {
    let answer = Test::printing("HTTP/1.0 404 Not Found\r\nContent-Type: a/b\r\n\r\nbody").get("/").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type"), answer.text().as_str()), (404, "a/b", "body"));
}

#[tokio::test]
async fn answers_without_content_have_no_body() {
    for status in ["204", "205", "304"] {
        let answer = Test::printing(format!("Status: {status}\n\nnot to be sent")).get("/").await;
        assert_eq!((answer.status.as_str(), answer.body.len()), (status, 0));
    }
}

/// RFC 9110 §15.3.6: the client is told that there is none.
#[test]
fn a_205_has_the_length_0_whatever_its_guest_prints() {
    for head in ["", "Content-Length: 4\n"] {
        let wagi = Site::new().text_module("/", &printing(format!("Status: 205\n{head}\nbody")), "").start(&[]);
        let mut connection = Connection::open(wagi.address());
        for _ in 0..2 {
            let answer = connection.get("/");
            let found = (answer.status, answer.header("content-length"), answer.text());
            assert_eq!(found, (205, Some("0"), String::new()), "{head:?}");
        }
    }
}

#[tokio::test]
async fn whatever_a_guest_leaves_out_of_its_head_is_in_the_log() {
    let running = Test::printing("Content-Type: a/b\nConnection: close\n\n").start().await;
    running.get("/").await;
    assert!(running.log().contains("left out of the head"), "{}", running.log());
}
