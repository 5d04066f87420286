//! Which protocol does a connection speak, and how is the HTTP library set up for it?

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http_body::Body;
use hyper::rt::{Executor, Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::HttpService;
use hyper_util::rt::TokioTimer;

use crate::config::ConnectionLimits;
use crate::server::connection::driver::HttpConnection;
use crate::server::connection::io::ConnectionIo;
use crate::server::counters::{Counters, PanicCounter};

/// The first bytes of an HTTP/2 connection with prior knowledge (RFC 9113 §3.4).
pub(in crate::server) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How many streams an HTTP/2 connection may have, and how many bytes of the body of each may be sent but unread. The window of
/// the connection has room for all of them, so that bodies that no guest reads do not block the others.
const STREAMS: u32 = 100;
const STREAM_WINDOW: u32 = 64 << 10;

/// The HTTP/1 library refuses a smaller buffer.
const MIN_BUFFER: usize = 8192;

#[derive(Clone, Copy, Debug)]
pub(in crate::server) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    /// Detects the protocol by the first bytes. `None` if the client closes without sending any.
    pub(in crate::server) async fn detect(io: &mut ConnectionIo) -> std::io::Result<Option<Self>> {
        let mut known = 0;
        loop {
            let seen = io.peek(known).await?;
            if seen.len() == known {
                return Ok((known > 0).then_some(Self::Http1));
            }
            known = seen.len();
            if seen.starts_with(PREFACE) {
                return Ok(Some(Self::Http2));
            }
            if !PREFACE.starts_with(seen) {
                return Ok(Some(Self::Http1));
            }
        }
    }
}

/// The response to a client that speaks HTTP where HTTPS is served.
pub(in crate::server) const HTTPS_ONLY: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 49\r\nConnection: close\r\n\r\nHTTPS is served here: the URL begins with https:\n";

/// Whether the first byte is one of an HTTP method, with which no TLS connection begins.
pub(in crate::server) async fn is_plain_http(io: &mut ConnectionIo) -> bool {
    matches!(io.peek(0).await, Ok([first, ..]) if first.is_ascii_uppercase())
}

pub(in crate::server) fn http1_builder(limits: &ConnectionLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // A client may stop sending after its request and still read; `disconnect` finds out whether it has gone.
        .half_close(true)
        // With `true`, a response would wait while the next request is half read, and the error status for a bad head would
        // never be sent.
        .pipeline_flush(false)
        // The library would allocate a timer for each request; `driver` has one for the connection.
        .header_read_timeout(None)
        .max_header_size(limits.header_block)
        // Also bounds what is buffered of a response.
        .max_buf_size((2 * limits.header_block).max(MIN_BUFFER));
    builder
}

pub(in crate::server) fn http2_builder(
    limits: &ConnectionLimits,
    counters: &Arc<Counters>,
) -> http2::Builder<StreamExecutor> {
    let mut builder = http2::Builder::new(StreamExecutor(Arc::clone(counters)));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(STREAMS * STREAM_WINDOW)
        .max_header_list_size(u32::try_from(limits.header_block).unwrap_or(u32::MAX))
        .max_send_buf_size(64 << 10)
        // Bounds on work a client can cause and cancel at once.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(128)
        // Finds clients that vanished without closing while they wait for a response.
        .keep_alive_interval(limits.keep_alive)
        .keep_alive_timeout(limits.send_timeout);
    builder
}

/// Runs each HTTP/2 stream as a task.
#[derive(Clone)]
pub(in crate::server) struct StreamExecutor(Arc<Counters>);

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let panic_counter = PanicCounter(Arc::clone(&self.0));
        tokio::spawn(async move {
            let _panic_counter = panic_counter;
            stream.await;
        });
    }
}

impl<I, S, B> HttpConnection for http1::Connection<I, S>
where
    S: HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    I: Read + Write + Unpin + 'static,
    B: Body + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    const IDLE_BYTES_START_A_REQUEST: bool = true;

    fn graceful_shutdown(self: Pin<&mut Self>) {
        http1::Connection::graceful_shutdown(self);
    }
}

impl<I, S, B> HttpConnection for http2::Connection<I, S, StreamExecutor>
where
    S: HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    S::Future: Send + 'static,
    I: Read + Write + Unpin + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    const IDLE_BYTES_START_A_REQUEST: bool = false;

    fn graceful_shutdown(self: Pin<&mut Self>) {
        http2::Connection::graceful_shutdown(self);
    }
}
