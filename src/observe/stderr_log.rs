//! Where are the lines of a guest's stderr written?
//!
//! Always to the server's log, as lines tagged with route, module and request id. With a log directory also, raw, to
//! `<directory>/<SHA-256 of the route pattern>/module.stderr`, the path WAGI 0.8 has always used; an index beside says which
//! hash is which route. Files are opened at the start, and opened again when the operator has moved them away: at SIGUSR1 and at
//! each reload.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::config::LogFormat;
use crate::format::sha256_hex;
use crate::regular_file;
use crate::runtime::{CallResult, Debugging, StderrSink};

use crate::observe::access::RouteName;
use crate::observe::appended_file::{AfterError, AppendedFile};
use crate::observe::escape;
use crate::observe::log_writer::LogWriter;
use crate::observe::warning_interval::WarningInterval;

/// The file that lists which directory belongs to which route.
const INDEX: &str = "index.tsv";

/// The log of one route's guests.
pub struct GuestLog {
    name: Arc<RouteName>,
    writer: LogWriter,
    format: LogFormat,
    file: Option<LogFile>,
    debugging: Debugging,
}

impl GuestLog {
    /// A log for the guests of a route, in the server's log and, if there is one, in the route's own file.
    pub fn new(name: Arc<RouteName>, writer: LogWriter, format: LogFormat, file: Option<LogFile>) -> Self {
        Self { name, writer, format, file, debugging: Debugging::default() }
    }

    /// The same, with what is kept of guests that trap or compute for long.
    pub fn with_debugging(self, debugging: Debugging) -> Self {
        Self { debugging, ..self }
    }

    fn line(&self, request: u64, text: &[u8]) -> String {
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        let mut line = String::with_capacity(text.len() + 160);
        let mut quoted = |before: &str, value: &[u8], after: &str| {
            line.push_str(before);
            escape::push(&mut line, value);
            line.push_str(after);
        };
        let (route, module) = (self.name.route.as_bytes(), self.name.module.as_bytes());
        match self.format {
            LogFormat::Text => {
                quoted(&format!("{time} stderr \""), text, "\"");
                quoted(" route=\"", route, "\"");
                quoted(" module=\"", module, &format!("\" id={request:016x}\n"));
            }
            LogFormat::Json => {
                let id = format!("{{\"time\":\"{time}\",\"kind\":\"stderr\",\"request_id\":\"{request:016x}\"");
                quoted(&format!("{id},\"text\":\""), text, "\"");
                quoted(",\"route\":\"", route, "\"");
                quoted(",\"module\":\"", module, "\"}\n");
            }
        }
        line
    }
}

impl StderrSink for GuestLog {
    fn write(&self, request: u64, text: &[u8]) {
        if let Some(file) = &self.file {
            file.append(text);
        }
        let lines = text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let tagged: String = lines.map(|line| self.line(request, line)).collect();
        self.writer.push(tagged.as_bytes());
    }

    fn count_call(&self, result: CallResult, took: Duration) {
        self.name.counters().iter().for_each(|counters| counters.add_call(result, took));
    }

    fn count_cpu_time(&self, time: Duration) {
        self.name.counters().iter().for_each(|counters| counters.add_cpu_time(time));
    }

    fn debugging(&self) -> Option<&Debugging> {
        Some(&self.debugging)
    }
}

/// The bytes that may wait to be written to files.
const BUFFER_LIMIT: usize = 8 << 20;

/// How long a process that ends waits for its last texts, and how often it looks.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
const FLUSH_DELAY: Duration = Duration::from_millis(2);

/// The file of one route. Text that cannot be written in time is dropped, never waited for.
#[derive(Clone)]
pub struct LogFile {
    file: Arc<AppendedFile>,
    writer: LogFileWriter,
}

/// Opens the file of a route. Makes the directory above it if there is none.
fn open_file(path: &Path) -> io::Result<File> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    regular_file::open_to_append(path)
}

/// How many lines a text has. The last one may have no end.
fn lines(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte == b'\n').count().max(1) as u64
}

/// A text for one of the files.
struct Append {
    file: Arc<AppendedFile>,
    text: Vec<u8>,
}

/// A handle to the thread that writes all files.
#[derive(Clone)]
struct LogFileWriter {
    appends: Sender<Append>,
    waiting: Arc<AtomicUsize>,
    too_slow: Arc<WarningInterval>,
    /// The lines that are missing in the files.
    dropped: Arc<AtomicU64>,
}

impl LogFile {
    fn append(&self, text: &[u8]) {
        let LogFileWriter { appends, waiting, too_slow, dropped } = &self.writer;
        if waiting.fetch_add(text.len(), Ordering::Relaxed) > BUFFER_LIMIT {
            waiting.fetch_sub(text.len(), Ordering::Relaxed);
            dropped.fetch_add(lines(text), Ordering::Relaxed);
            if too_slow.is_over() {
                tracing::warn!("the disk is too slow for what guests print on stderr: some of it is dropped");
            }
        } else if appends.send(Append { file: self.file.clone(), text: text.to_owned() }).is_err() {
            tracing::warn!("the thread that writes log files is gone");
        }
    }
}

/// The log directory, in WAGI 0.8's layout. Clones are the same directory.
#[derive(Clone)]
pub struct LogDirectory {
    path: PathBuf,
    files: Arc<Mutex<LogFiles>>,
    writer: LogFileWriter,
}

