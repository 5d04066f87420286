//! How do log lines leave the process without holding up a request?
//!
//! Lines are appended to a buffer in memory; one thread writes the buffer out. If the reader of the log is so slow
//! that the buffer is full, lines are dropped and counted, and no request waits.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The bytes that may wait to be written.
const BUFFER_LIMIT: usize = 8 << 20;

/// How long the first line waits for others: waking the thread for every line would cost more than the lines do.
const BATCH_DELAY: Duration = Duration::from_millis(5);

/// How long a process that ends waits for its last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// A writer of log lines that does not block. Clones write to the same destination.
#[derive(Clone)]
pub struct LogWriter {
    shared: Arc<LogQueue>,
}

struct LogQueue {
    buffer: Mutex<Buffer>,
    changed: Condvar,
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    dropped: u64,
    writer_sleeps: bool,
    writing: bool,
}

impl LogQueue {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogWriter {
    /// Starts the thread that writes to `destination`.
    pub fn spawn(destination: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(LogQueue { buffer: Mutex::default(), changed: Condvar::new() });
        let for_thread = shared.clone();
        thread::Builder::new().name("wagi-log".into()).spawn(move || write_out(&for_thread, destination))?;
        Ok(Self { shared })
    }

    /// Appends complete lines.
    pub fn push(&self, lines: &[u8]) {
        let mut buffer = self.shared.lock();
        if buffer.bytes.len() + lines.len() > BUFFER_LIMIT {
            buffer.dropped += 1;
            return;
        }
        buffer.bytes.extend_from_slice(lines);
        if buffer.writer_sleeps {
            buffer.writer_sleeps = false;
            drop(buffer);
            self.shared.changed.notify_all();
        }
    }

    /// Waits until everything is written, but not for long.
    pub fn flush(&self) {
        let buffer = self.shared.lock();
        let unwritten = |buffer: &mut Buffer| !buffer.bytes.is_empty() || buffer.writing;
        // Whether all was written or the time ran out makes no difference to a process that ends.
        drop(self.shared.changed.wait_timeout_while(buffer, FLUSH_TIMEOUT, unwritten));
    }
}

fn write_out(shared: &LogQueue, mut destination: impl Write) {
    let mut taken = Vec::new();
    loop {
        let mut buffer = shared.lock();
        buffer.writing = false;
        shared.changed.notify_all();
        if buffer.bytes.is_empty() {
            while buffer.bytes.is_empty() {
                buffer.writer_sleeps = true;
                buffer = shared.changed.wait(buffer).unwrap_or_else(PoisonError::into_inner);
            }
            buffer.writer_sleeps = false;
            drop(buffer);
            thread::sleep(BATCH_DELAY);
            buffer = shared.lock();
        }
        std::mem::swap(&mut buffer.bytes, &mut taken);
        let dropped = std::mem::take(&mut buffer.dropped);
        (buffer.writer_sleeps, buffer.writing) = (false, true);
        drop(buffer);
        if dropped > 0 {
            taken.extend_from_slice(
                format!("[{dropped} log lines were dropped: the log was not read in time]\n").as_bytes(),
            );
        }
        // A log that cannot be written, a closed pipe for instance, is no reason to stop serving.
        let _ = destination.write_all(&taken).and_then(|()| destination.flush());
        taken.clear();
    }
}

/// For `tracing_subscriber`, which writes each event in one piece.
impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::log_writer::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order() {
        let memory = Memory::default();
        let lines = LogWriter::spawn(memory.clone()).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            lines.push(line.as_bytes());
        }
        lines.flush();
        assert_eq!(*memory.0.lock().unwrap(), b"one\ntwo\nthree\n");
    }

    #[test]
    fn a_reader_that_stands_still_blocks_no_writer() {
        struct Stuck;
        impl Write for Stuck {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                loop {
                    thread::park();
                }
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = LogWriter::spawn(Stuck).unwrap();
        let line = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            lines.push(&line);
        }
        assert!(lines.shared.lock().dropped > 0);
    }
}
