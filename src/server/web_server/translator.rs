//! What do the HTTP library and the web server get of a request? A `Translator` turns events into a head and a body of HTTP/1.1, and
//! the response of the library into what the web server expects. It does no I/O.
//!
//! What is kept is bounded: one record, one head, and what one write of the library stands for. The end of a response is written
//! only if the response is complete. The web server may begin its next request then, not earlier.

use bytes::BytesMut;

use crate::config::WebServerProtocol;
use crate::fastcgi::{
    BadInput, BodyLength, Event, FastCgiReader, ResponseDecoder, ScgiReader, WebServerRequest, append_end,
    append_output,
};
use crate::server::web_server::facts::CurrentFacts;

/// How much of the library's output becomes records at once, and how many bytes wait for the library or for the web server.
pub(super) const PIECE: usize = 64 << 10;

/// The protocol of the connection, with what was read of it.
enum ProtocolReader {
    FastCgi(FastCgiReader),
    Scgi(ScgiReader),
}

/// What the HTTP library gets of the body of a request.
enum BodyStep {
    /// There is no request, or its body is complete.
    None,
    /// The head waits for the first bytes of the body, which say whether there is one.
    Undecided(Vec<u8>),
    /// This number of bytes is to come.
    Left(u64),
    Chunked,
}

/// What the connection goes on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continuation {
    /// More of the request and its response, or the next request.
    Open,
    /// The next request, which the HTTP library must get as a new connection: it was left in the middle of one.
    Anew,
    /// Nothing.
    Closed,
}

/// What the library knows of a request that has ended.
#[derive(Clone, Copy, Debug)]
enum TranslationEnd {
    /// It has read all of it, and has written all of its response.
    Complete,
    /// It has not.
    Broken,
}

/// The requests and responses of one connection.
pub(super) struct Translator {
    reader: ProtocolReader,
    pub(super) facts: CurrentFacts,
    /// What has come and was not read.
    pub(super) input: BytesMut,
    /// What the library reads next.
    pub(super) http: BytesMut,
    body: BodyStep,
    response: ResponseDecoder,
    /// What is written next.
    pub(super) output: BytesMut,
    /// The library has begun to read the current request.
    pub(super) is_taken: bool,
    pub(super) end: Continuation,
    /// The web server is still sending what is not read any more.
    pub(super) is_input_left: bool,
}

impl Translator {
    pub(super) fn new(protocol: WebServerProtocol, max_head: usize, connections: usize) -> Self {
        let reader = match protocol {
            WebServerProtocol::FastCgi => ProtocolReader::FastCgi(FastCgiReader::new(max_head, connections)),
            WebServerProtocol::Scgi => ProtocolReader::Scgi(ScgiReader::new(max_head)),
        };
        Self {
            reader,
            facts: CurrentFacts::default(),
            input: BytesMut::new(),
            http: BytesMut::new(),
            body: BodyStep::None,
            response: ResponseDecoder::new(false),
            output: BytesMut::new(),
            is_taken: false,
            end: Continuation::Open,
            is_input_left: false,
        }
    }

    /// Reads what has come, as far as there is room for what it stands for.
    pub(super) fn read(&mut self) {
        while self.has_room() {
            let event = match &mut self.reader {
                ProtocolReader::FastCgi(reader) => reader.next(&mut self.input),
                ProtocolReader::Scgi(reader) => Ok(reader.next(&mut self.input)),
            };
            match event {
                Ok(Some(event)) => self.on_event(event),
                Ok(None) => return,
                // Where the next record begins is not known.
                Err(_) => self.end = Continuation::Closed,
            }
        }
    }

    /// Whether more may be read.
    pub(super) fn has_room(&self) -> bool {
        self.end == Continuation::Open && self.http.len() < PIECE && self.output.len() <= PIECE
    }

    /// The web server has closed its side.
    pub(super) fn end_input(&mut self) {
        if !matches!(self.body, BodyStep::None | BodyStep::Left(0)) {
            self.break_off();
            self.end = Continuation::Closed;
        }
    }

    /// Whether a part of a response has come, and the rest will not.
    pub(super) fn is_cut(&self) -> bool {
        self.response.is_cut()
    }

