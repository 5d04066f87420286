//! Where does the output on stderr go?
//!
//! Line by line to the guest's log, up to a limit. What is over the limit is dropped, because a log must never hold up a
//! request.

use std::sync::Arc;
use std::time::Duration;

use crate::outbound::CallResult;

use crate::runtime::instance::debug::Debugging;

/// A log for what a guest prints on stderr, and for the calls that it makes.
pub trait StderrSink: Send + Sync {
    /// Writes complete lines or, at the end of a run, the rest of the last line. Must not block.
    fn write(&self, request: u64, text: &[u8]);

    /// Counts a call of the guest to an upstream.
    fn count_call(&self, _result: CallResult, _took: Duration) {}

    /// Counts CPU time of a guest that went on after the end of its response.
    fn count_cpu_time(&self, _time: Duration) {}

    /// What is kept of guests that trap or compute for long.
    fn debugging(&self) -> Option<&Debugging> {
        None
    }
}

/// The guest's error stream: cut into lines, limited, written to the guest's log.
pub(in crate::runtime) struct Stderr {
    log: Option<Arc<dyn StderrSink>>,
    request: u64,
    /// How many bytes the log still takes.
    remaining: usize,
    is_full: bool,
    line: Vec<u8>,
    /// The notes that were written: one of each kind in a run.
    noted: [bool; 5],
    /// The end of what was printed, and a little before it.
    end: Vec<u8>,
}

/// How much of the end of what a guest has printed is kept for the case that it fails.
const KEPT_END: usize = 4 * 1024;

/// What a run's log notes about its guest, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Memory or table space was not granted.
    Memory,
    /// A call to a server was not allowed.
    Call,
    /// A file outside of the volumes was asked for.
    File,
    /// The output does not begin with a head.
    Head,
    /// The request has failed, and there is a cure.
    Help,
}

/// What the C library, and the standard libraries above it, print about a path that is in no volume.
const NOT_GRANTED: [&[u8]; 3] =
    [b"Capabilities insufficient", b"failed to find a pre-opened file descriptor", b"os error 76"];

/// The longest path that a note repeats.
const MAX_PATH: usize = 200;

/// The bytes that a line is charged besides its text: about what the log writes around it.
const LINE_OVERHEAD: usize = 32;

/// The length from which a line is written before it is complete.
const MAX_LINE_LENGTH: usize = 4 * 1024;

impl Stderr {
    /// The stream of a run that the log knows by the number `request`, cut after `limit` bytes.
    pub fn new(log: Option<Arc<dyn StderrSink>>, request: u64, limit: usize) -> Self {
        Self { log, request, remaining: limit, is_full: false, line: Vec::new(), noted: [false; 5], end: Vec::new() }
    }

    /// The last 4 KiB of what was printed, with the notes of the host.
    pub fn end(&self) -> &[u8] {
        &self.end[self.end.len().saturating_sub(KEPT_END)..]
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.end.extend_from_slice(&bytes[bytes.len().saturating_sub(KEPT_END)..]);
        if self.end.len() > 2 * KEPT_END {
            self.end.drain(..self.end.len() - KEPT_END);
        }
    }

    /// Writes to the log; what is over the limit is dropped, with one note in the log.
    pub fn write(&mut self, bytes: &[u8]) {
        self.keep(bytes);
        let Some(log) = &self.log else { return };
        if self.is_full {
            return;
        }
        let is_not_granted = |start: &[u8]| bytes.windows(start.len()).any(|window| window == start);
        let is_not_granted = !self.noted[Note::File as usize] && NOT_GRANTED.into_iter().any(is_not_granted);
        let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
        let room = self.remaining.saturating_sub(lines.saturating_mul(LINE_OVERHEAD)).min(bytes.len());
        self.is_full = room < bytes.len();
        self.remaining = self.remaining.saturating_sub(bytes.len().saturating_add(lines.saturating_mul(LINE_OVERHEAD)));
        self.line.extend_from_slice(&bytes[..room]);
        if self.is_full {
            self.line.extend_from_slice(b"\n[more was printed than the limit allows: the rest is dropped]\n");
        }
        let complete = match self.line.iter().rposition(|&byte| byte == b'\n') {
            Some(newline) => newline + 1,
            None if self.line.len() > MAX_LINE_LENGTH => self.line.len(),
            None => 0,
        };
        if complete > 0 {
            log.write(self.request, &self.line[..complete]);
            self.line.drain(..complete);
        }
        if is_not_granted {
            self.note(Note::File, || not_granted(bytes));
        }
    }

