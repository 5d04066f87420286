//! Somebody else's server: HTTP/1.1 on loopback, with threads, so that it owes nothing to the code that calls it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The request line without its version.
    pub line: String,
    /// The header lines as they were sent.
    pub headers: Vec<String>,
    pub body: Vec<u8>,
}

impl Received {
    /// The value of a header that is there at most once.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.headers.iter().filter_map(|line| line.split_once(": "));
        let mut values = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }
}

/// The server. It lives as long as the test's process.
pub struct Upstream {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Upstream {
    /// A server that answers every request by what `answer` makes of it.
    pub fn start(answer: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start_with(move |received, stream| stream.write_all(&answer(received)))
    }

    /// A server that leaves the connection to `answer` after every request, and closes it after an error.
    pub fn start_with(answer: impl Fn(&Received, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it is bound");
        let received = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (received.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, answer) = (kept.clone(), answer.clone());
                thread::spawn(move || serve(stream?, &kept, &*answer));
            }
        });
        Self { address, received }
    }

    /// A URL on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The only request so far.
    #[track_caller]
    pub fn only(&self) -> Received {
        let received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received[0].clone()
    }
}

fn serve(
    stream: TcpStream,
    kept: &Mutex<Vec<Received>>,
    answer: &dyn Fn(&Received, &mut TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let received = read(&mut reader)?;
        kept.lock().unwrap().push(received.clone());
        answer(&received, reader.get_mut())?;
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let line = lines.remove(0).trim_end_matches(" HTTP/1.1").to_owned();
    let mut received = Received { line, headers: lines, body: Vec::new() };
    let length = received.header("content-length").map_or(0, |length| length.parse().expect("a number"));
    received.body = vec![0; length];
    reader.read_exact(&mut received.body)?;
    Ok(received)
}

/// An answer with more header lines, each ended by CRLF, and a body.
pub fn reply(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A redirect.
pub fn redirect(status: &str, location: &str) -> Vec<u8> {
    reply(status, &format!("Location: {location}\r\n"), "elsewhere")
}
