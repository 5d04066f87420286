//! One accepted socket: TCP or Unix. An enum, since it is read and written for every request.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::BufMut;
use socket2::SockRef;
use tokio::io::{Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

/// An accepted socket.
#[derive(Debug)]
pub(in crate::server) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Calls the method of the stream, whatever its type.
macro_rules! of_stream {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($stream) => $call,
            Socket::Unix($stream) => $call,
        }
    };
}

impl Socket {
    pub(in crate::server) async fn readable(&self) -> io::Result<()> {
        of_stream!(self, stream => stream.readable().await)
    }

    pub(in crate::server) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        of_stream!(self, stream => stream.ready(interest).await)
    }

    pub(in crate::server) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_stream!(self, stream => stream.poll_read_ready(cx))
    }

    pub(in crate::server) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_stream!(self, stream => stream.poll_write_ready(cx))
    }

    pub(in crate::server) fn try_io<R>(
        &self,
        interest: Interest,
        call: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        of_stream!(self, stream => stream.try_io(interest, call))
    }

    pub(in crate::server) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        of_stream!(self, stream => stream.try_read(buffer))
    }

    pub(in crate::server) fn try_read_buf(&self, buffer: &mut impl BufMut) -> io::Result<usize> {
        of_stream!(self, stream => stream.try_read_buf(buffer))
    }

    pub(in crate::server) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        of_stream!(self, stream => stream.try_write(bytes))
    }

    pub(in crate::server) fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        of_stream!(self, stream => stream.try_write_vectored(buffers))
    }

    /// The address of the server that the client reached, which costs a call of the system. `None` for a Unix socket.
    pub(in crate::server) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// The socket for the options that tokio does not have.
    pub(in crate::server) fn options(&self) -> SockRef<'_> {
        of_stream!(self, stream => SockRef::from(stream))
    }
}
