//! How do bytes get into and out of a guest, and what makes either side wait?
//!
//! The guest and the holder of its run share one [`Stdio`]. Stdin is pulled chunk by chunk from the stream that the holder
//! supplied. Stdout is a bounded buffer, so a guest that prints faster than its client reads is suspended in `fd_write`.
//! Stderr goes to the log of the guest and never waits: see `stderr`.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream;

use crate::outbound;
use crate::outbound::CallTracer;

use crate::runtime::engine::watch::FileUse;
use crate::runtime::instance::client_wait::ClientWait;
use crate::runtime::instance::cpu_time::CpuTimer;
use crate::runtime::instance::stderr::{Note, Stderr};
use crate::runtime::run_watcher::RunWatcher;

/// The capacity of stdout in bytes: how far a guest may be ahead of its client.
pub const STDOUT_CAPACITY: usize = 64 * 1024;

/// The initial size of the buffer. A typical head and a short body fit, so that most responses need one allocation, and one
/// of a size that allocators have at hand.
const INITIAL_CAPACITY: usize = 1000;

/// A request body as the guest reads it: chunks, each of which may be an error that ends the run.
pub type InputStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// What the two sides of a run share: its standard streams and its CPU timer.
pub(in crate::runtime) struct Stdio {
    stdin: Mutex<Stdin>,
    stdout: Mutex<Stdout>,
    stderr: Mutex<Stderr>,
    /// Why the guest has to end, if the error could not be returned where it happened.
    error: Mutex<Option<wasmtime::Error>>,
    pub cpu_timer: CpuTimer,
    /// The most memory that the guest had, in bytes.
    pub memory_peak: AtomicU64,
    /// Whether the guest has trapped, and its end is still being explained.
    is_failing: AtomicBool,
    watcher: Option<Arc<dyn RunWatcher>>,
    /// Whether the request has a body. If it has none, no wait for the client is counted.
    pub has_request_body: bool,
    /// What makes spans of the calls of the guest, if its request has a trace.
    pub tracer: Option<Arc<dyn CallTracer>>,
}

impl FileUse for Stdio {
    fn uses_files(&self) -> bool {
        self.cpu_timer.uses_files()
    }

    fn progress(&self) -> u64 {
        self.cpu_timer.epochs()
    }
}

/// Wakes the other side. Never call it while holding a lock that the other side needs: the other side may run at once, on a
/// thread of higher priority.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Why output is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum WriteError {
    /// The reader is gone.
    Closed,
    /// The guest's limit on output is reached.
    LimitReached,
}

impl Stdio {
    pub fn new(stdin: Option<InputStream>, output_limit: Option<u64>, stderr: Stderr, cpu_timer: CpuTimer) -> Self {
        let has_request_body = stdin.is_some();
        let (chunk, wait) = (Bytes::new(), ClientWait::default());
        Self {
            stdin: Mutex::new(Stdin { source: stdin, chunk, failure: None, wait }),
            stdout: Mutex::new(Stdout {
                buffer: BytesMut::new(),
                remaining: output_limit.unwrap_or(u64::MAX),
                closed: false,
                finished: false,
                discards: false,
                discarded: 0,
                writer: None,
                reader: None,
            }),
            stderr: Mutex::new(stderr),
            error: Mutex::default(),
            cpu_timer,
            memory_peak: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
            watcher: None,
            has_request_body,
            tracer: None,
        }
    }

    /// The same streams, whose output `watcher` sees.
    pub fn watched_by(self, watcher: Arc<dyn RunWatcher>) -> Self {
        Self { watcher: Some(watcher), ..self }
    }

    /// Waits until the guest computes where it may use files. What waits holds nothing of the guest but this.
    pub fn until_it_may_block(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        let waiting = (!self.cpu_timer.may_block()).then(|| self.clone());
        async move {
            if let Some(stdio) = waiting {
                poll_fn(|cx| stdio.cpu_timer.poll_may_block(cx)).await;
            }
        }
    }

    /// Marks the guest as one that has trapped. Until its end is known, its response is not taken for complete.
    pub fn begin_failing(&self) {
        self.is_failing.store(true, Ordering::Release);
    }

