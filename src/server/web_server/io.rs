//! How does a connection over FastCGI or SCGI look to the HTTP library? As one over HTTP/1.1: it reads and writes a `SharedIo`.
//!
//! What the web server sends is read ahead, also while the library reads nothing: the web server may give up its request, or
//! begin another one that has to be refused.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::config::WebServerProtocol;
use crate::server::connection::driver::{CloseReason, HttpConnection, TimedConnection};
use crate::server::connection::io::ConnectionIo;
use crate::server::connection::state::ConnectionState;
use crate::server::web_server::facts::CurrentFacts;
use crate::server::web_server::translator::{Continuation, PIECE, Translator};

/// How many bytes are read at once.
const READ: usize = 16 << 10;

/// A connection of a web server. The HTTP library has a clone.
#[derive(Clone)]
pub(in crate::server) struct SharedIo(Arc<Mutex<WebServerIo>>);

struct WebServerIo {
    io: ConnectionIo,
    state: Arc<ConnectionState>,
    translator: Translator,
    /// The web server has closed its side.
    is_eof: bool,
}

impl SharedIo {
    /// A connection whose parameters are limited to `max_head` bytes, at a server with `connections` at most.
    pub(in crate::server) fn new(
        io: ConnectionIo,
        state: Arc<ConnectionState>,
        protocol: WebServerProtocol,
        (max_head, connections): (usize, usize),
    ) -> Self {
        let translator = Translator::new(protocol, max_head, connections);
        Self(Arc::new(Mutex::new(WebServerIo { io, state, translator, is_eof: false })))
    }

    fn lock(&self) -> MutexGuard<'_, WebServerIo> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the facts of each request are found.
    pub(in crate::server) fn facts(&self) -> CurrentFacts {
        self.lock().translator.facts.clone()
    }

    /// Drives the library's connection until it ends, or until the library has no more part in what comes. That is `None`.
    pub(in crate::server) async fn drive<H: HttpConnection>(&self, http: TimedConnection<H>) -> Option<CloseReason> {
        let mut http = pin!(http);
        std::future::poll_fn(|cx| {
            loop {
                let ended = http.as_mut().poll(cx);
                let mut this = self.lock();
                let had = (this.translator.http.is_empty(), this.is_eof);
                // The library gets the same error.
                let filled = this.poll_fill(cx);
                if this.translator.end != Continuation::Open {
                    return Poll::Ready(None);
                }
                if let Poll::Ready(reason) = ended {
                    return Poll::Ready(Some(reason));
                }
                if matches!(filled, Poll::Ready(Err(_))) {
                    return Poll::Ready(Some(CloseReason::Reset));
                }
                if had == (this.translator.http.is_empty(), this.is_eof) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Sends what is to be sent. Whether another request may follow is the result.
    pub(in crate::server) async fn go_on(&self) -> io::Result<bool> {
        std::future::poll_fn(|cx| self.lock().poll_send(cx)).await?;
        let mut this = self.lock();
        let goes_on = this.translator.end == Continuation::Anew;
        if goes_on {
            this.translator.end = Continuation::Open;
        }
        Ok(goes_on)
    }

    /// The end of the connection is the end of a response over SCGI. Only a reset tells the web server that it is not complete.
    pub(in crate::server) fn finish(&self) {
        let this = self.lock();
        if this.translator.is_input_left {
            this.state.record_unread_body();
        }
        if this.translator.is_cut() {
            this.state.reset_on_close();
        }
    }
}

impl WebServerIo {
    /// Reads as long as there is room for more. `Pending` if the web server has not sent more.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.translator.read();
            let had_room = self.translator.has_room();
            // Replies leave as soon as they can; those that wait for the web server are bounded.
            let _ = self.poll_send(cx)?;
            if self.is_eof || !self.translator.has_room() {
                return Poll::Ready(Ok(()));
            }
            if !had_room {
                continue;
            }
            let mut bytes = [0; READ];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
            self.translator.input.extend_from_slice(buffer.filled());
            self.is_eof = buffer.filled().is_empty();
            if self.is_eof {
                self.translator.end_input();
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let output = &mut self.translator.output;
        while !output.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, output))?;
            output.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for SharedIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut this = self.lock();
        if let Poll::Ready(filled) = this.poll_fill(cx) {
            filled?;
        }
        let is_eof = this.is_eof;
        let translator = &mut this.translator;
        if translator.end == Continuation::Open && !translator.http.is_empty() {
            translator.is_taken = true;
            let count = buf.remaining().min(translator.http.len());
            buf.put_slice(&translator.http.split_to(count));
            return Poll::Ready(Ok(()));
        }
        if is_eof || translator.end != Continuation::Open { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl AsyncWrite for SharedIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut this = self.lock();
        ready!(this.poll_send(cx))?;
        let piece = &buf[..buf.len().min(PIECE)];
        this.translator.append_response(piece);
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_send(cx)
    }

    /// The side is closed when the library has let go of the connection.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_send(cx)
    }
}
