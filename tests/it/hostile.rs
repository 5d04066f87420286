//! Answers and requests meant to do harm. Whatever a guest prints and whatever a client sends, the process lives, nothing
//! panics, and the next request is answered, on the same connection if that was kept.

use std::io;
use std::net::Shutdown;

use crate::support::http1::{Answer, Connection};
use crate::support::process::Wagi;
use crate::support::site::Site;

/// Numbers that look like chance and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below as u64).expect("it is below a usize")
    }
}

const HEAD: &[u8] = b"Content-Type: text/plain\n";

/// A head with one more line, and a body.
fn with_line(line: impl AsRef<[u8]>) -> Vec<u8> {
    [HEAD, line.as_ref(), b"\n\nbody\n"].concat()
}

/// Answers somebody thought of.
fn answers_by_hand() -> Vec<Vec<u8>> {
    let mut answers: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"\n".to_vec(),
        b"\n\n".to_vec(),
        b"\r\n\r\n".to_vec(),
        b"\0".to_vec(),
        b"\0\n\n".to_vec(),
        b"no head at all".to_vec(),
        b"no head at all\n\nbut a body".to_vec(),
        b"Content-Type: text/pl".to_vec(),
        b"Content-Type: text/plain".to_vec(),
        b"Content-Type: text/plain\n".to_vec(),
        b"Content-Type: text/plain\r\n".to_vec(),
        b"Content-Type\n\nbody".to_vec(),
        b":\n\nbody".to_vec(),
        b": text/plain\n\nbody".to_vec(),
        b"Content-Type:\n\nbody".to_vec(),
        b"\xff\xfe\xfd\n\nbody".to_vec(),
        b"Content-Type: \xff\xfe\n\nbody".to_vec(),
        b"Content-Type: text/plain\n\n\xff\xfe\0\x01".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes".to_vec(),
        vec![0; 100_000],
        vec![b'\r'; 100_000],
        vec![b'a'; 10 << 20],
        [HEAD, b"X-Long: ", &vec![b'x'; 10 << 20][..], b"\n\nbody"].concat(),
        [HEAD, &vec![b'n'; 10 << 20][..], b": long\n\nbody"].concat(),
        [HEAD, "X-Many: 1\n".repeat(10_000).as_bytes(), b"\nbody"].concat(),
        [HEAD, (0..10_000).map(|n| format!("X-{n}: 1\n")).collect::<String>().as_bytes(), b"\nbody"].concat(),
        [HEAD, "X:1\n".repeat(15_000).as_bytes(), b"\nbody"].concat(),
        [HEAD, "Set-Cookie: a=b\n".repeat(3_000).as_bytes(), b"\nbody"].concat(),
        [HEAD, (0..8_000).map(|n| format!("{n}:\n")).collect::<String>().as_bytes(), b"\nbody"].concat(),
    ];
    let statuses = [
        "",
        "0",
        "1",
        "99",
        "100",
        "101",
        "103",
        "199",
        "204",
        "205",
        "304",
        "299",
        "418",
        "599",
        "600",
        "999",
        "1000",
        "-1",
        "+200",
        "2e2",
        "200OK",
        "200 \u{1}",
        "65736",
        "４００",
        "0200",
        "20 0",
        " 200 fine",
        "\t404",
    ];
    answers.extend(statuses.map(|status| format!("Status: {status}\nContent-Type: a/b\n\nbody").into_bytes()));
    let lengths =
        ["0", "1", "4", "5", "6", "999999999", "18446744073709551616", "-1", "+5", "5, 5", "5, 6", "x", "", "0x5"];
    answers.extend(lengths.map(|length| with_line(format!("Content-Length: {length}"))));
    answers.push(with_line("Content-Length: 3\nContent-Length: 7"));
    let lines = [
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Connection: close",
        "Connection: keep-alive",
        "Connection: upgrade\nUpgrade: websocket",
        "Keep-Alive: timeout=1",
        "Trailer: X-Later",
        "TE: trailers",
        "Upgrade: h2c",
        "Proxy-Connection: close",
        "Content-Encoding: gzip",
        "Date: never",
        "Date: \u{0}",
        "Location: http://a\rX-Injected: yes",
        "Location: \u{7f}",
        "Location: \u{0}",
        "Location: é",
        "Location:",
        "X-Folded: a\n b",
        "X-Folded: a\n\tb",
        " X-Indented: a",
        "X Blank: a",
        "X-Blank : a",
        "X(Bad): a",
        "X\u{e9}: a",
        "X-\u{0}: a",
        "X-Return: a\rb",
        "X-Escape: \u{1b}[2J",
        "X-Delete: \u{7f}",
        "X-Nul: a\u{0}b",
        "X-Tab: a\tb",
        "X-High: \u{80}\u{9f}",
        "X-Emoji: 🙈",
        "-: a",
        "\"quoted\": a",
        "é: é",
        ":::::",
        "X-Empty:",
        "X: :",
        "Content-Type: twice/now",
        "Status: 404\nStatus: 200",
        "Status: 200\nLocation: /a\nStatus: 99",
        "HTTP/1.1 500 No: a",
        "Host: elsewhere",
        "Content-Range: bytes 0-1/2",
        "Expect: 100-continue",
    ];
    answers.extend(lines.map(with_line));
    answers.extend((0..=32).chain([127]).map(|byte: u8| with_line([b"X-Control: a", &[byte][..], b"b"].concat())));
    answers
}

