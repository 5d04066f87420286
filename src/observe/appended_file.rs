//! How is a log file written that is moved away meanwhile, or whose disk is full?
//!
//! The file is opened again at its path when the operator asks for it. Until then, lines go to the file that was opened before,
//! wherever it is now. Each line is in one file as a whole: if the disk has room for the beginning of a line only, the beginning
//! is taken back.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A file that grows at its end only.
pub(super) struct AppendedFile {
    path: PathBuf,
    open: fn(&Path) -> io::Result<File>,
    file: Mutex<Arc<File>>,
    reopened: Condvar,
}

/// What follows after the system has refused to take text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterError {
    TryAgain,
    GiveUp,
}

impl AppendedFile {
    /// Opens the file at `path` with `open`, now and each time that it is opened again.
    pub fn new(path: &Path, open: fn(&Path) -> io::Result<File>) -> io::Result<Self> {
        let file = Mutex::new(Arc::new(open(path)?));
        Ok(Self { path: path.to_owned(), open, file, reopened: Condvar::new() })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self) -> MutexGuard<'_, Arc<File>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the file again at its path. If that fails, the file before stays in use, and a warning says so. Waits for no write.
    pub fn reopen(&self) {
        match (self.open)(&self.path) {
            Ok(file) => {
                *self.lock() = Arc::new(file);
                self.reopened.notify_all();
            }
            Err(error) => {
                let path = self.path.display();
                tracing::warn!(%path, %error, "cannot open a log file again: the one before stays in use");
            }
        }
    }

    /// Waits until the file is opened again, but not longer than `timeout`.
    pub fn wait_for_reopening(&self, timeout: Duration) {
        drop(self.reopened.wait_timeout(self.lock(), timeout));
    }

    /// Appends lines. Asks `on_error` when the system does not take them.
    pub fn append(&self, lines: &[u8], mut on_error: impl FnMut(&io::Error) -> AfterError) {
        let mut file = self.lock().clone();
        let mut written = 0;
        while let Some(rest @ [_, ..]) = lines.get(written..) {
            let error = match (&*file).write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(count) => {
                    written += count;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            let whole = written - last_line(&lines[..written]).len();
            if take_back(&file, written - whole) {
                written = whole;
            }
            if on_error(&error) == AfterError::GiveUp {
                return;
            }
            let current = self.lock().clone();
            if !Arc::ptr_eq(&current, &file) {
                (file, written) = (current, whole);
            }
        }
    }
}

/// What stands behind the last line end.
fn last_line(text: &[u8]) -> &[u8] {
    text.rsplit(|byte| *byte == b'\n').next().unwrap_or_default()
}

/// Removes the last bytes of the file. They must be ours: where another process has appended something since, they stay.
fn take_back(mut file: &File, count: usize) -> bool {
    if count == 0 {
        return true;
    }
    // Appending leaves the position behind what was written.
    let (Ok(metadata), Ok(position)) = (file.metadata(), file.stream_position()) else { return false };
    let is_last = metadata.is_file() && metadata.len() == position;
    is_last && position.checked_sub(count as u64).is_some_and(|length| file.set_len(length).is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::observe::appended_file::*;
    use crate::regular_file;

    fn read(path: &Path) -> String {
        fs::read_to_string(path).expect("it is there")
    }

    fn never(error: &io::Error) -> AfterError {
        panic!("{error}")
    }

    #[test]
    fn lines_go_to_the_file_that_was_opened_last() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (path, moved) = (directory.path().join("log"), directory.path().join("log.1"));
        let file = AppendedFile::new(&path, regular_file::open_log).expect("a file");
        file.append(b"one\n", never);
        fs::rename(&path, &moved).expect("it is there");
        file.append(b"two\n", never);
        file.reopen();
        file.append(b"three\n", never);
        assert_eq!((read(&moved).as_str(), read(&path).as_str()), ("one\ntwo\n", "three\n"));
    }

    #[test]
    fn a_file_that_cannot_be_opened_again_stays_in_use() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (path, moved) = (directory.path().join("log"), directory.path().join("log.1"));
        let file = AppendedFile::new(&path, regular_file::open_log).expect("a file");
        fs::rename(&path, &moved).expect("it is there");
        fs::create_dir(&path).expect("a directory can be made");
        file.reopen();
        file.append(b"one\n", never);
        assert_eq!(read(&moved), "one\n");
    }

    #[test]
    fn the_beginning_of_a_line_is_taken_back_unless_others_have_appended() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("log");
        let file = regular_file::open_log(&path).expect("a file");
        (&file).write_all(b"one\ntw").expect("writable");
        assert!(take_back(&file, 2) && take_back(&file, 0));
        assert_eq!(read(&path), "one\n");
        (&file).write_all(b"tw").expect("writable");
        regular_file::open_log(&path).expect("a file").write_all(b"other\n").expect("writable");
        assert!(!take_back(&file, 2));
        assert_eq!(read(&path), "one\ntwother\n");
    }

    #[test]
    fn the_last_line_is_what_has_no_end() {
        for (text, expected) in [("", ""), ("a", "a"), ("a\n", ""), ("a\nb\nc", "c")] {
            assert_eq!(last_line(text.as_bytes()), expected.as_bytes());
        }
    }

    #[test]
    fn what_a_full_device_refuses_is_offered_again_or_given_up() {
        let file = AppendedFile::new(Path::new("/dev/full"), regular_file::open_log).expect("Linux has it");
        let mut errors = 0;
        file.append(b"one\n", |_| {
            errors += 1;
            if errors < 3 { AfterError::TryAgain } else { AfterError::GiveUp }
        });
        assert_eq!(errors, 3);
    }
}
