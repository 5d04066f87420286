//! FastCGI 1.0: records in all orders and sizes.

use crate::support::process::Wagi;
use crate::web_servers::wire::{
    ABORT, BEGIN, CANT_MPX_CONN, COMPLETE, GET_VALUES, PARAMS, Record, STDIN, UNKNOWN_ROLE, WebServer, end, get, head,
    padded, pairs, record, request,
};
use crate::web_servers::{FACTS, assert_facts, wagi};

fn served(server: &str) -> (Wagi, WebServer) {
    let wagi = wagi(server, &["fastcgi:unix:web.sock"]);
    let connection = WebServer::connect(&wagi, "web.sock");
    (wagi, connection)
}

/// The connection serves a request as if nothing had been before.
#[track_caller]
fn assert_serves(connection: &mut WebServer, keep: u8) {
    connection.send(request(keep, &FACTS, b"abc"));
    let (text, last) = connection.response();
    assert_facts(&text);
    assert_eq!(last, Some(end(1, COMPLETE)));
    if keep == 0 {
        assert_eq!(connection.record(), None);
    }
}

#[test]
fn a_connection_over_fastcgi_serves_one_request_after_another() {
    let (wagi, mut connection) = served("");
    assert_eq!(wagi.url(), "fastcgi:unix:web.sock");
    for keep in [1, 1, 0] {
        assert_serves(&mut connection, keep);
    }
}

#[test]
fn records_may_come_in_any_pieces_and_with_any_padding() {
    let (_wagi, mut connection) = served("");
    for byte in request(1, &FACTS, b"abc") {
        connection.send([byte]);
    }
    let (text, last) = connection.response();
    assert_facts(&text);
    assert_eq!(last, Some(end(1, COMPLETE)));
    // Each byte of the parameters and of the body has its own record.
    connection.send(padded(BEGIN, 1, &[0, 1, 0, 0, 0, 0, 0, 0], 255));
    for (kind, content) in [(PARAMS, pairs(&FACTS)), (STDIN, b"abc".to_vec())] {
        content.chunks(1).for_each(|byte| connection.send(padded(kind, 1, byte, 3)));
        connection.send(padded(kind, 1, b"", 9));
    }
    let (text, last) = connection.response();
    assert_facts(&text);
    assert_eq!((last, connection.record()), (Some(end(1, COMPLETE)), None));
}

#[test]
fn values_are_told_at_any_time() {
    let (_wagi, mut connection) = served("");
    let ask = record(GET_VALUES, 0, &pairs(&[("FCGI_MPXS_CONNS", ""), ("FCGI_MAX_CONNS", ""), ("OTHER", "")]));
    connection.send(&ask);
    let told = connection.record().expect("the values");
    let text = String::from_utf8_lossy(&told.content).into_owned();
    assert!((told.kind, told.id) == (10, 0) && text.contains("FCGI_MPXS_CONNS0") && text.contains("FCGI_MAX_CONNS"));
    assert!(!text.contains("OTHER"), "{text}");
    connection.send([get(1, "/sleep?600000"), ask].concat());
    let mut record = connection.record();
    while record.as_ref().is_some_and(|record| record.kind == 6) {
        record = connection.record();
    }
    assert_eq!(record, Some(told));
}

#[test]
fn another_request_at_the_same_time_is_refused() {
    let (wagi, mut connection) = served("");
    connection.send([head(1, 1, &FACTS), get(1, "/env/other")].concat());
    // A second request with the id of the first makes no sense.
    assert_eq!(connection.record(), None);
    let mut connection = WebServer::connect(&wagi, "web.sock");
    connection.send([head(1, 1, &FACTS), head(2, 1, &FACTS), record(STDIN, 2, b"xyz"), record(STDIN, 2, b"")].concat());
    assert_eq!(connection.record(), Some(end(2, CANT_MPX_CONN)));
    connection.send([record(STDIN, 1, b"abc"), record(STDIN, 1, b"")].concat());
    let (text, last) = connection.response();
    assert_facts(&text);
    assert_eq!(last, Some(end(1, COMPLETE)));
    // While the guest of the first runs and reads nothing.
    let post = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/never-read?600000"), ("CONTENT_LENGTH", "9")];
    connection.send([head(1, 1, &post), record(STDIN, 1, b"a")].concat());
    connection.output_with("\r\n\r\n");
    connection.send(head(3, 1, &FACTS));
    let (_, refused) = connection.response();
    assert_eq!(refused, Some(end(3, CANT_MPX_CONN)));
}

