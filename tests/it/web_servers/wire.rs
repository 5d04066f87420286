//! A web server as wagi sees it: records of FastCGI, and heads of SCGI.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use crate::support::LONG;
use crate::support::process::Wagi;

/// The types of records.
pub const BEGIN: u8 = 1;
pub const ABORT: u8 = 2;
pub const END: u8 = 3;
pub const PARAMS: u8 = 4;
pub const STDIN: u8 = 5;
pub const STDOUT: u8 = 6;
pub const GET_VALUES: u8 = 9;

/// How a request ended.
pub const COMPLETE: [u8; 8] = [0; 8];
pub const CANT_MPX_CONN: [u8; 8] = [0, 0, 0, 0, 1, 0, 0, 0];
pub const UNKNOWN_ROLE: [u8; 8] = [0, 0, 0, 0, 3, 0, 0, 0];

/// A record without padding.
pub fn record(kind: u8, id: u8, content: &[u8]) -> Vec<u8> {
    padded(kind, id, content, 0)
}

/// A record with this number of bytes behind its content.
pub fn padded(kind: u8, id: u8, content: &[u8], padding: u8) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short record").to_be_bytes();
    let header = [1, kind, 0, id, length[0], length[1], padding, 0];
    [&header[..], content, &vec![b'p'; usize::from(padding)]].concat()
}

/// Parameters as their pairs stand in records.
pub fn pairs(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in parameters {
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

/// Everything of a request but its body. The connection is kept after it if `keep` is 1.
pub fn head(id: u8, keep: u8, parameters: &[(&str, &str)]) -> Vec<u8> {
    let begin = record(BEGIN, id, &[0, 1, keep, 0, 0, 0, 0, 0]);
    let pairs = pairs(parameters);
    let content = pairs.chunks(60_000).flat_map(|part| record(PARAMS, id, part));
    begin.into_iter().chain(content).chain(record(PARAMS, id, b"")).collect()
}

/// A request with the id 1.
pub fn request(keep: u8, parameters: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = head(1, keep, parameters);
    if !body.is_empty() {
        bytes.extend(record(STDIN, 1, body));
    }
    bytes.extend(record(STDIN, 1, b""));
    bytes
}

/// The same without a body, for this target.
pub fn get(keep: u8, target: &str) -> Vec<u8> {
    request(keep, &[("REQUEST_METHOD", "GET"), ("REQUEST_URI", target), ("HTTP_HOST", "a.test")], b"")
}

/// The head of SCGI.
pub fn netstring(parameters: &[(&str, &str)]) -> String {
    let head: String = parameters.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect();
    format!("{}:{head},", head.len())
}

/// A record that wagi has sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: u8,
    pub id: u8,
    pub content: Vec<u8>,
}

/// The end of a request.
pub fn end(id: u8, how: [u8; 8]) -> Record {
    Record { kind: END, id, content: how.into() }
}

/// A connection to a socket of wagi.
pub struct WebServer(pub UnixStream);

impl WebServer {
    pub fn connect(wagi: &Wagi, name: &str) -> Self {
        let stream = UnixStream::connect(wagi.directory().join(name)).expect("it listens");
        stream.set_read_timeout(Some(LONG)).expect("a timeout");
        Self(stream)
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("it reads");
    }

    /// The next record; `None` at the end of the connection.
    pub fn record(&mut self) -> Option<Record> {
        let mut header = [0; 8];
        match self.0.read(&mut header).expect("a record or the end") {
            0 => return None,
            read => self.0.read_exact(&mut header[read..]).expect("a header"),
        }
        let mut content = vec![0; usize::from(u16::from_be_bytes([header[4], header[5]]))];
        self.0.read_exact(&mut content).expect("its content");
        std::io::copy(&mut (&self.0).take(header[6].into()), &mut std::io::sink()).expect("its padding");
        Some(Record { kind: header[1], id: header[3], content })
    }

    /// All output up to the next record that is none, and that record.
    pub fn response(&mut self) -> (String, Option<Record>) {
        let mut output = Vec::new();
        loop {
            match self.record() {
                Some(Record { kind: STDOUT, content, .. }) => output.extend(content),
                other => return (String::from_utf8_lossy(&output).into_owned(), other),
            }
        }
    }

    /// Output until it contains `text`.
    pub fn output_with(&mut self, text: &str) -> String {
        let mut output = String::new();
        while !output.contains(text) {
            let record = self.record().expect("more output");
            assert_eq!(record.kind, STDOUT, "{output}");
            output.push_str(&String::from_utf8_lossy(&record.content));
        }
        output
    }

    /// The bytes up to the end of the connection.
    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }
}
