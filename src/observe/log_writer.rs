//! How do log lines leave the process without holding up a request?
//!
//! Whoever has something to say appends it to a buffer in memory; one thread writes the buffer out. When the reader of
//! the log is slower than the server for so long that the buffer fills up, lines are dropped and counted, never waited
//! for.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What may wait to be written, in bytes.
const BUFFER_LIMIT: usize = 8 << 20;

/// How long the first line waits for company: waking the thread for every line would cost more than the lines do.
const COLLECTING: Duration = Duration::from_millis(5);

/// How long a process that ends waits for its last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// A log that takes lines without blocking. Clones write to the same place.
#[derive(Clone)]
pub struct LogWriter {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    writer_sleeps: bool,
    writing: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogWriter {
    /// Starts the thread that writes to `destination`.
    pub fn spawn(destination: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared { waiting: Mutex::default(), changed: Condvar::new() });
        let for_thread = shared.clone();
        thread::Builder::new().name("wagi-log".into()).spawn(move || write_out(&for_thread, destination))?;
        Ok(Self { shared })
    }

    /// Appends complete lines.
    pub fn push(&self, lines: &[u8]) {
        let mut waiting = self.shared.lock();
        if waiting.bytes.len() + lines.len() > BUFFER_LIMIT {
            waiting.dropped += 1;
            return;
        }
        waiting.bytes.extend_from_slice(lines);
        if waiting.writer_sleeps {
            waiting.writer_sleeps = false;
            drop(waiting);
            self.shared.changed.notify_all();
        }
    }

    /// Waits, for a moment, until everything is written.
    pub fn flush(&self) {
        let waiting = self.shared.lock();
        let unwritten = |waiting: &mut Waiting| !waiting.bytes.is_empty() || waiting.writing;
        // Whether it came to that or the time ran out makes no difference to a process that ends.
        drop(self.shared.changed.wait_timeout_while(waiting, LAST_LINES, unwritten));
    }
}

fn write_out(shared: &Shared, mut destination: impl Write) {
    let mut taken = Vec::new();
    loop {
        let mut waiting = shared.lock();
        waiting.writing = false;
        shared.changed.notify_all();
        if waiting.bytes.is_empty() {
            while waiting.bytes.is_empty() {
                waiting.writer_sleeps = true;
                waiting = shared.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            waiting.writer_sleeps = false;
            drop(waiting);
            thread::sleep(COLLECTING);
            waiting = shared.lock();
        }
        std::mem::swap(&mut waiting.bytes, &mut taken);
        let dropped = std::mem::take(&mut waiting.dropped);
        (waiting.writer_sleeps, waiting.writing) = (false, true);
        drop(waiting);
        if dropped > 0 {
            taken.extend_from_slice(
                format!("[{dropped} log lines were dropped: nobody read them in time]\n").as_bytes(),
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
    fn a_reader_that_stands_still_holds_nobody_up() {
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