    /// Whether the connection ends with the current request.
    fn is_last(&self) -> bool {
        !matches!(&self.reader, ProtocolReader::FastCgi(reader) if reader.keeps_connection())
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Request(parameters) => match WebServerRequest::new(&parameters) {
                Some(request) => self.begin(request),
                None => self.refuse("400 Bad Request"),
            },
            Event::BadRequest(BadInput::Malformed) => self.refuse("400 Bad Request"),
            Event::BadRequest(BadInput::TooLong) => self.refuse("431 Request Header Fields Too Large"),
            Event::Body(bytes) => self.append_body(&bytes),
            Event::BodyEnd => self.end_body(),
            Event::Reply(bytes) => self.output.extend_from_slice(&bytes),
            Event::LastReply(bytes) => {
                self.output.extend_from_slice(&bytes);
                self.end = Continuation::Closed;
            }
            Event::Abort => self.end_request(TranslationEnd::Broken),
        }
    }

    fn begin(&mut self, request: WebServerRequest) {
        self.response = ResponseDecoder::new(request.is_head);
        self.facts.set(request.facts);
        self.is_taken = false;
        match request.length {
            BodyLength::Known(length) => {
                self.http.extend_from_slice(&request.head);
                // lighttpd says 0 for each request without a body.
                let is_named = length > 0 || !(request.is_head || request.head.starts_with(b"GET "));
                let field = if is_named { format!("content-length: {length}\r\n") } else { String::new() };
                self.http.extend_from_slice(format!("{field}\r\n").as_bytes());
                self.body = BodyStep::Left(length);
            }
            BodyLength::Unknown => self.body = BodyStep::Undecided(request.head),
        }
    }

    fn append_body(&mut self, bytes: &[u8]) {
        if let BodyStep::Undecided(head) = &self.body {
            self.http.extend_from_slice(head);
            self.http.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
            self.body = BodyStep::Chunked;
        }
        match &mut self.body {
            // RFC 3875 §4.2: a script reads as much as CONTENT_LENGTH says, even if there is more.
            BodyStep::Left(left) => {
                let length = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= length as u64;
                self.http.extend_from_slice(&bytes[..length]);
            }
            BodyStep::Chunked => {
                self.http.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
                self.http.extend_from_slice(bytes);
                self.http.extend_from_slice(b"\r\n");
            }
            BodyStep::None | BodyStep::Undecided(_) => {}
        }
    }

    fn end_body(&mut self) {
        match std::mem::replace(&mut self.body, BodyStep::None) {
            BodyStep::Undecided(head) => {
                self.http.extend_from_slice(&head);
                self.http.extend_from_slice(b"\r\n");
            }
            BodyStep::Left(1..) => self.break_off(),
            BodyStep::Chunked => self.http.extend_from_slice(b"0\r\n\r\n"),
            BodyStep::Left(0) | BodyStep::None => {}
        }
    }

    /// The body is shorter than CONTENT_LENGTH: its client has left the web server.
    fn break_off(&mut self) {
        if self.response.has_begun() {
            self.end = Continuation::Closed;
        } else {
            self.refuse("400 Bad Request");
        }
    }

    /// Responds in place of the library.
    fn refuse(&mut self, status: &str) {
        self.append_output(format!("Status: {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        self.end_request(TranslationEnd::Broken);
    }

    /// Takes output of the library.
    pub(super) fn append_response(&mut self, bytes: &[u8]) {
        if self.end != Continuation::Open || self.response.is_complete() {
            return;
        }
        let mut decoded = Vec::with_capacity(bytes.len());
        self.response.decode(bytes, &mut decoded);
        self.append_output(&decoded);
        if self.response.is_complete() {
            let is_read = matches!(self.body, BodyStep::None | BodyStep::Left(0)) && self.http.is_empty();
            self.end_request(if is_read { TranslationEnd::Complete } else { TranslationEnd::Broken });
        }
    }

    fn append_output(&mut self, output: &[u8]) {
        match &self.reader {
            ProtocolReader::Scgi(_) => self.output.extend_from_slice(output),
            ProtocolReader::FastCgi(reader) => append_output(&mut self.output, reader.id(), output),
        }
    }

    /// Tells the web server that its request has ended.
    fn end_request(&mut self, end: TranslationEnd) {
        let is_taken = std::mem::take(&mut self.is_taken);
        self.is_input_left = match &self.reader {
            ProtocolReader::FastCgi(reader) => reader.expects_more(),
            ProtocolReader::Scgi(reader) => reader.expects_more(),
        };
        self.end = match end {
            _ if self.is_last() => Continuation::Closed,
            TranslationEnd::Broken if is_taken => Continuation::Anew,
            TranslationEnd::Broken | TranslationEnd::Complete => Continuation::Open,
        };
        self.body = BodyStep::None;
        self.http.clear();
        if !self.response.is_complete() {
            self.response = ResponseDecoder::new(false);
        }
        if let ProtocolReader::FastCgi(reader) = &mut self.reader {
            append_end(&mut self.output, reader.id());
            reader.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::server::web_server::translator::*;

    fn record(kind: u8, id: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("a short record").to_be_bytes();
        [&[1, kind, 0, id, length[0], length[1], 0, 0], content].concat()
    }

    /// A POST, before its body.
    fn head(keep: u8, length: &str) -> Vec<u8> {
        head_of("POST", keep, length)
    }

    fn head_of(method: &str, keep: u8, length: &str) -> Vec<u8> {
        let mut pairs = Vec::new();
        for (name, value) in [("REQUEST_METHOD", method), ("REQUEST_URI", "/"), ("CONTENT_LENGTH", length)] {
            pairs.extend([name.len(), value.len()].map(|length| u8::try_from(length).expect("short")));
            pairs.extend_from_slice(name.as_bytes());
            pairs.extend_from_slice(value.as_bytes());
        }
        [record(1, 1, &[0, 1, keep, 0, 0, 0, 0, 0]), record(4, 1, &pairs), record(4, 1, b"")].concat()
    }

    fn translator(bytes: &[&[u8]]) -> Translator {
        let mut translator = Translator::new(WebServerProtocol::FastCgi, 4096, 7);
        translator.input.extend_from_slice(&bytes.concat());
        translator.read();
        translator
    }

    fn is_in(text: &[u8], all: &[u8]) -> bool {
        all.windows(text.len()).any(|found| found == text)
    }

    const END: [u8; 16] = [1, 3, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn a_request_without_a_body_has_no_length_unless_its_method_wants_a_body() {
        for (method, expected) in [
            ("GET", "GET / HTTP/1.1\r\n\r\n"),
            ("HEAD", "HEAD / HTTP/1.1\r\n\r\n"),
            ("PUT", "PUT / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"),
        ] {
            let translator = translator(&[&head_of(method, 1, "0"), &record(5, 1, b"")]);
            assert_eq!(String::from_utf8_lossy(&translator.http), expected);
        }
    }

    #[test]
    fn a_body_is_as_long_as_its_length_says_or_is_refused() {
        for (length, body, expected) in [
            ("3", &[b"abc".as_slice()][..], Some("content-length: 3\r\n\r\nabc")),
            ("3", &[b"ab", b"cdef"], Some("content-length: 3\r\n\r\nabc")),
            ("0", &[b"abc"], Some("content-length: 0\r\n\r\n")),
            ("", &[b"ab", b"c"], Some("chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")),
            ("", &[], Some("POST / HTTP/1.1\r\n\r\n")),
            ("4", &[b"abc"], None),
            ("4", &[], None),
        ] {
            let body: Vec<u8> = body.iter().flat_map(|piece| record(5, 1, piece)).collect();
            let translator = translator(&[&head(1, length), &body, &record(5, 1, b"")]);
            let http = String::from_utf8_lossy(&translator.http);
            match expected {
                Some(expected) => assert!(http.ends_with(expected) && translator.output.is_empty(), "{length}: {http}"),
                None => {
                    assert!(http.is_empty() && is_in(b"Status: 400", &translator.output), "{length}: {http}");
                    assert!(translator.output.ends_with(&END) && translator.end == Continuation::Open, "{length}");
                }
            }
        }
    }

    #[test]
    fn a_request_that_is_given_up_ends_and_only_its_connection_in_the_library() {
        for (keep, is_taken, end) in [
            (1, false, Continuation::Open),
            (1, true, Continuation::Anew),
            (0, false, Continuation::Closed),
            (0, true, Continuation::Closed),
        ] {
            let mut translator = translator(&[&head(keep, "3")]);
            translator.is_taken = is_taken;
            translator.input.extend_from_slice(&record(2, 1, b""));
            translator.read();
            assert!(translator.http.is_empty() && translator.output.ends_with(&END) && translator.end == end, "{keep}");
        }
    }

    #[test]
    fn what_is_left_of_a_body_that_the_library_has_not_read_is_not_part_of_the_next_request() {
        let mut translator = translator(&[&head(1, "3"), &record(5, 1, b"a")]);
        translator.http.clear();
        translator.is_taken = true;
        translator.append_response(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(translator.end, Continuation::Anew);
        translator.end = Continuation::Open;
        translator.input.extend_from_slice(&[record(5, 1, b"bc"), record(5, 1, b""), head(1, "0")].concat());
        translator.read();
        assert_eq!(translator.http, &b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n"[..]);
    }

    #[test]
    fn a_response_that_has_begun_is_cut_if_the_body_is_too_short() {
        let mut translator = translator(&[&head(1, "3")]);
        translator.append_response(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab");
        translator.input.extend_from_slice(&record(5, 1, b""));
        translator.read();
        assert!(translator.is_cut() && translator.end == Continuation::Closed && !translator.output.ends_with(&END));
    }
}
