//! Connections over real sockets, on a transport that leads to a single server, whatever is connected to. The tests of
//! `outbound` use it, too.

mod client;
mod connect;
mod timeouts;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

use crate::net::connect::transport::{Pending, Transport};

pub(crate) type ServerRequest = http::Request<Incoming>;
pub(crate) type ServerResponse = http::Response<Full<Bytes>>;

/// A transport with names of its own, which records the addresses that were connected to.
pub(crate) struct FakeTransport {
    server: SocketAddr,
    names: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    dead: Mutex<Vec<IpAddr>>,
    dialled: Mutex<Vec<SocketAddr>>,
}

impl FakeTransport {
    pub fn new(server: SocketAddr) -> Arc<Self> {
        Arc::new(Self { server, names: Mutex::default(), dead: Mutex::default(), dialled: Mutex::default() })
    }

    /// Adds an answer about a name. The last one is given again and again.
    pub fn name(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().expect(address)).collect();
        self.names.lock().expect("no panic").entry(name.to_owned()).or_default().push_back(addresses);
    }

    /// Makes an address one that does not answer.
    pub fn dead(&self, address: &str) {
        self.dead.lock().expect("no panic").push(address.parse().expect(address));
    }

    /// The addresses that were connected to since it was last asked.
    pub fn dialled(&self) -> Vec<String> {
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

impl Transport for FakeTransport {
    fn lookup(&self, name: String, port: u16, _permit: OwnedSemaphorePermit) -> Pending<Vec<SocketAddr>> {
        let answer = self.answer(&name, port).ok_or_else(|| io::Error::other("no such name"));
        Box::pin(async { answer })
    }

    fn connect(&self, address: SocketAddr) -> Pending<TcpStream> {
        self.dialled.lock().expect("no panic").push(address);
        if self.dead.lock().expect("no panic").contains(&address.ip()) {
            return Box::pin(std::future::pending());
        }
        Box::pin(TcpStream::connect(self.server))
    }
}

/// Starts a server that answers with what `answer` makes of a request.
pub(crate) async fn server(answer: impl Fn(ServerRequest) -> ServerResponse + Clone + Send + 'static) -> SocketAddr {
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

pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> ServerResponse {
    let mut builder = http::Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Full::new(body.into())).expect("a response")
}
