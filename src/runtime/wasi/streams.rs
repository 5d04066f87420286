//! How does wasmtime-wasi see a guest's standard streams?
//!
//! `read_write` serves descriptors 0 to 2 while they are the original ones. wasmtime-wasi serves everything else and still
//! needs the streams: for `poll_oneoff`, after `fd_renumber`, for guests of preview 0, and for components. These adapters
//! give it the same streams.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use crate::runtime::instance::ending::{OutputLimit, StdinFailed};
use crate::runtime::instance::stdio::{STDOUT_CAPACITY, Stdio, WriteError};

/// Stdin, descriptor 0.
#[derive(Clone)]
pub(in crate::runtime) struct GuestStdin(pub Arc<Stdio>);

/// Stdin as a guest of WASI 0.3 reads it.
struct StdinReader(Arc<Stdio>);

/// Stdout, descriptor 1.
#[derive(Clone)]
pub(in crate::runtime) struct GuestStdout(pub Arc<Stdio>);

/// Stderr, descriptor 2.
#[derive(Clone)]
pub(in crate::runtime) struct GuestStderr(pub Arc<Stdio>);

macro_rules! never_a_terminal {
    ($($stream:ty),*) => {$(
        impl IsTerminal for $stream {
            fn is_terminal(&self) -> bool {
                false
            }
        }
    )*};
}
never_a_terminal!(GuestStdin, GuestStdout, GuestStderr);

impl StdinStream for GuestStdin {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(StdinReader(self.0.clone()))
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl StdoutStream for GuestStdout {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl StdoutStream for GuestStderr {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

// Guests of WASI 0.3 read and write through these. An error that has to end the guest cannot be returned: see
// `Stdio::set_error`.
impl AsyncRead for StdinReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut stdin = self.0.stdin();
        ready!(stdin.poll_stream_ready(cx));
        if let Some(error) = stdin.take_failure() {
            self.0.set_error(StdinFailed(error));
            return Poll::Ready(Err(broken_pipe()));
        }
        let bytes = stdin.take(into.remaining());
        self.0.cpu_timer.add_moved(bytes.len());
        into.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl Drop for StdinReader {
    fn drop(&mut self) {
        self.0.stdin().wait.set_streaming(false);
    }
}

impl AsyncWrite for GuestStdout {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.0.stdout().poll_writable(cx));
        Poll::Ready(self.0.write_stdout(bytes).map_err(|refused| {
            if refused == WriteError::LimitReached {
                self.0.set_error(OutputLimit);
            }
            broken_pipe()
        }))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GuestStderr {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.stderr().write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[async_trait]
impl Pollable for GuestStdin {
    async fn ready(&mut self) {
        let blocked = BlockedRead(&self.0);
        poll_fn(|cx| blocked.0.stdin().poll_ready(cx)).await;
    }
}

/// A read of stdin that the guest is blocked in, until dropped: something else may be ready before it.
struct BlockedRead<'a>(&'a Stdio);

impl Drop for BlockedRead<'_> {
    fn drop(&mut self) {
        self.0.stdin().wait.set_reading(false);
    }
}

impl InputStream for GuestStdin {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut stdin = self.0.stdin();
        if let Some(error) = stdin.take_failure() {
            return Err(StreamError::Trap(StdinFailed(error).into()));
        }
        let bytes = stdin.take(size);
        self.0.cpu_timer.add_moved(bytes.len());
        if bytes.is_empty() && size > 0 && stdin.at_end() { Err(StreamError::Closed) } else { Ok(bytes) }
    }
}

#[async_trait]
impl Pollable for GuestStdout {
    async fn ready(&mut self) {
        poll_fn(|cx| self.0.stdout().poll_writable(cx)).await;
    }
}

impl OutputStream for GuestStdout {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let written = self.0.write_stdout(&bytes).map_err(stream_error)?;
        if written == bytes.len() { Ok(()) } else { Err(StreamError::trap("wrote more than there was room for")) }
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.0.stdout().available().map_err(stream_error)
    }
}

fn stream_error(refused: WriteError) -> StreamError {
    match refused {
        WriteError::Closed => StreamError::LastOperationFailed(broken_pipe().into()),
        WriteError::LimitReached => StreamError::Trap(OutputLimit.into()),
    }
}

/// As an operating system reports it: wasmtime-wasi looks at the number, not at the kind.
fn broken_pipe() -> io::Error {
    rustix::io::Errno::PIPE.into()
}

#[async_trait]
impl Pollable for GuestStderr {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestStderr {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.stderr().write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STDOUT_CAPACITY)
    }
}
