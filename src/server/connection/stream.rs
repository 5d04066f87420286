//! How bytes go in and out of a connection, noting on its line what happened. Read and written by the HTTP library,
//! through TLS or directly.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::server::connection::state::ConnectionState;

/// With edge-triggered readiness, a read that does not fill its buffer proves the socket empty; knowing that saves one
/// system call per request.
const SHORT_READ_MEANS_EMPTY: bool = cfg!(any(target_os = "linux", target_os = "android", target_os = "macos"));

/// Up to this size, copying the pieces of an answer together costs less than having the system look at each.
const WORTH_JOINING: usize = 1024;

/// A socket as a byte stream, for which a shared reference to the socket is enough.
pub(in crate::server) struct Stream {
    line: Arc<ConnectionState>,
    /// Bytes read while the protocol was being recognised; they come first.
    ahead: BytesMut,
}

impl Stream {
    pub(in crate::server) fn new(line: Arc<ConnectionState>) -> Self {
        Self { line, ahead: BytesMut::new() }
    }

    /// Waits for bytes and keeps them for the next read; everything kept so far is returned. An unchanged length is
    /// the end of the stream.
    pub(in crate::server) async fn look_ahead(&mut self) -> io::Result<&[u8]> {
        // A typical request fits in.
        self.ahead.reserve(4096);
        loop {
            self.line.tcp.readable().await?;
            match self.line.tcp.try_read_buf(&mut self.ahead) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
                Ok(0) => return Ok(&self.ahead),
                Ok(_) => {
                    self.line.note_received();
                    return Ok(&self.ahead);
                }
            }
        }
    }

    /// Reads what is there. Readiness must be cleared with the state from before the read, hence inside `try_io`.
    fn read_now(&self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let tcp = &self.line.tcp;
        let room = buf.remaining();
        let mut outcome = Ok(0);
        let attempt = tcp.try_io(Interest::READABLE, || {
            outcome = tcp.try_read_buf(buf);
            match &outcome {
                Ok(read) if SHORT_READ_MEANS_EMPTY && (1..room).contains(read) => Err(ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        });
        match outcome? {
            0 => attempt,
            _ => {
                self.line.note_received();
                Ok(())
            }
        }
    }

    fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.line.tcp.poll_write_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => {
                    self.line.note_blocked();
                    return Poll::Pending;
                }
            }
            match write() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(written) => {
                    self.line.note_sent();
                    return Poll::Ready(Ok(written));
                }
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = buf.remaining().min(self.ahead.len());
            buf.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
            if self.ahead.is_empty() {
                self.ahead = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.line.tcp.poll_read_ready(cx))?;
            match self.read_now(buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, || self.line.tcp.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut joined = [0; WORTH_JOINING];
        match join(bufs, &mut joined) {
            Some(bytes) => self.poll_write_with(cx, || self.line.tcp.try_write(bytes)),
            None => self.poll_write_with(cx, || self.line.tcp.try_write_vectored(bufs)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.line.shut(std::net::Shutdown::Write);
        Poll::Ready(Ok(()))
    }
}

/// The pieces as one, if they fit.
fn join<'a>(pieces: &[IoSlice<'_>], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut length = 0;
    for piece in pieces {
        let end = length + piece.len();
        room.get_mut(length..end)?.copy_from_slice(piece);
        length = end;
    }
    room.get(..length)
}

#[cfg(test)]
mod tests {
    use crate::server::connection::stream::*;

    #[test]
    fn pieces_are_joined_in_order_if_they_fit() {
        let pieces = [IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b"body")];
        assert_eq!(join(&pieces, &mut [0; 8]), Some(&b"headbody"[..]));
        assert_eq!(join(&pieces, &mut [0; 7]), None);
        assert_eq!(join(&[], &mut [0; 7]), Some(&b""[..]));
    }
}
