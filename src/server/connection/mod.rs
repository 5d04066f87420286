//! How one accepted socket becomes requests: TLS or not, HTTP/1 or HTTP/2, until its end. Spawned by `accept` for every
//! connection.

pub(in crate::server) mod disconnect;
pub(in crate::server) mod request_body;
pub(in crate::server) mod service;
pub(in crate::server) mod state;
pub(in crate::server) mod stream;
pub(in crate::server) mod timeouts;

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::rt::{Executor, Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::config::ConnectionLimits;
use crate::server::connection::service::ConnectionService;
use crate::server::connection::state::ConnectionState;
use crate::server::connection::stream::Stream;
use crate::server::connection::timeouts::{CloseReason, ConnectionPhase, Http, TimedConnection};
use crate::server::counters::{Counters, PanicCounter};
use crate::server::shutdown::Shutdown;
use crate::server::{Peer, RequestBody, tls};

/// What a client sends first when it knows that the server speaks HTTP/2.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The HTTP/1 library refuses a smaller buffer.
const SMALLEST_BUFFER: usize = 8192;

#[derive(Clone, Copy, Debug)]
enum Protocol {
    Http1,
    Http2,
}

/// What all connections of a server have in common.
pub(in crate::server) struct ConnectionBuilder {
    pub(in crate::server) shutdown: Arc<Shutdown>,
    pub(in crate::server) counters: Arc<Counters>,
    limits: Arc<ConnectionLimits>,
    tls: Option<TlsAcceptor>,
    http1: http1::Builder,
    http2: http2::Builder<StreamTasks>,
}

impl ConnectionBuilder {
    pub(in crate::server) fn new(limits: ConnectionLimits, tls: Option<TlsAcceptor>, counters: Arc<Counters>) -> Self {
        Self {
            shutdown: Arc::new(Shutdown::new()),
            http1: http1_builder(&limits),
            http2: http2_builder(&limits, &counters),
            limits: Arc::new(limits),
            tls,
            counters,
        }
    }

    /// Serves one connection to its end.
    pub(in crate::server) async fn serve<S, B>(&self, tcp: TcpStream, peer: Peer, service: S)
    where
        S: tower_service::Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let opened = Instant::now();
        let line = Arc::new(ConnectionState::new(tcp));
        let mut stream = Stream::new(Arc::clone(&line));
        let exchanges = ConnectionService { service, peer, body_timeout: self.limits.body_timeout, line };
        match &self.tls {
            None => {
                let recognised = self.promptly(self.limits.header_timeout, recognise(&mut stream)).await;
                if let Some(Ok(Some(protocol))) = recognised {
                    self.talk(stream, protocol, exchanges, opened).await;
                }
            }
            Some(acceptor) => match self.promptly(self.limits.tls_handshake, acceptor.accept(stream)).await {
                Some(Ok(stream)) => {
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(tls::ALPN_H2);
                    let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
                    self.talk(stream, protocol, exchanges, Instant::now()).await;
                }
                failed => {
                    Counters::count(&self.counters.handshakes_failed);
                    let error = failed.and_then(Result::err).map(tracing::field::display);
                    tracing::debug!(peer = %peer.address, error, "TLS handshake failed");
                }
            },
        }
    }

    /// The outcome, unless it takes longer than `limit` or the server begins to stop.
    async fn promptly<T>(&self, limit: Duration, opening: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            outcome = opening => Some(outcome),
            () = tokio::time::sleep(limit) => None,
            () = self.shutdown.draining() => None,
        }
    }

    async fn talk<IO, S, B>(&self, io: IO, protocol: Protocol, exchanges: ConnectionService<S>, opened: Instant)
    where
        IO: AsyncRead + AsyncWrite + Unpin + 'static,
        S: tower_service::Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let io = TokioIo::new(io);
        let line = Arc::clone(&exchanges.line);
        let peer = exchanges.peer;
        let end = match protocol {
            Protocol::Http1 => self.pace(self.http1.serve_connection(io, exchanges), &line, opened).await,
            Protocol::Http2 => self.pace(self.http2.serve_connection(io, exchanges), &line, opened).await,
        };
        self.close(&line, peer, end).await;
    }

    async fn pace<H: Http>(&self, http: H, line: &Arc<ConnectionState>, opened: Instant) -> CloseReason {
        TimedConnection::new(http, Arc::clone(line), Arc::clone(&self.shutdown), Arc::clone(&self.limits), opened).await
    }

    async fn close(&self, line: &ConnectionState, peer: Peer, end: CloseReason) {
        match &end {
            CloseReason::Done(outcome) => {
                if let Err(error) = outcome {
                    tracing::debug!(peer = %peer.address, error = error as &dyn StdError, "connection failed");
                }
                return disconnect::linger(line, outcome.is_err()).await;
            }
            CloseReason::Late(ConnectionPhase::Leaving(_)) | CloseReason::Broken => {
                Counters::count(&self.counters.clients_left);
            }
            CloseReason::Late(_) => {
                Counters::count(&self.counters.timed_out);
            }
            CloseReason::Over => {}
        }
        tracing::debug!(peer = %peer.address, ?end, "connection cut");
        // Requests of an HTTP/2 connection live in tasks of their own and would keep the socket open.
        line.shut(std::net::Shutdown::Both);
    }
}