#[test]
fn another_role_is_refused() {
    let (wagi, mut connection) = served("");
    for role in [0, 2, 3, 255] {
        connection.send([record(BEGIN, 7, &[0, role, 1, 0, 0, 0, 0, 0]), record(PARAMS, 7, b"")].concat());
        assert_eq!(connection.record(), Some(end(7, UNKNOWN_ROLE)));
    }
    assert_serves(&mut connection, 1);
    let mut connection = WebServer::connect(&wagi, "web.sock");
    connection.send(record(BEGIN, 7, &[0, 2, 0, 0, 0, 0, 0, 0]));
    assert_eq!((connection.record(), connection.record()), (Some(end(7, UNKNOWN_ROLE)), None));
}

#[test]
fn records_of_other_types_and_of_no_request_change_nothing() {
    let (_wagi, mut connection) = served("");
    connection.send(record(42, 0, b"x"));
    let unknown = Record { kind: 11, id: 0, content: vec![42, 0, 0, 0, 0, 0, 0, 0] };
    assert_eq!(connection.record(), Some(unknown));
    connection
        .send([record(42, 1, b"x"), record(STDIN, 9, b"x"), record(PARAMS, 9, b"x"), record(ABORT, 9, b"")].concat());
    connection.send([head(1, 1, &FACTS), record(42, 1, b"x"), record(8, 1, b"x"), record(STDIN, 1, b"abc")].concat());
    connection.send([record(STDIN, 1, b""), record(STDIN, 1, b"")].concat());
    let (text, last) = connection.response();
    assert_facts(&text);
    assert_eq!(last, Some(end(1, COMPLETE)));
}

#[test]
fn a_request_that_is_given_up_ends_its_guest_and_not_the_connection() {
    let (wagi, mut connection) = served("");
    // It sleeps.
    connection.send(get(1, "/sleep?600000&one"));
    connection.output_with("\r\n\r\n");
    connection.send(record(ABORT, 1, b""));
    assert_eq!(connection.response().1, Some(end(1, COMPLETE)));
    wagi.logged(&["/sleep?600000&one", "end=client-gone"]);
    // It does not read what is sent to it.
    let post = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/never-read?600000"), ("CONTENT_LENGTH", "900")];
    connection.send([head(1, 1, &post), record(STDIN, 1, b"a")].concat());
    connection.output_with("\r\n\r\n");
    connection.send(record(ABORT, 1, b""));
    assert_eq!(connection.response().1, Some(end(1, COMPLETE)));
    wagi.logged(&["/never-read?600000", "end=client-gone"]);
    // It has not begun.
    connection.send([record(BEGIN, 1, &[0, 1, 1, 0, 0, 0, 0, 0]), record(ABORT, 1, b"")].concat());
    assert_eq!(connection.response().1, Some(end(1, COMPLETE)));
    assert_serves(&mut connection, 1);
    connection.send([head(1, 0, &FACTS), record(ABORT, 1, b"")].concat());
    assert_eq!((connection.response().1, connection.record()), (Some(end(1, COMPLETE)), None));
}

#[test]
fn a_web_server_that_closes_its_connection_ends_its_guest() {
    let (wagi, mut connection) = served("");
    connection.send(get(1, "/sleep?600000"));
    connection.output_with("\r\n\r\n");
    drop(connection);
    wagi.logged(&["/sleep?600000", "end=client-gone"]);
}

#[test]
fn a_body_over_fastcgi_is_as_long_as_its_length_says_or_is_refused() {
    let (_wagi, mut connection) = served("");
    for (length, body, status, expected) in [
        ("3", "abcdef", "200", "\r\n\r\nabc"),
        ("0", "abc", "200", "\r\n\r\n"),
        ("", "abc", "200", "\r\n\r\nabc"),
        ("4", "abc", "400", "\r\n\r\n"),
        ("4", "", "400", "\r\n\r\n"),
        ("x", "abc", "400", "\r\n\r\n"),
    ] {
        let post = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/echo"), ("CONTENT_LENGTH", length)];
        connection.send(request(1, &post, body.as_bytes()));
        let (text, last) = connection.response();
        assert!(text.starts_with(&format!("Status: {status}")) && text.ends_with(expected), "{length} {body}: {text}");
        assert_eq!(last, Some(end(1, COMPLETE)), "{length} {body}");
    }
    // The guest is under way when the body ends too early.
    let post = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/stdin"), ("CONTENT_LENGTH", "900")];
    connection.send([head(1, 1, &post), record(STDIN, 1, b"abc")].concat());
    connection.send(record(GET_VALUES, 0, b""));
    assert_eq!(connection.record().expect("the values").kind, 10);
    connection.send(record(STDIN, 1, b""));
    let (text, last) = connection.response();
    assert!(text.starts_with("Status: 400"), "{text}");
    assert_eq!(last, Some(end(1, COMPLETE)));
    assert_serves(&mut connection, 0);
}