/// Answers nobody thought of: a good one with some bytes changed, taken out or doubled, and plain noise.
fn answers_by_chance(count: usize) -> Vec<Vec<u8>> {
    let mut dice = Dice(0x5eed_7e57);
    let good = b"Status: 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a=b\r\nLocation: /x\r\n\r\nbody\r\n";
    let special = b"\0\n\r:\t \x7f\xff\x01,;9";
    let random = move |number: usize| {
        if number.is_multiple_of(5) {
            let length = dice.roll(300);
            return (0..length).map(|_| u8::try_from(dice.roll(256)).expect("a byte")).collect();
        }
        let mut answer = good.to_vec();
        for _ in 0..=dice.roll(6) {
            let at = dice.roll(answer.len());
            match dice.roll(4) {
                0 => answer[at] = special[dice.roll(special.len())],
                1 if answer.len() > 1 => drop(answer.remove(at)),
                2 => answer.insert(at, special[dice.roll(special.len())]),
                _ => answer.truncate(at.max(1)),
            }
        }
        answer
    };
    (0..count).map(random).collect()
}

/// A client that has itself answered and then checks that the server is none the worse for it.
struct Attacker {
    wagi: Wagi,
    connection: Connection,
    kept: usize,
}

impl Attacker {
    fn new(site: Site) -> Self {
        let wagi = site.start(&[]);
        let connection = Connection::open(wagi.address());
        Self { wagi, connection, kept: 0 }
    }

    /// Has a guest print `printed`, and asks for something harmless afterwards.
    fn print(&mut self, printed: &[u8]) -> Option<Answer> {
        let shown = String::from_utf8_lossy(&printed[..printed.len().min(100)]).into_owned();
        let head = format!("POST /raw HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", printed.len());
        self.connection.send([head.as_bytes(), printed].concat());
        let answer = self.connection.try_answer().ok();
        let keeps = answer.as_ref().is_some_and(|answer| answer.header("connection") != Some("close"));
        if keeps {
            self.kept += 1;
        } else {
            self.connection.rest();
            self.connection = Connection::open(self.wagi.address());
        }
        if let Some(answer) = &answer {
            assert!((200..1000).contains(&answer.status), "{shown:?}: {answer:?}");
            let names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
            assert!(!names.contains(&"x-injected") && !names.contains(&"upgrade"), "{shown:?}: {names:?}");
        }
        let next = match self.harmless() {
            // A body that its guest left unread is not read for it, and there is no way on behind it but a new connection.
            Err(_) if printed.len() > 60_000 => {
                self.connection = Connection::open(self.wagi.address());
                self.harmless()
            }
            next => next,
        };
        let next = next.unwrap_or_else(|error| panic!("after {shown:?}, {answer:?}: {error}"));
        assert_eq!((next.status, next.text().as_str()), (200, "\"/args\"\n\"a=b\"\n"), "after {shown:?}");
        answer
    }