fn http1_builder(limits: &ConnectionLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // A client may stop sending after its request and still read; `pace` finds out whether it has gone.
        .half_close(true)
        // Otherwise an answer waits while the next request is half read, and a refusal of a bad head is never sent.
        .pipeline_flush(false)
        // The library would allocate a timer for each request; `pace` has one for the connection.
        .header_read_timeout(None)
        .max_header_size(limits.header_block)
        // Also bounds what is buffered of an answer.
        .max_buf_size((2 * limits.header_block).max(SMALLEST_BUFFER));
    builder
}

fn http2_builder(limits: &ConnectionLimits, counters: &Arc<Counters>) -> http2::Builder<StreamTasks> {
    let mut builder = http2::Builder::new(StreamTasks(Arc::clone(counters)));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(1 << 20)
        .max_header_list_size(u32::try_from(limits.header_block).unwrap_or(u32::MAX))
        .max_send_buf_size(64 << 10)
        // Bounds on work a client can cause and cancel at once.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(128)
        // Finds peers that vanished without closing while they wait for an answer.
        .keep_alive_interval(limits.keep_alive)
        .keep_alive_timeout(limits.send_timeout);
    builder
}

/// Tells the protocol by the first bytes; `None` if the client closes without any.
async fn recognise(stream: &mut Stream) -> std::io::Result<Option<Protocol>> {
    let mut known = 0;
    loop {
        let seen = stream.look_ahead().await?;
        if seen.len() == known {
            return Ok((known > 0).then_some(Protocol::Http1));
        }
        known = seen.len();
        if seen.starts_with(PREFACE) {
            return Ok(Some(Protocol::Http2));
        }
        if !PREFACE.starts_with(seen) {
            return Ok(Some(Protocol::Http1));
        }
    }
}

/// Runs each HTTP/2 stream as a task.
#[derive(Clone)]
struct StreamTasks(Arc<Counters>);

impl<F> Executor<F> for StreamTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let note = PanicCounter(Arc::clone(&self.0));
        tokio::spawn(async move {
            let _note = note;
            stream.await;
        });
    }
}

impl<I, S, B> Http for http1::Connection<I, S>
where
    S: HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    I: Read + Write + Unpin + 'static,
    B: Body + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    const HEADS_ONLY: bool = true;

    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B> Http for http2::Connection<I, S, StreamTasks>
where
    S: HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    S::Future: Send + 'static,
    I: Read + Write + Unpin + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    const HEADS_ONLY: bool = false;

    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