    /// Whether the guest has trapped, and its end is still being explained.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Acquire)
    }

    pub fn stdin(&self) -> MutexGuard<'_, Stdin> {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn stdout(&self) -> MutexGuard<'_, Stdout> {
        self.stdout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes as many of the bytes as fit, and returns their number; 0 means that the writer has to wait.
    pub fn write_stdout(&self, bytes: &[u8]) -> Result<usize, WriteError> {
        let mut stdout = self.stdout();
        let written = stdout.write(bytes)?;
        self.cpu_timer.add_moved(written);
        let reader = if written > 0 { stdout.reader.take() } else { None };
        drop(stdout);
        if let Some(watcher) = &self.watcher {
            watcher.prints(bytes.get(..written).unwrap_or_default());
        }
        wake(reader);
        Ok(written)
    }

    /// Takes all that has been printed; `None` if the guest has closed stdout, so that nothing more can come. If there is nothing
    /// yet, the reader will be woken.
    pub fn poll_stdout(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut stdout = self.stdout();
        let printed = stdout.poll_take(cx);
        let writer = if printed.is_ready() { stdout.writer.take() } else { None };
        drop(stdout);
        wake(writer);
        printed
    }

    /// Discards what is printed from now on, and counts it.
    pub fn discard_output(&self) {
        let mut stdout = self.stdout();
        // What has not been taken yet, printed perhaps by a guest on another thread, counts as well.
        stdout.discarded += stdout.buffer.len() as u64;
        (stdout.discards, stdout.buffer) = (true, BytesMut::new());
        let writer = stdout.writer.take();
        drop(stdout);
        wake(writer);
    }

    /// The number of bytes that were discarded.
    pub fn discarded(&self) -> u64 {
        self.stdout().discarded
    }

    /// Marks stdout as closed by the guest, and wakes the reader.
    pub fn finish_output(&self) {
        self.stdout().finished = true;
        self.wake_reader();
    }

    /// Makes every later write fail.
    pub fn close_output(&self) {
        let mut stdout = self.stdout();
        stdout.closed = true;
        let writer = stdout.writer.take();
        drop(stdout);
        wake(writer);
    }

    /// Registers the reader to be woken, even if something has been printed.
    pub fn register_reader(&self, cx: &Context<'_>) {
        self.stdout().reader = Some(cx.waker().clone());
    }

    /// Wakes the reader.
    pub fn wake_reader(&self) {
        let reader = self.stdout().reader.take();
        wake(reader);
    }

    /// Sets why the guest has to end. The future that polls the guest takes it.
    pub fn set_error(&self, error: impl Into<wasmtime::Error>) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.into());
    }

    /// Takes why the guest has to end, if it has to.
    pub fn take_error(&self) -> Option<wasmtime::Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Notes in the log that the operator did not allow a call, if that is why it failed.
    pub fn note_denied_call(&self, error: &outbound::Error) {
        if error.is_denied() {
            self.stderr().note(Note::Call, || format!("a call was refused: {error}"));
        }
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
    /// The waits for the client, also of a guest that does not read its request body from stdin.
    pub wait: ClientWait,
}

impl Stdin {
    /// Waits until there are bytes to read, or the end or a failure is reached. During this time the guest is blocked.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.poll_source(cx);
        self.wait.set_reading(polled.is_pending());
        polled
    }

    /// The same for a guest of WASI 0.3, which can do other things during this time.
    pub fn poll_stream_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let polled = self.poll_source(cx);
        self.wait.set_streaming(polled.is_pending());
        polled
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.chunk.is_empty() && self.failure.is_none() {
            let Some(source) = &mut self.source else { return Poll::Ready(()) };
            match ready!(source.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) if self.wait.receive(chunk.len()) => self.chunk = chunk,
                Some(Ok(_)) => self.failure = Some(io::ErrorKind::TimedOut.into()),
                Some(Err(error)) => self.failure = Some(error),
                None => self.source = None,
            }
        }
        Poll::Ready(())
    }

    /// Reads into `buffer` and returns the number of bytes. After [`poll_ready`](Self::poll_ready), 0 is the end.
    pub fn read(&mut self, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.chunk.len());
        buffer[..count].copy_from_slice(&self.chunk[..count]);
        self.chunk.advance(count);
        count
    }

    /// Takes up to `max` bytes without copying.
    pub fn take(&mut self, max: usize) -> Bytes {
        self.chunk.split_to(max.min(self.chunk.len()))
    }

    /// Whether the end has been reached.
    pub fn at_end(&self) -> bool {
        self.chunk.is_empty() && self.source.is_none()
    }

    /// Takes the failure that ended the body, if one did.
    pub fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take().inspect(|_| self.source = None)
    }
}

