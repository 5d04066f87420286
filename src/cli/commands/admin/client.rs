//! How is the admin listener asked? One request over one connection, to a port or a Unix socket, within a time.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// The most bytes of a response: that of a server with ten thousand routes fits.
const MAX_BODY: usize = 32 << 20;

/// Asks one admin listener.
pub struct AdminClient {
    address: ListenerLocation,
    authorization: Option<HeaderValue>,
}

enum ListenerLocation {
    /// `HOST:PORT`.
    Tcp(String),
    /// The path of a socket.
    Unix(String),
}

/// What the server says.
pub struct Reply {
    pub status: StatusCode,
    pub body: String,
}

impl AdminClient {
    /// A client for `IP:PORT`, `HOST:PORT` or `unix:PATH`.
    pub fn new(address: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let address = match address.strip_prefix("unix:") {
            Some(path) => ListenerLocation::Unix(path.split('?').next().unwrap_or(path).to_owned()),
            None => {
                let authority = address.strip_prefix("http://").unwrap_or(address).trim_end_matches('/');
                let is_complete = authority.parse::<http::uri::Authority>().is_ok_and(|it| it.port_u16().is_some());
                if !is_complete {
                    bail!("`{address}` is no address: write `127.0.0.1:9901` or `unix:PATH`");
                }
                ListenerLocation::Tcp(authority.to_owned())
            }
        };
        let authorization = token.map(|token| {
            let value = HeaderValue::try_from(format!("Bearer {}", token.trim()));
            value.context("the token is not one word of ASCII")
        });
        Ok(Self { address, authorization: authorization.transpose()? })
    }

    /// Sends a request without a body, and waits at most `patience` for the whole response.
    pub async fn ask(&self, method: Method, path: &str, patience: Duration) -> anyhow::Result<Reply> {
        let asked = timeout(patience, self.connect_and_ask(method, path)).await;
        asked.unwrap_or_else(|_| bail!("{} did not answer within {patience:?}", self.name()))
    }

    async fn connect_and_ask(&self, method: Method, path: &str) -> anyhow::Result<Reply> {
        let failed = || format!("cannot ask the admin listener at {}", self.name());
        match &self.address {
            ListenerLocation::Tcp(authority) => {
                let stream = TcpStream::connect(authority).await.with_context(failed)?;
                self.exchange(stream, authority, method, path).await.with_context(failed)
            }
            ListenerLocation::Unix(socket) => {
                let stream = UnixStream::connect(socket).await.with_context(failed)?;
                self.exchange(stream, "localhost", method, path).await.with_context(failed)
            }
        }
    }

    async fn exchange<S>(&self, stream: S, host: &str, method: Method, path: &str) -> anyhow::Result<Reply>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut request = Request::builder().method(method).uri(path).header(HOST, host);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::<Bytes>::new()).context("the request cannot be written")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        connection.abort();
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        Ok(Reply { status, body: String::from_utf8_lossy(&body).into_owned() })
    }

    fn name(&self) -> String {
        match &self.address {
            ListenerLocation::Tcp(authority) => authority.clone(),
            ListenerLocation::Unix(socket) => format!("unix:{socket}"),
        }
    }
}
