//! HTTP/1.1 over a socket, byte for byte: for what a well-behaved client library would hide.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use socket2::{Domain, Socket, Type};

use super::LONG;

/// A connection.
pub struct Connection {
    reader: BufReader<Stream>,
}

/// What a connection runs over.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body, transfer coding removed.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).expect("the server listens"))
    }

    /// Connects and sends a GET. Its answer may be read later.
    pub fn begin(address: SocketAddr, path: &str) -> Self {
        let mut connection = Self::open(address);
        connection.ask(path);
        connection
    }

    /// Connects from another address of this machine.
    pub fn open_from(own: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::new(own, 0).into()).expect("an address of this machine");
        socket.connect(&address.into()).expect("the server listens");
        Self::new(socket.into())
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LONG)).expect("a timeout is allowed");
        stream.set_nodelay(true).expect("no delay is allowed");
        Self { reader: BufReader::new(Stream::Tcp(stream)) }
    }

    /// Connects to a Unix socket.
    pub fn open_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the server listens");
        stream.set_read_timeout(Some(LONG)).expect("a timeout is allowed");
        Self { reader: BufReader::new(Stream::Unix(stream)) }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the server reads");
    }

    /// Sends bytes as they are, or finds that the connection is closed.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Sends a GET.
    pub fn ask(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    }

    /// Sends a GET and reads the whole answer.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        self.ask(path);
        self.answer()
    }

    /// Sends a POST.
    pub fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        self.send(format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len()));
        self.send(body);
        self.answer()
    }

    /// Reads a whole answer to anything but a HEAD.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        self.try_answer().expect("a whole answer")
    }

    /// Reads a whole answer to anything but a HEAD, or finds that it is cut short.
    pub fn try_answer(&mut self) -> io::Result<Answer> {
        let mut answer = self.try_head()?;
        answer.body = self.try_body(&answer)?;
        Ok(answer)
    }

    /// Reads a status line and headers.
    #[track_caller]
    pub fn head(&mut self) -> Answer {
        self.try_head().expect("a head")
    }

    fn try_head(&mut self) -> io::Result<Answer> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line but {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Answer { status, headers, body: Vec::new() })
    }

    /// Reads the body that belongs to a head.
    fn try_body(&mut self, head: &Answer) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if head.status == 204 || head.status == 304 {
            return Ok(body);
        }
        if let Some(length) = head.header("content-length") {
            body.resize(length.parse().map_err(io::Error::other)?, 0);
            self.reader.read_exact(&mut body)?;
        } else if head.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk()? {
                body.extend_from_slice(&chunk);
            }
        } else {
            self.reader.read_to_end(&mut body)?;
        }
        Ok(body)
    }

    /// Reads one chunk; `None` is the last, an error a transfer cut short.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; length + 2];
        self.reader.read_exact(&mut chunk)?;
        chunk.truncate(length);
        Ok((length > 0).then_some(chunk))
    }

    /// Reads all chunks of a body.
    #[track_caller]
    pub fn chunks(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.chunk().expect("the whole body")).collect()
    }

    /// Reads so many bytes of a body and forgets them.
    #[track_caller]
    pub fn skip(&mut self, length: u64) {
        let read = io::copy(&mut self.reader.by_ref().take(length), &mut io::sink()).expect("the server sends");
        assert_eq!(read, length);
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
    }

    /// Reads whatever comes until the server closes, which it must.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.reader.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server keeps the connection: {error}"),
        }
        rest
    }

    /// The TCP socket.
    pub fn stream(&self) -> &TcpStream {
        match self.reader.get_ref() {
            Stream::Tcp(stream) => stream,
            Stream::Unix(_) => panic!("a Unix socket"),
        }
    }
}
