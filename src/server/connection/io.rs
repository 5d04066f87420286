//! How are bytes read from a socket and written to it?
//!
//! The HTTP library reads and writes a `ConnectionIo`, directly or through TLS. Reads and writes are recorded in the state of the
//! connection.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::server::connection::state::ConnectionState;

/// Whether a read that does not fill its buffer means that the socket is empty, as it does with edge-triggered readiness. This
/// saves one system call per request.
const SHORT_READ_MEANS_EMPTY: bool = cfg!(any(target_os = "linux", target_os = "android", target_os = "macos"));

/// Up to this size, copying the buffers of a write together costs less than a vectored write.
const MAX_JOINED: usize = 1024;

/// A socket as a byte stream. The watch for a disconnect shares the socket.
pub(in crate::server) struct ConnectionIo {
    state: Arc<ConnectionState>,
    /// Bytes read while the protocol was detected. They are read first.
    prefix: BytesMut,
}

impl ConnectionIo {
    pub(in crate::server) fn new(state: Arc<ConnectionState>) -> Self {
        Self { state, prefix: BytesMut::new() }
    }

    /// Waits until more than `known` bytes are here, and keeps them for the next read. Returns all bytes kept so far; if there are no
    /// more than `known`, the stream has ended.
    pub(in crate::server) async fn peek(&mut self, known: usize) -> io::Result<&[u8]> {
        if self.prefix.len() > known {
            return Ok(&self.prefix);
        }
        // A typical request fits in.
        self.prefix.reserve(4096);
        loop {
            self.state.socket.readable().await?;
            match self.state.socket.try_read_buf(&mut self.prefix) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
                Ok(0) => return Ok(&self.prefix),
                Ok(_) => {
                    self.state.record_read();
                    return Ok(&self.prefix);
                }
            }
        }
    }

    /// Takes away bytes that were kept, from the first one.
    pub(in crate::server) fn consume(&mut self, count: usize) {
        self.prefix.advance(count.min(self.prefix.len()));
    }

    /// Reads the bytes that are there, inside `try_io`: the readiness that is cleared must be the one from before the read.
    fn read_now(&self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let socket = &self.state.socket;
        let room = buf.remaining();
        let mut outcome = Ok(0);
        let attempt = socket.try_io(Interest::READABLE, || {
            outcome = socket.try_read_buf(buf);
            match &outcome {
                Ok(read) if SHORT_READ_MEANS_EMPTY && (1..room).contains(read) => Err(ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        });
        match outcome? {
            0 => attempt,
            _ => {
                self.state.record_read();
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
            match self.state.socket.poll_write_ready(cx) {
                Poll::Ready(ready) => ready?,
                Poll::Pending => {
                    self.state.record_write_blocked();
                    return Poll::Pending;
                }
            }
            match write() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(written) => {
                    self.state.record_write();
                    return Poll::Ready(Ok(written));
                }
            }
        }
    }
}

impl AsyncRead for ConnectionIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            let count = buf.remaining().min(self.prefix.len());
            buf.put_slice(&self.prefix[..count]);
            self.prefix.advance(count);
            if self.prefix.is_empty() {
                self.prefix = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.state.socket.poll_read_ready(cx))?;
            match self.read_now(buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

impl AsyncWrite for ConnectionIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, || self.state.socket.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut joined = [0; MAX_JOINED];
        match join(bufs, &mut joined) {
            Some(bytes) => self.poll_write_with(cx, || self.state.socket.try_write(bytes)),
            None => self.poll_write_with(cx, || self.state.socket.try_write_vectored(bufs)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.shutdown_write();
        Poll::Ready(Ok(()))
    }
}

/// Copies the buffers into one. `None` if they do not fit.
fn join<'a>(buffers: &[IoSlice<'_>], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut length = 0;
    for buffer in buffers {
        let end = length + buffer.len();
        room.get_mut(length..end)?.copy_from_slice(buffer);
        length = end;
    }
    room.get(..length)
}

#[cfg(test)]
mod tests {
    use crate::server::connection::io::*;

    #[test]
    fn buffers_are_joined_in_order_if_they_fit() {
        let buffers = [IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b"body")];
        assert_eq!(join(&buffers, &mut [0; 8]), Some(&b"headbody"[..]));
        assert_eq!(join(&buffers, &mut [0; 7]), None);
        assert_eq!(join(&[], &mut [0; 7]), Some(&b""[..]));
    }
}