    fn harmless(&mut self) -> io::Result<Answer> {
        self.connection.try_send("GET /args?a=b HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        self.connection.try_answer()
    }

    fn stays_calm(mut self) {
        assert!(self.wagi.end().is_none(), "the process is gone: {}", self.wagi.log());
        self.wagi.signal("TERM");
        assert_eq!(self.wagi.ended().code(), Some(0));
        self.wagi.logged(&["stopping"]);
        is_calm(&self.wagi.log());
    }
}

#[track_caller]
fn is_calm(log: &str) {
    for word in ["panick", "RUST_BACKTRACE", "internal error", "host failed", " ERROR "] {
        let line = log.lines().find(|line| line.contains(word));
        assert!(line.is_none(), "{line:?}");
    }
}

fn limits() -> Site {
    Site::probe("limits = { request_body = '64MiB' }")
}

#[test]
fn hostile_answers_disturb_nobody() {
    let answers = answers_by_hand();
    assert!(answers.len() > 150, "{}", answers.len());
    let mut attacker = Attacker::new(limits());
    for answer in &answers {
        attacker.print(answer);
    }
    assert!(attacker.kept > answers.len() / 2, "most answers leave the connection open: {}", attacker.kept);
    attacker.stays_calm();
}

#[test]
fn noise_as_an_answer_disturbs_nobody() {
    let mut attacker = Attacker::new(limits());
    for answer in answers_by_chance(400) {
        attacker.print(&answer);
    }
    assert!(attacker.kept > 200, "{}", attacker.kept);
    attacker.stays_calm();
}

/// The largest head that may be allowed, so that what a limit usually stops is looked at in full.
#[test]
fn heads_of_megabytes_disturb_nobody() {
    let mut attacker = Attacker::new(Site::probe("limits = { request_body = '64MiB', response_head = '16MiB' }"));
    for answer in answers_by_hand().iter().filter(|answer| answer.len() > 10_000) {
        attacker.print(answer);
    }
    attacker.stays_calm();
}

#[test]
fn what_a_guest_prints_never_becomes_a_second_answer() {
    let mut attacker = Attacker::new(limits());
    let inner = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    for length in ["0", "1", "5", "1000"] {
        let printed = format!("Content-Type: a/b\r\nContent-Length: {length}\r\n\r\n{inner}");
        let answer = attacker.print(printed.as_bytes()).expect("a whole answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, inner));
    }
    for coding in ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 3"] {
        let printed = format!("Content-Type: a/b\r\n{coding}\r\n\r\n0\r\n\r\n{inner}");
        let answer = attacker.print(printed.as_bytes()).expect("a whole answer");
        assert_eq!(answer.text(), format!("0\r\n\r\n{inner}"));
    }
    attacker.stays_calm();
}

/// Sends bytes over a connection of their own, and reads all answers that come.
fn answers_to(wagi: &Wagi, request: impl AsRef<[u8]>) -> Vec<Answer> {
    let mut connection = Connection::open(wagi.address());
    connection.send(request);
    // Not every one of these is complete; a client that waits for more would wait for a time limit.
    connection.stream().shutdown(Shutdown::Write).expect("the connection is open");
    std::iter::from_fn(|| connection.try_answer().ok()).collect()
}

#[track_caller]
fn statuses(wagi: &Wagi, request: impl AsRef<[u8]>) -> Vec<u16> {
    answers_to(wagi, request).iter().map(|answer| answer.status).collect()
}

#[test]
fn hostile_requests_get_an_error_or_nothing_and_disturb_nobody() {
    let mut wagi = Site::probe("").start(&[]);
    let smuggled = "GET /args HTTP/1.1\r\nHost: a\r\n\r\n";
    let host = "Host: localhost\r\n";
    let rows: Vec<(Vec<u8>, &[u16])> = vec![
        // Which length is meant, and so where the next request begins, is not ours to guess.
        (
            format!("POST /echo HTTP/1.1\r\n{host}Content-Length: 4\r\nContent-Length: 9\r\n\r\nabcd{smuggled}").into(),
            &[400],
        ),
        (format!("POST /echo HTTP/1.1\r\n{host}Content-Length: 4, 9\r\n\r\nabcd{smuggled}").into(), &[400]),
        (format!("POST /echo HTTP/1.1\r\n{host}Content-Length: +4\r\n\r\nabcd{smuggled}").into(), &[400]),
        (format!("POST /echo HTTP/1.1\r\n{host}Content-Length: -4\r\n\r\nabcd{smuggled}").into(), &[400]),
        (format!("POST /echo HTTP/1.1\r\n{host}Content-Length: 4x\r\n\r\nabcd{smuggled}").into(), &[400]),
        (format!("POST /echo HTTP/1.1\r\n{host}Transfer-Encoding: gzip\r\n\r\nabcd{smuggled}").into(), &[400]),
        (format!("POST /echo HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nxyz\r\n{smuggled}").into(), &[400]),
        (
            format!("POST /echo HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n{smuggled}")
                .into(),
            &[400],
        ),
        (
            format!("POST /echo HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc").into(),
            &[400],
        ),
        (format!("POST /echo HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n5\r\nab").into(), &[400]),
        (format!("GET /args HTTP/1.1\r\n{host}X-Large: {}\r\n\r\n", "x".repeat(100_000)).into(), &[431]),
        (format!("GET /args HTTP/1.1\r\n{host}{}\r\n", "X: 1\r\n".repeat(20_000)).into(), &[431]),
        (format!("GET /args HTTP/1.1\r\n{host}{}\r\n", "X: 1\r\n".repeat(1_000)).into(), &[431]),
        (format!("GET /args\0 HTTP/1.1\r\n{host}\r\n").into(), &[400]),
        (format!("GET /args HTTP/1.1\r\n{host}X-Nul: a\0b\r\n\r\n").into(), &[400]),
        (format!("GET /args HTTP/1.1\r\n{host}X\0Nul: ab\r\n\r\n").into(), &[400]),
        (format!("GET /args HTTP/1.1\r\n{host}X Blank: ab\r\n\r\n").into(), &[400]),
        (format!("GET /args HTTP/1.1\r\n{host}No colon\r\n\r\n").into(), &[400]),
        ("GET /args HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".into(), &[400]),
        (format!("GET /a%00b HTTP/1.1\r\n{host}\r\n").into(), &[400]),
        (format!("TRACE /args HTTP/1.1\r\n{host}\r\n").into(), &[405]),
        ("CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n".into(), &[405]),
        (format!("G\0T /args HTTP/1.1\r\n{host}\r\n").into(), &[400]),
        (format!("GET /args HTTP/3.0\r\n{host}\r\n").into(), &[400]),
        (format!("GET /args HTTP/1.1 extra\r\n{host}\r\n").into(), &[400]),
        ("GET\r\n\r\n".into(), &[400]),
        (vec![0; 1000], &[400]),
        (vec![0xff; 1000], &[400]),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), &[400]),
        (b"\r\n\r\n\r\n".to_vec(), &[]),
        (b"GET /args HTT".to_vec(), &[]),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot a frame at all, but long enough for one".to_vec(), &[]),
    ];
    for (request, expected) in rows {
        let shown = String::from_utf8_lossy(&request[..request.len().min(120)]).into_owned();
        assert_eq!(statuses(&wagi, &request), expected, "{shown:?}");
        assert_eq!(Connection::open(wagi.address()).get("/args").text(), "\"/args\"\n", "after {shown:?}");
    }
    assert!(wagi.end().is_none());
    is_calm(&wagi.log());
}

