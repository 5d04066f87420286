//! How do bytes get into and out of a guest, and what makes either side wait?
//!
//! Both ends of a run share one [`Pipes`]. Stdin is pulled chunk by chunk from whatever the caller supplied; stdout is a
//! bounded buffer, so a guest that prints faster than its client reads is suspended in `fd_write`; stderr goes line by
//! line to the script's log and is cut at a limit, because a log must never hold up a request.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream;

use crate::runtime::instance::cpu_time::CpuTimer;

/// The most output that waits in a pipe: what a guest may be ahead of its client.
pub const OUTPUT_IN_FLIGHT: usize = 64 * 1024;

/// Room for a typical head and a short body, so that most answers need one allocation, and one of those that allocators
/// have at hand.
const FIRST_ALLOCATION: usize = 1000;

/// A request body as the guest reads it: chunks, each of which may be an error that ends the run.
pub type InputStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Where the lines a guest prints on stderr go.
pub trait ErrorLog: Send + Sync {
    /// Takes complete lines or, at the end of a run, the rest of one. Must not block.
    fn write(&self, request: u64, text: &[u8]);
}

/// What the two sides of a run share: its three standard streams and the record of the time it used.
pub(in crate::runtime) struct Pipes {
    stdin: Mutex<Stdin>,
    stdout: Mutex<Stdout>,
    stderr: Mutex<Stderr>,
    /// Why a guest has to end that could not be told where it happened.
    fault: Mutex<Option<wasmtime::Error>>,
    pub cpu_timer: CpuTimer,
}

/// Waking may run the other side at once, on a thread of higher priority than this one: never under a lock it needs.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Why output was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum Refused {
    /// Nobody reads any more.
    Closed,
    /// The script's limit on its answer is reached.
    LimitReached,
}

impl Pipes {
    pub fn new(stdin: Option<InputStream>, output_limit: Option<u64>, stderr: Stderr, cpu_timer: CpuTimer) -> Self {
        Self {
            stdin: Mutex::new(Stdin { source: stdin, chunk: Bytes::new(), failure: None, waits: false }),
            stdout: Mutex::new(Stdout {
                buffer: BytesMut::new(),
                left: output_limit.unwrap_or(u64::MAX),
                closed: false,
                discards: false,
                discarded: 0,
                writer: None,
                reader: None,
            }),
            stderr: Mutex::new(stderr),
            fault: Mutex::default(),
            cpu_timer,
        }
    }

    pub fn stdin(&self) -> MutexGuard<'_, Stdin> {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn stdout(&self) -> MutexGuard<'_, Stdout> {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes as many of the bytes as fit; 0 means that the writer has to wait.
    pub fn print(&self, bytes: &[u8]) -> Result<usize, Refused> {
        let mut stdout = self.stdout();
        let written = stdout.write(bytes)?;
        let reader = if written > 0 { stdout.reader.take() } else { None };
        drop(stdout);
        wake(reader);
        Ok(written)
    }

    /// Takes all that has been printed; `None` and a promise to wake when there is nothing yet.
    pub fn poll_printed(&self, cx: &mut Context<'_>) -> Option<Bytes> {
        let mut stdout = self.stdout();
        let printed = stdout.take(cx);
        let writer = if printed.is_some() { stdout.writer.take() } else { None };
        drop(stdout);
        wake(writer);
        printed
    }

    /// From now on what is printed is counted and forgotten.
    pub fn discard_output(&self) {
        let mut stdout = self.stdout();
        // What nobody has taken yet, printed perhaps by a guest on another thread, counts as well.
        stdout.discarded += stdout.buffer.len() as u64;
        (stdout.discards, stdout.buffer) = (true, BytesMut::new());
        let writer = stdout.writer.take();
        drop(stdout);
        wake(writer);
    }

    /// How many bytes were forgotten.
    pub fn discarded(&self) -> u64 {
        self.stdout().discarded
    }

    /// Refuses everything that is printed from now on.
    pub fn close_output(&self) {
        let mut stdout = self.stdout();
        stdout.closed = true;
        let writer = stdout.writer.take();
        drop(stdout);
        wake(writer);
    }

    /// Promises to wake whoever reads when there is news, though nothing may have been printed.
    pub fn watch(&self, cx: &Context<'_>) {
        self.stdout().reader = Some(cx.waker().clone());
    }

    /// Wakes whoever reads.
    pub fn tell_reader(&self) {
        let reader = self.stdout().reader.take();
        wake(reader);
    }

    /// Notes why the guest has to end. Whoever polls the guest asks for it.
    pub fn fail(&self, fault: impl Into<wasmtime::Error>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.into());
    }

