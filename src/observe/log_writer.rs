//! How do log lines leave the process without holding up a request?
//!
//! Lines are appended to a buffer in memory; one thread writes the buffer out. If the reader of the log is so slow
//! that the buffer is full, lines are dropped and counted, and no request waits. A destination that is a file can be opened
//! again; see `appended_file`.

use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::config::LogFormat;
use crate::format::counted;
use crate::regular_file;

use crate::observe::access_file::{AccessFile, warn_of_dropped};
use crate::observe::appended_file::AppendedFile;
use crate::observe::time;

/// The bytes that may wait to be written.
const BUFFER_LIMIT: usize = 8 << 20;

/// How long the first line waits for others: waking the thread for every line would cost more than the lines do.
const BATCH_DELAY: Duration = Duration::from_millis(5);

/// How long the thread waits before it tries again to write to a destination that would have to wait.
const WOULD_BLOCK_DELAY: Duration = Duration::from_millis(5);

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
    /// The destination, if it can be opened again.
    file: Option<Arc<AppendedFile>>,
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    dropped: u64,
    /// Those of which the log tells already.
    told: u64,
    writer_sleeps: bool,
    writing: bool,
}

impl LogQueue {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogWriter {
    /// Starts the thread that writes to `destination`. Its own lines, about lines that were dropped, are text.
    pub fn spawn(destination: impl Write + Send + 'static) -> io::Result<Self> {
        Self::spawn_with_format(destination, LogFormat::Text)
    }

    /// The same for a log in `format`.
    pub fn spawn_with_format(destination: impl Write + Send + 'static, format: LogFormat) -> io::Result<Self> {
        Self::start(destination, None, move |dropped| Some(dropped_line(dropped, format)))
    }

    /// Starts a thread that appends to the file at `path`, which is made if there is none. Of what is wrong with the file the
    /// server's own events tell; all lines in it are those that were pushed.
    pub fn append_to(path: &Path) -> io::Result<Self> {
        let file = Arc::new(AppendedFile::new(path, regular_file::open_log)?);
        let for_thread = file.clone();
        Self::start(AccessFile::new(file.clone()), Some(file), move |dropped| {
            warn_of_dropped(&for_thread, dropped);
            None
        })
    }

    fn start(
        destination: impl Write + Send + 'static,
        file: Option<Arc<AppendedFile>>,
        on_dropped: impl Fn(u64) -> Option<String> + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(LogQueue { buffer: Mutex::default(), changed: Condvar::new(), file });
        let for_thread = shared.clone();
        let write = move || write_out(&for_thread, destination, on_dropped);
        thread::Builder::new().name("wagi-log".into()).spawn(write)?;
        Ok(Self { shared })
    }

    /// Opens the file again if the destination is one: the operator has moved it away. What is pushed from now on goes to
    /// the file that is at the path then.
    pub fn reopen(&self) {
        if let Some(file) = &self.shared.file {
            file.reopen();
        }
    }

    /// Appends complete lines.
    pub fn push(&self, lines: &[u8]) {
        let mut buffer = self.shared.lock();
        if buffer.bytes.len() + lines.len() > BUFFER_LIMIT {
            buffer.dropped += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
            return;
        }
        buffer.bytes.extend_from_slice(lines);
        if buffer.writer_sleeps {
            buffer.writer_sleeps = false;
            drop(buffer);
            self.shared.changed.notify_all();
        }
    }

    /// Whether both write to the same destination.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// How many lines were dropped until now.
    pub fn dropped(&self) -> u64 {
        let buffer = self.shared.lock();
        buffer.told + buffer.dropped
    }

    /// Waits until everything is written, but not for long.
    pub fn flush(&self) {
        let buffer = self.shared.lock();
        let unwritten = |buffer: &mut Buffer| !buffer.bytes.is_empty() || buffer.writing;
        // Whether all was written or the time ran out makes no difference to a process that ends.
        drop(self.shared.changed.wait_timeout_while(buffer, FLUSH_TIMEOUT, unwritten));
    }
}

fn write_out(shared: &LogQueue, mut destination: impl Write, on_dropped: impl Fn(u64) -> Option<String>) {
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
        buffer.told += dropped;
        (buffer.writer_sleeps, buffer.writing) = (false, true);
        drop(buffer);
        let line = if dropped > 0 { on_dropped(dropped) } else { None };
        taken.extend_from_slice(line.unwrap_or_default().as_bytes());
        // A log that cannot be written, a closed pipe for instance, is no reason to stop serving.
        let _ = write_all(&mut destination, &taken).and_then(|()| destination.flush());
        taken.clear();
    }
}