/// The files that are open.
#[derive(Default)]
struct LogFiles {
    /// The lines of the index, as far as they are known.
    index: String,
    by_path: HashMap<PathBuf, Weak<AppendedFile>>,
}

impl LogDirectory {
    /// Creates the directory if there is none, and starts the thread that writes its files.
    pub fn create(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let (appends, received) = channel::<Append>();
        let waiting = Arc::new(AtomicUsize::new(0));
        let dropped: Arc<AtomicU64> = Arc::default();
        let (written, missing) = (waiting.clone(), dropped.clone());
        // One thread writes all files: a disk that stands still must block nothing else.
        thread::Builder::new().name("wagi-guest-log".into()).spawn(move || {
            let failed = WarningInterval::default();
            for Append { file, text } in received {
                file.append(&text, |error| {
                    missing.fetch_add(lines(&text), Ordering::Relaxed);
                    if failed.is_over() {
                        let path = file.path().display();
                        tracing::warn!(%path, %error, "cannot write to a log file: what guests print is missing in it");
                    }
                    AfterError::GiveUp
                });
                written.fetch_sub(text.len(), Ordering::Relaxed);
            }
        })?;
        let writer = LogFileWriter { appends, waiting, too_slow: Arc::default(), dropped };
        Ok(Self { path: path.to_owned(), files: Arc::default(), writer })
    }

    /// How many lines are missing in its files: the disk was too slow, or full.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        self.writer.dropped.clone()
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn files(&self) -> MutexGuard<'_, LogFiles> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the file of a route, at its end. Two modules on one route share it, and so do two configurations.
    pub fn open(&self, route: &str) -> io::Result<LogFile> {
        let hash = sha256_hex(route.as_bytes());
        let path = self.path.join(&hash).join("module.stderr");
        let mut files = self.files();
        let mut entry = format!("{hash}\t");
        escape::push(&mut entry, route.as_bytes());
        entry.push('\n');
        if !files.index.contains(&entry) {
            files.index.push_str(&entry);
        }
        let file = match files.by_path.get(&path).and_then(Weak::upgrade) {
            Some(file) => file,
            None => {
                let file = Arc::new(AppendedFile::new(&path, open_file)?);
                files.by_path.insert(path, Arc::downgrade(&file));
                file
            }
        };
        Ok(LogFile { file, writer: self.writer.clone() })
    }

    /// Waits until all text is written, but not for long.
    pub fn flush(&self) {
        let begun = Instant::now();
        while self.writer.waiting.load(Ordering::Relaxed) > 0 && begun.elapsed() < FLUSH_TIMEOUT {
            thread::sleep(FLUSH_DELAY);
        }
    }

    /// Opens all files again, where they were. A file that cannot be opened is logged, and its text goes where it went.
    pub fn reopen(&self) {
        let mut files = self.files();
        files.by_path.retain(|_, file| file.strong_count() > 0);
        for file in files.by_path.values().filter_map(Weak::upgrade) {
            file.reopen();
        }
        drop(files);
        if let Err(error) = self.write_index() {
            tracing::warn!(directory = %self.path.display(), %error, "cannot write the index of the log directory");
        }
    }

    /// Writes the index. Routes of earlier starts keep their lines.
    pub fn write_index(&self) -> io::Result<()> {
        let path = self.path.join(INDEX);
        let before = regular_file::read(&path, u64::MAX).unwrap_or_default();
        let before = String::from_utf8_lossy(&before);
        let new: String =
            self.files().index.lines().filter(|line| !before.contains(line)).map(|line| format!("{line}\n")).collect();
        regular_file::open_to_append(&path)?.write_all(new.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::stderr_log::*;

    #[test]
    fn the_directory_is_the_hash_of_the_pattern() {
        let cases = [
            ("/", "8a5edab282632443219e051e4ade2d1d5bbc671c781051bf1437897cbdfea0f1"),
            ("/hello", "13a7bc88b63d361f5752d7ef3f5c96cd262ef580e6f435cced6bd10ec82842b0"),
            ("/static/...", "d6be14a4dca778e1268075b80c1eb146da34f7da829683491b9dc33083e34932"),
            ("/foo/...", "bb1fa14fb92de66d3b469dc3978640d6c603cdfa79913d5d0f204db8477b305f"),
        ];
        for (pattern, hash) in cases {
            assert_eq!(sha256_hex(pattern.as_bytes()), hash);
        }
    }

    #[test]
    fn of_a_text_that_a_full_disk_does_not_take_each_line_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let log = LogDirectory::create(directory.path()).unwrap();
        let full = AppendedFile::new(Path::new("/dev/full"), regular_file::open_log).expect("Linux has it");
        let file = LogFile { file: Arc::new(full), writer: log.writer.clone() };
        file.append(b"one\ntwo\nthree\n");
        while log.writer.waiting.load(Ordering::Relaxed) > 0 {
            log.flush();
        }
        assert_eq!(log.dropped().load(Ordering::Relaxed), 3);
    }

    #[test]
    fn the_index_names_each_route_once_over_several_starts() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let log = LogDirectory::create(directory.path()).unwrap();
            log.open("/hello").unwrap();
            log.open("/hello").unwrap();
            log.open("/").unwrap();
            log.write_index().unwrap();
        }
        let index = fs::read_to_string(directory.path().join(INDEX)).unwrap();
        let routes: Vec<&str> = index.lines().filter_map(|line| line.split('\t').nth(1)).collect();
        assert_eq!(routes, ["/hello", "/"]);
    }
}