    /// Why the guest has to end, if it has to.
    pub fn take_fault(&self) -> Option<wasmtime::Error> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub fn stderr(&self) -> MutexGuard<'_, Stderr> {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reading end of a request body.
pub(in crate::runtime) struct Stdin {
    source: Option<InputStream>,
    chunk: Bytes,
    failure: Option<io::Error>,
    waits: bool,
}

impl Stdin {
    /// Waits until there are bytes to read, the end, or a failure.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.waits = false;
        while self.chunk.is_empty() && self.failure.is_none() {
            let Some(source) = &mut self.source else { return Poll::Ready(()) };
            match source.as_mut().poll_next(cx) {
                Poll::Pending => {
                    self.waits = true;
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(chunk))) => self.chunk = chunk,
                Poll::Ready(Some(Err(error))) => self.failure = Some(error),
                Poll::Ready(None) => self.source = None,
            }
        }
        Poll::Ready(())
    }

    /// Moves what is there into `buffer`; 0 is the end when [`poll_ready`](Self::poll_ready) said ready.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.chunk.len());
        buffer[..count].copy_from_slice(&self.chunk[..count]);
        self.chunk.advance(count);
        count
    }

    /// Takes up to `most` bytes without copying.
    pub fn take(&mut self, most: usize) -> Bytes {
        self.chunk.split_to(most.min(self.chunk.len()))
    }

    /// Notes whether the guest waits for the client to send more, for a body that is read elsewhere.
    pub fn set_waits(&mut self, waits: bool) {
        self.waits = waits;
    }

    /// Whether the guest waits for the client to send more.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// Whether the end has been reached.
    pub fn at_end(&self) -> bool {
        self.chunk.is_empty() && self.source.is_none()
    }

    /// The failure that ended the body, if one did.
    pub fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take().inspect(|_| self.source = None)
    }
}

/// A bounded buffer between a guest and whoever sends its answer.
pub(in crate::runtime) struct Stdout {
    buffer: BytesMut,
    left: u64,
    closed: bool,
    discards: bool,
    discarded: u64,
    writer: Option<Waker>,
    reader: Option<Waker>,
}

impl Stdout {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        if bytes.len() as u64 > self.left {
            return Err(Refused::LimitReached);
        }
        if self.discards {
            self.left -= bytes.len() as u64;
            self.discarded += bytes.len() as u64;
            return Ok(bytes.len());
        }
        let count = bytes.len().min(OUTPUT_IN_FLIGHT - self.buffer.len());
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(count.max(FIRST_ALLOCATION));
        }
        self.buffer.extend_from_slice(&bytes[..count]);
        self.left -= count as u64;
        Ok(count)
    }

    /// How many bytes could be written now.
    pub fn room(&self) -> Result<usize, Refused> {
        if self.closed { Err(Refused::Closed) } else { Ok(OUTPUT_IN_FLIGHT - self.buffer.len()) }
    }

    /// Waits until there is room for at least one byte, or until nobody reads any more.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.closed || self.buffer.len() < OUTPUT_IN_FLIGHT {
            return Poll::Ready(());
        }
        self.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn take(&mut self, cx: &mut Context<'_>) -> Option<Bytes> {
        if self.buffer.is_empty() {
            self.reader = Some(cx.waker().clone());
            return None;
        }
        Some(std::mem::take(&mut self.buffer).freeze())
    }

    /// Takes all that has been written by a guest that has ended.
    pub fn take_rest(&mut self) -> Bytes {
        std::mem::take(&mut self.buffer).freeze()
    }
}