/// Writes everything, also to a destination that another process has set to return at once instead of waiting.
fn write_all(destination: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match destination.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(WOULD_BLOCK_DELAY),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The line that counts the lines that were dropped. In JSON it is an event.
fn dropped_line(dropped: u64, format: LogFormat) -> String {
    match format {
        LogFormat::Text => {
            let lines = counted(dropped, "log line was", "log lines were");
            format!("[{lines} dropped: the log was not read in time]\n")
        }
        LogFormat::Json => {
            let mut now = String::new();
            // Writing to a string does not fail.
            let _ = time::push_now(&mut now);
            let target = module_path!();
            format!(
                "{{\"time\":\"{now}\",\"kind\":\"event\",\"level\":\"warn\",\"target\":\"{target}\",\
                 \"message\":\"log lines were dropped: the log was not read in time\",\
                 \"fields\":{{\"lines\":{dropped}}}}}\n"
            )
        }
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
pub(in crate::observe) mod tests {
    use std::sync::mpsc;

    use crate::observe::log_writer::*;

    /// A log that tests read.
    #[derive(Clone, Default)]
    pub(in crate::observe) struct Memory(pub(in crate::observe) Arc<Mutex<Vec<u8>>>);

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

    /// A destination that never takes what is written to it, and tells when it has been asked to.
    struct Stuck(mpsc::Sender<()>);

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(());
            loop {
                thread::park();
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stands_still_blocks_no_writer() {
        let (asked, is_asked) = mpsc::channel();
        let lines = LogWriter::spawn(Stuck(asked)).unwrap();
        lines.push(b"first\n");
        is_asked.recv().unwrap();
        let two_lines = [vec![b'x'; 1 << 20], b"\nx\n".to_vec()].concat();
        for _ in 0..20 {
            lines.push(&two_lines);
        }
        // Seven of the twenty fit.
        assert_eq!(lines.shared.lock().dropped, 2 * 13);
    }

    #[test]
    fn the_line_about_dropped_lines_has_the_format_of_the_others() {
        let one = dropped_line(1, LogFormat::Text);
        assert_eq!(one, "[1 log line was dropped: the log was not read in time]\n");
        assert_eq!(dropped_line(17, LogFormat::Text), "[17 log lines were dropped: the log was not read in time]\n");
        let line: serde_json::Value = serde_json::from_str(&dropped_line(17, LogFormat::Json)).unwrap();
        assert_eq!((&line["kind"], &line["fields"]["lines"]), (&"event".into(), &17.into()));
    }

    #[test]
    fn a_destination_that_would_have_to_wait_gets_every_byte() {
        #[derive(Clone, Default)]
        struct Hesitant(Memory, Arc<Mutex<bool>>);
        impl Write for Hesitant {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let mut is_ready = self.1.lock().unwrap();
                *is_ready = !*is_ready;
                if *is_ready { self.0.write(&bytes[..1]) } else { Err(io::ErrorKind::WouldBlock.into()) }
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut destination = Hesitant::default();
        write_all(&mut destination, b"one\ntwo\n").unwrap();
        assert_eq!(*destination.0.0.lock().unwrap(), b"one\ntwo\n");
    }

    #[test]
    fn a_writer_of_a_file_goes_on_in_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("log"), directory.path().join("log.1"));
        let lines = LogWriter::append_to(&path).unwrap();
        lines.push(b"one\n");
        lines.flush();
        std::fs::rename(&path, &moved).unwrap();
        lines.reopen();
        lines.push(b"two\n");
        lines.flush();
        assert_eq!(
            (std::fs::read(&moved).unwrap(), std::fs::read(&path).unwrap()),
            (b"one\n".to_vec(), b"two\n".to_vec())
        );
    }
}