#[test]
fn parameters_that_make_no_request_are_refused() {
    let (_wagi, mut connection) = served("");
    for wrong in [("REQUEST_URI", "/ HTTP/1.1\r\nX: y"), ("HTTP_X", "a\r\nb: c"), ("CONTENT_LENGTH", "x")] {
        connection.send(request(1, &[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/env/a"), wrong], b""));
        let (text, last) = connection.response();
        assert!(text.starts_with("Status: 400"), "{wrong:?}: {text}");
        assert_eq!(last, Some(end(1, COMPLETE)));
    }
    for incomplete in [&[("REQUEST_METHOD", "GET"), ("SCRIPT_NAME", "/env")][..], &[("REQUEST_URI", "/env")], &[]] {
        connection.send(request(1, incomplete, b""));
        assert!(connection.response().0.starts_with("Status: 400"), "{incomplete:?}");
    }
    let broken = record(PARAMS, 1, b"\x7f\x7fREQUEST_METHODGET");
    connection.send([record(BEGIN, 1, &[0, 1, 1, 0, 0, 0, 0, 0]), broken, record(PARAMS, 1, b"")].concat());
    assert!(connection.response().0.starts_with("Status: 400"));
    assert_serves(&mut connection, 1);
}

#[test]
fn parameters_that_are_too_long_or_too_many_are_refused() {
    let (_wagi, mut connection) = served("");
    let get = [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/env/a")];
    let (long, longer) = ("x".repeat(9000), "x".repeat(1_000_000));
    connection.send(request(1, &[&get[..], &[("HTTP_X", &*long), ("OTHER", &*long)]].concat(), b""));
    assert!(connection.response().0.contains(&long));
    connection.send(request(1, &[&get[..], &[("OTHER", &*longer)]].concat(), b""));
    assert!(connection.response().0.starts_with("Status: 431"));
    connection.send(request(1, &[&get[..], &[("A", ""); 600]].concat(), b""));
    assert!(connection.response().0.starts_with("Status: 431"));
    assert_serves(&mut connection, 1);
}

#[test]
fn a_response_that_a_guest_does_not_complete_has_no_end() {
    let (_wagi, mut connection) = served("");
    connection.send(get(1, "/torn"));
    let (text, last) = connection.response();
    assert!(text.starts_with("Status: 200"), "{text}");
    assert_eq!(last, None);
}

#[test]
fn a_response_without_a_body_is_complete_behind_its_head() {
    let (_wagi, mut connection) = served("");
    for (method, target, status) in
        [("HEAD", "/env/a", "200"), ("GET", "/status?204", "204"), ("GET", "/status?304", "304")]
    {
        connection.send(request(1, &[("REQUEST_METHOD", method), ("REQUEST_URI", target)], b""));
        let (text, last) = connection.response();
        assert!(text.starts_with(&format!("Status: {status}")) && text.ends_with("\r\n\r\n"), "{text}");
        assert_eq!(last, Some(end(1, COMPLETE)));
    }
}

#[test]
fn bodies_and_output_pass_as_they_come() {
    let (_wagi, mut connection) = served("");
    let post = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/echo"), ("CONTENT_LENGTH", "9")];
    connection.send(head(1, 1, &post));
    for piece in ["one", "two", "six"] {
        connection.send(record(STDIN, 1, piece.as_bytes()));
        connection.output_with(piece);
    }
    connection.send(record(STDIN, 1, b""));
    assert_eq!(connection.response().1, Some(end(1, COMPLETE)));
    connection.send(get(1, "/slow-lines?2&600000"));
    connection.output_with("line 1\n");
}

#[test]
fn a_long_body_and_a_long_response_pass_whole() {
    let (_wagi, mut connection) = served("");
    let body = "0123456789abcdef".repeat(1 << 16);
    let length = body.len().to_string();
    let post = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/echo"), ("CONTENT_LENGTH", &*length)];
    let mut sending = WebServer(connection.0.try_clone().expect("another handle"));
    let bytes = body.clone();
    let head = head(1, 1, &post);
    let sender = std::thread::spawn(move || {
        sending.send(head);
        bytes.as_bytes().chunks(65_535).for_each(|piece| sending.send(record(STDIN, 1, piece)));
        sending.send(record(STDIN, 1, b""));
    });
    let (text, last) = connection.response();
    sender.join().expect("everything is sent");
    assert!(text.ends_with(&body), "{} bytes", text.len());
    assert_eq!(last, Some(end(1, COMPLETE)));
    assert_serves(&mut connection, 1);
}

#[test]
fn a_web_server_that_does_not_finish_its_parameters_is_disconnected() {
    let (_wagi, mut connection) = served("\n[limits]\nheader_timeout = '3s'");
    connection.send(record(BEGIN, 1, &[0, 1, 1, 0, 0, 0, 0, 0]));
    assert_eq!(connection.record(), None);
}