/// A bounded buffer between a guest and the sender of its response.
pub(in crate::runtime) struct Stdout {
    buffer: BytesMut,
    /// How many bytes the guest may still print.
    remaining: u64,
    closed: bool,
    /// Whether the guest has closed it.
    finished: bool,
    discards: bool,
    discarded: u64,
    writer: Option<Waker>,
    reader: Option<Waker>,
}

impl Stdout {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, WriteError> {
        if self.closed {
            return Err(WriteError::Closed);
        }
        if bytes.len() as u64 > self.remaining {
            return Err(WriteError::LimitReached);
        }
        if self.discards {
            self.remaining -= bytes.len() as u64;
            self.discarded += bytes.len() as u64;
            return Ok(bytes.len());
        }
        let count = bytes.len().min(STDOUT_CAPACITY - self.buffer.len());
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(count.max(INITIAL_CAPACITY));
        }
        self.buffer.extend_from_slice(&bytes[..count]);
        self.remaining -= count as u64;
        Ok(count)
    }

    /// The number of bytes that can be written now.
    pub fn available(&self) -> Result<usize, WriteError> {
        if self.closed { Err(WriteError::Closed) } else { Ok(STDOUT_CAPACITY - self.buffer.len()) }
    }

    /// Waits until there is room for at least one byte, or until the reader is gone.
    pub fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.closed || self.buffer.len() < STDOUT_CAPACITY {
            return Poll::Ready(());
        }
        self.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !self.buffer.is_empty() {
            return Poll::Ready(Some(std::mem::take(&mut self.buffer).freeze()));
        }
        if self.finished {
            return Poll::Ready(None);
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Takes what is left, printed by a guest that has ended.
    pub fn take_remaining(&mut self) -> Bytes {
        std::mem::take(&mut self.buffer).freeze()
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::instance::stdio::*;

    fn stdio(limit: Option<u64>) -> Stdio {
        Stdio::new(None, limit, Stderr::new(None, 0, 0), CpuTimer::default())
    }

    #[test]
    fn output_waits_when_the_buffer_is_full() {
        let stdio = stdio(None);
        let much = vec![b'x'; STDOUT_CAPACITY + 10];
        assert_eq!(stdio.write_stdout(&much), Ok(STDOUT_CAPACITY));
        assert_eq!(stdio.write_stdout(b"y"), Ok(0));
        assert_eq!(stdio.stdout().take_remaining().len(), STDOUT_CAPACITY);
        assert_eq!(stdio.write_stdout(b"y"), Ok(1));
    }

    #[test]
    fn output_over_the_limit_is_an_error() {
        let stdio = stdio(Some(3));
        assert_eq!(stdio.write_stdout(b"ab"), Ok(2));
        assert_eq!(stdio.write_stdout(b"cd"), Err(WriteError::LimitReached));
    }

    #[test]
    fn discarded_output_is_counted_whenever_it_was_printed() {
        let stdio = stdio(None);
        assert_eq!(stdio.write_stdout(b"before"), Ok(6));
        stdio.discard_output();
        stdio.discard_output();
        assert_eq!(stdio.write_stdout(b"after"), Ok(5));
        assert_eq!((stdio.discarded(), stdio.stdout().take_remaining().len()), (11, 0));
    }

    #[test]
    fn output_without_a_reader_is_an_error() {
        let stdio = stdio(None);
        stdio.close_output();
        assert_eq!(stdio.write_stdout(b"a"), Err(WriteError::Closed));
    }
}
