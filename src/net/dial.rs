//! How is a connection made to a server that something is fetched from? Asked by the pool of `http`.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

/// How long looking up a name and connecting to its addresses may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long two may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("cannot connect")]
    Connect(#[source] Arc<io::Error>),
    #[error("cannot agree on TLS")]
    Tls(#[source] Arc<io::Error>),
    #[error("no host to connect to")]
    NoHost,
}

/// Makes connections, bare or with TLS as the scheme wants it.
#[derive(Clone)]
pub(crate) struct Dialer(pub TlsConnector);

impl Service<Uri> for Dialer {
    type Response = TokioIo<Link>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, DialError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let tls = self.0.clone();
        Box::pin(async move { dial(&tls, &uri).await.map(TokioIo::new) })
    }
}

async fn dial(tls: &TlsConnector, uri: &Uri) -> Result<Link, DialError> {
    // The address of an IPv6 host is in brackets, which nobody but URLs wants.
    let host = uri.host().ok_or(DialError::NoHost)?.trim_start_matches('[').trim_end_matches(']');
    let is_tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let unconnected = |error| DialError::Connect(Arc::new(error));
    let stream = in_time(CONNECT, TcpStream::connect((host, port))).await.map_err(unconnected)?;
    // What is sent is sent in one piece; waiting for more of it only costs time.
    stream.set_nodelay(true).map_err(unconnected)?;
    if !is_tls {
        return Ok(Link(Box::new(stream)));
    }
    let name = match host.parse::<IpAddr>() {
        Ok(address) => ServerName::from(address),
        Err(_) => ServerName::try_from(host.to_owned()).map_err(|_| DialError::NoHost)?,
    };
    let disagreed = |error| DialError::Tls(Arc::new(error));
    let stream = in_time(HANDSHAKE, tls.connect(name, stream)).await.map_err(disagreed)?;
    Ok(Link(Box::new(stream)))
}

async fn in_time<T>(limit: Duration, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// A connection.
pub(crate) struct Link(Box<dyn Stream>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connection for Link {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Link {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