    /// Counts CPU time after the end of the response.
    pub fn count_cpu_time(&self, time: Duration) {
        self.log.iter().for_each(|log| log.count_cpu_time(time));
    }

    /// The number of the request, and what is kept of a guest that traps.
    pub fn debugging(&self) -> (u64, Option<Debugging>) {
        (self.request, self.log.as_ref().and_then(|log| log.debugging()).cloned())
    }

    /// Counts a call of the guest to an upstream.
    pub fn count_call(&self, result: CallResult, took: Duration) {
        self.log.iter().for_each(|log| log.count_call(result, took));
    }

    /// Writes a line of the host to the log, in brackets, unless the run already has a note of this kind. It does not count
    /// towards the limit.
    pub fn note(&mut self, note: Note, text: impl FnOnce() -> String) {
        let Some(log) = &self.log else { return };
        if !std::mem::replace(&mut self.noted[note as usize], true) {
            let line = format!("[{}]\n", text());
            log.write(self.request, line.as_bytes());
            self.keep(line.as_bytes());
        }
    }
}

/// The note about a file that was not granted. Many libraries print its path, in quotation marks or behind `open`.
fn not_granted(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let quoted = |mark: char| text.split(mark).skip(1).step_by(2).find(|inside| inside.starts_with('/'));
    let opened = || text.split_once("open ")?.1.split_once(": ").map(|(path, _)| path);
    let path = quoted('"').or_else(|| quoted('\'')).or_else(opened);
    let path = path.filter(|path| path.starts_with('/') && path.len() <= MAX_PATH && !path.contains(char::is_control));
    let Some(path) = path else { return "a file is in none of the volumes of this entry: see `volumes`".to_owned() };
    let directory = path.rsplit_once('/').map_or("/", |(above, _)| if above.is_empty() { "/" } else { above });
    format!(
        "open `{path}`: it is in none of the volumes of this entry; add `volumes = {{ \"{directory}\" = \"DIR\" }}`"
    )
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
    use std::sync::Mutex;

    use crate::runtime::instance::stderr::*;

    #[test]
    fn errors_reach_the_log_line_by_line_and_the_rest_at_the_end() {
        #[derive(Default)]
        struct Lines(Mutex<Vec<(u64, String)>>);
        impl StderrSink for Lines {
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
        let mut stderr = Stderr::new(Some(lines.clone()), 8, 1_000);
        stderr.write(b"open x: Capabilities insufficient\n");
        stderr.write(b"open y: Capabilities insufficient\n");
        stderr.note(Note::Memory, || "memory".to_owned());
        stderr.note(Note::Memory, || "memory".to_owned());
        let text: String = lines.0.lock().unwrap().iter().skip(3).map(|(_, text)| text.as_str()).collect();
        assert_eq!(text.matches("[a file is in none of the volumes").count(), 1);
        assert_eq!(text.matches("[memory]\n").count(), 1);
    }
    #[test]
    fn the_end_of_what_was_printed_is_kept_whatever_the_limit_is() {
        let mut stderr = Stderr::new(None, 7, 10);
        assert_eq!(stderr.end(), b"");
        for number in 0..5_000 {
            stderr.write(format!("{number}\n").as_bytes());
        }
        assert_eq!(stderr.end().len(), KEPT_END);
        assert!(stderr.end().ends_with(b"\n4998\n4999\n"));
        stderr.write(&[b'x'; 100_000]);
        assert_eq!(stderr.end(), [b'x'; KEPT_END]);
    }
}
