//! Calls over real sockets, on a transport that leads to a single server: whatever is connected to, that one answers.

mod calls;
mod hosts;
mod limits;
mod policy;
mod tls;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use crate::net::transport::{Pending, Transport};
use crate::outbound::*;

type Asked = http::Request<Incoming>;
type Answered = http::Response<Full<Bytes>>;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(60);

/// What names mean, and who was connected to.
struct Fake {
    server: SocketAddr,
    names: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    dialled: Mutex<Vec<SocketAddr>>,
}

impl Fake {
    fn new(server: SocketAddr) -> Arc<Self> {
        Arc::new(Self { server, names: Mutex::default(), dialled: Mutex::default() })
    }

    /// Adds an answer about a name. The last one is given again and again.
    fn name(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().expect(address)).collect();
        self.names.lock().expect("no panic").entry(name.to_owned()).or_default().push_back(addresses);
    }

    fn dialled(&self) -> Vec<String> {
        let dialled = std::mem::take(&mut *self.dialled.lock().expect("no panic"));
        dialled.iter().map(SocketAddr::to_string).collect()
    }

    fn answer(&self, name: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let mut names = self.names.lock().expect("no panic");
        let answers = names.get_mut(name)?;
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Some(answer?.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }
}

impl Transport for Fake {
    fn lookup(&self, name: String, port: u16, _turn: OwnedSemaphorePermit) -> Pending<Vec<SocketAddr>> {
        let answer = self.answer(&name, port).ok_or_else(|| io::Error::other("no such name"));
        Box::pin(async { answer })
    }

    fn connect(&self, address: SocketAddr) -> Pending<TcpStream> {
        self.dialled.lock().expect("no panic").push(address);
        Box::pin(TcpStream::connect(self.server))
    }
}

/// Starts a server that answers with what `answer` makes of a request.
async fn server(answer: impl Fn(Asked) -> Answered + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answered = answer(request);
                async { Ok::<_, Infallible>(answered) }
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// Starts a server that reads something and then writes `bytes`, and no more.
async fn raw_server(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, bytes).await;
            kept.push(stream);
        }
    });
    address
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answered {
    let mut builder = http::Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Full::new(body.into())).expect("a response")
}

/// The request line and the headers, sorted.
fn describe(request: &Asked) -> String {
    let mut lines: Vec<_> =
        request.headers().iter().map(|(name, value)| format!("{name}:{}", value.to_str().expect("text"))).collect();
    lines.sort();
    format!("{} {}\n{}", request.method(), request.uri(), lines.join("\n"))
}

fn allowed(entries: &[&str]) -> AllowedHosts {
    let mut allowed = AllowedHosts::default();
    for entry in entries {
        allowed.add(entry).expect(entry);
    }
    allowed
}

fn network(internet: Arc<dyn Transport>) -> Network {
    let tls = crate::net::tls::with_roots(tokio_rustls::rustls::RootCertStore::empty()).expect("TLS");
    Network::with(Handle::current(), tls, internet)
}

fn client(internet: &Arc<Fake>, entries: &[&str]) -> Client {
    network(internet.clone()).client(allowed(entries), Limits::default())
}

fn request(client: &Client, verb: &str, url: &str, fields: &str, body: &'static str) -> Result<Request, Error> {
    Ok(Request {
        destination: client.destination(url.as_bytes())?,
        method: method(verb.as_bytes())?,
        headers: headers(fields.as_bytes())?,
        body: Bytes::from_static(body.as_bytes()),
    })
}

async fn call(client: &Client, verb: &str, url: &str, fields: &str, body: &'static str) -> Result<Response, Error> {
    client.send(request(client, verb, url, fields, body)?, LONG).await
}

async fn get(client: &Client, url: &str) -> Result<Response, Error> {
    call(client, "GET", url, "", "").await
}

fn text(response: &Response) -> String {
    String::from_utf8_lossy(response.body()).into_owned()
}