/// The guest's error stream: cut into lines, limited, handed to the script's log.
pub(in crate::runtime) struct Stderr {
    log: Option<Arc<dyn ErrorLog>>,
    request: u64,
    left: usize,
    full: bool,
    line: Vec<u8>,
}

/// What a line is charged besides its text: about what it is wrapped in.
const COST_OF_LINE: usize = 32;

/// The longest line that is held back until it is complete.
const LONGEST_LINE: usize = 4 * 1024;

impl Stderr {
    pub fn new(log: Option<Arc<dyn ErrorLog>>, request: u64, limit: usize) -> Self {
        Self { log, request, left: limit, full: false, line: Vec::new() }
    }

    /// Takes everything; what is over the limit is dropped, with one note that it was.
    pub fn write(&mut self, bytes: &[u8]) {
        let Some(log) = &self.log else { return };
        if self.full {
            return;
        }
        let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
        // Each line costs the log more than its own bytes.
        let room = self.left.saturating_sub(lines.saturating_mul(COST_OF_LINE)).min(bytes.len());
        self.full = room < bytes.len();
        self.left = self.left.saturating_sub(bytes.len().saturating_add(lines.saturating_mul(COST_OF_LINE)));
        self.line.extend_from_slice(&bytes[..room]);
        if self.full {
            self.line.extend_from_slice(b"\n[more was printed than the limit allows: the rest is dropped]\n");
        }
        let complete = match self.line.iter().rposition(|&byte| byte == b'\n') {
            Some(newline) => newline + 1,
            None if self.line.len() > LONGEST_LINE => self.line.len(),
            None => return,
        };
        log.write(self.request, &self.line[..complete]);
        self.line.drain(..complete);
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        if let Some(log) = &self.log
            && !self.line.is_empty()
        {
            log.write(self.request, &self.line);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::instance::stdio::*;

    fn pipes(limit: Option<u64>) -> Pipes {
        Pipes::new(None, limit, Stderr::new(None, 0, 0), CpuTimer::default())
    }

    #[test]
    fn output_waits_when_the_buffer_is_full() {
        let pipes = pipes(None);
        let much = vec![b'x'; OUTPUT_IN_FLIGHT + 10];
        assert_eq!(pipes.print(&much), Ok(OUTPUT_IN_FLIGHT));
        assert_eq!(pipes.print(b"y"), Ok(0));
        assert_eq!(pipes.stdout().take_rest().len(), OUTPUT_IN_FLIGHT);
        assert_eq!(pipes.print(b"y"), Ok(1));
    }

    #[test]
    fn output_over_the_limit_is_refused() {
        let pipes = pipes(Some(3));
        assert_eq!(pipes.print(b"ab"), Ok(2));
        assert_eq!(pipes.print(b"cd"), Err(Refused::LimitReached));
    }

    #[test]
    fn output_nobody_wants_is_counted_whenever_it_was_printed() {
        let pipes = pipes(None);
        assert_eq!(pipes.print(b"before"), Ok(6));
        pipes.discard_output();
        pipes.discard_output();
        assert_eq!(pipes.print(b"after"), Ok(5));
        assert_eq!((pipes.discarded(), pipes.stdout().take_rest().len()), (11, 0));
    }

    #[test]
    fn output_nobody_reads_is_refused() {
        let pipes = pipes(None);
        pipes.close_output();
        assert_eq!(pipes.print(b"a"), Err(Refused::Closed));
    }

    #[test]
    fn errors_reach_the_log_line_by_line_and_the_rest_at_the_end() {
        #[derive(Default)]
        struct Lines(Mutex<Vec<(u64, String)>>);
        impl ErrorLog for Lines {
            fn write(&self, request: u64, text: &[u8]) {
                self.0.lock().unwrap().push((request, String::from_utf8_lossy(text).into_owned()));
            }
        }
        let lines = Arc::new(Lines::default());
        let mut stderr = Stderr::new(Some(lines.clone()), 7, 100);
        stderr.write(b"one\ntw");
        stderr.write(b"o\nthree");
        drop(stderr);
        let expected = [(7, "one\n".to_owned()), (7, "two\n".to_owned()), (7, "three".to_owned())];
        assert_eq!(*lines.0.lock().unwrap(), expected);
    }
}
