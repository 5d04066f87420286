//! How is one request sent and its answer read, with as little as possible in between?
//!
//! HTTP/1.1 over blocking sockets: the servers are what is measured. Answers have a length or come in chunks.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// Longer than anything that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is kept for one request after the other.
pub struct Connection {
    stream: BufReader<TcpStream>,
    line: String,
}

/// How the length of a body is told.
#[derive(Clone, Copy, Debug)]
pub enum Framing {
    /// It has so many bytes.
    Length(u64),
    /// It comes in chunks.
    Chunks,
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::with_capacity(256 * 1024, stream), line: String::new() })
    }

    /// The same with a small buffer, for one of thousands.
    pub fn open_small(address: SocketAddr) -> Result<Self> {
        let opened = Self::open(address)?;
        Ok(Self { stream: BufReader::with_capacity(512, opened.stream.into_inner()), line: String::new() })
    }

    /// A second hold on the socket, for somebody who writes.
    pub fn writer(&self) -> Result<TcpStream> {
        Ok(self.stream.get_ref().try_clone()?)
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    /// Reads the head of an answer, which must be a 200.
    pub fn head(&mut self) -> Result<Framing> {
        let mut framing = None;
        self.each_field(|name, value| {
            if name.eq_ignore_ascii_case("content-length") {
                framing = Some(Framing::Length(value.parse()?));
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                framing = Some(Framing::Chunks);
            }
            Ok(())
        })?;
        framing.context("the answer does not tell its length")
    }

    /// Reads the same, and returns the value of a field.
    pub fn head_with(&mut self, wanted: &str) -> Result<Option<String>> {
        let mut found = None;
        self.each_field(|name, value| {
            if name.eq_ignore_ascii_case(wanted) {
                found = Some(value.to_owned());
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn each_field(&mut self, mut see: impl FnMut(&str, &str) -> Result<()>) -> Result<()> {
        self.read_line()?;
        let status = self.line.split(' ').nth(1).unwrap_or_default();
        ensure!(status == "200", "the answer is `{}`", self.line.trim_end());
        loop {
            self.read_line()?;
            let Some((name, value)) = self.line.trim_end().split_once(':') else { return Ok(()) };
            see(name, value.trim())?;
        }
    }

    /// Whether something comes within this time.
    pub fn has_more_within(&mut self, time: Duration) -> Result<bool> {
        self.stream.get_ref().set_read_timeout(Some(time))?;
        let found = self.stream.fill_buf().map(|bytes| !bytes.is_empty());
        self.stream.get_ref().set_read_timeout(Some(PATIENCE))?;
        match found {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            found => Ok(found?),
        }
    }

    /// Reads the next chunk of a body that comes in chunks, and tells how long it is; 0 stands for the end.
    pub fn chunk(&mut self) -> Result<u64> {
        self.chunk_seen(&mut |_| {})
    }

    /// Reads a body and tells how long it is.
    pub fn skip_body(&mut self, framing: Framing) -> Result<u64> {
        let mut length = 0;
        self.each_piece(framing, |piece| length += piece.len() as u64)?;
        Ok(length)
    }

    /// Asks for a path and returns the body of the answer.
    pub fn ask(&mut self, path: &str) -> Result<String> {
        self.send(get(path).as_bytes())?;
        let framing = self.head()?;
        let mut body = Vec::new();
        self.each_piece(framing, |piece| body.extend_from_slice(piece))?;
        Ok(String::from_utf8(body)?)
    }

    fn each_piece(&mut self, framing: Framing, mut see: impl FnMut(&[u8])) -> Result<()> {
        match framing {
            Framing::Length(length) => self.pieces_of(length, &mut see),
            Framing::Chunks => {
                while self.chunk_seen(&mut see)? > 0 {}
                Ok(())
            }
        }
    }

    fn chunk_seen(&mut self, see: &mut impl FnMut(&[u8])) -> Result<u64> {
        self.read_line()?;
        let length = u64::from_str_radix(self.line.trim_end().split(';').next().unwrap_or_default(), 16)?;
        self.pieces_of(length, see)?;
        self.read_line()?;
        Ok(length)
    }

    fn pieces_of(&mut self, mut length: u64, see: &mut impl FnMut(&[u8])) -> Result<()> {
        while length > 0 {
            let piece = self.stream.fill_buf()?;
            if piece.is_empty() {
                bail!("the answer breaks off");
            }
            let taken = piece.len().min(usize::try_from(length)?);
            see(&piece[..taken]);
            self.stream.consume(taken);
            length -= taken as u64;
        }
        Ok(())
    }

    fn read_line(&mut self) -> Result<()> {
        self.line.clear();
        let read = self.stream.by_ref().take(64 * 1024).read_line(&mut self.line)?;
        ensure!(read > 0, "the connection ends instead of an answer");
        Ok(())
    }
}

/// The bytes of a GET request.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}