/// RFC 9112 §6.1 lets a server read such a request as chunked if it closes the connection afterwards, or refuse it. In
/// neither case is the rest a request.
#[test]
fn a_request_with_a_length_and_chunks_ends_its_connection() {
    let wagi = Site::probe("").start(&[]);
    for order in ["Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4"]
    {
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        let request = format!("POST /echo HTTP/1.1\r\nHost: a\r\n{order}\r\n\r\n0\r\n\r\n{smuggled}");
        let answers = answers_to(&wagi, request);
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(!wagi.log().contains("/smuggled"), "{}", wagi.log());
    }
}

#[test]
fn noise_as_a_request_disturbs_nobody() {
    let mut wagi = Site::probe("").start(&[]);
    let mut dice = Dice(0xbad_c0de);
    let good = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTE: trailers\r\n\r\nhello";
    for _ in 0..300 {
        let mut request = good.to_vec();
        for _ in 0..=dice.roll(5) {
            let at = dice.roll(request.len());
            request[at] = u8::try_from(dice.roll(256)).expect("a byte");
        }
        statuses(&wagi, &request);
    }
    assert_eq!(Connection::open(wagi.address()).post("/echo", "hello").text(), "hello");
    assert!(wagi.end().is_none());
    is_calm(&wagi.log());
}
