//! How do bytes of a guest get to standard output? As they are, unless it is a terminal, which gets them escaped. Called by the parent.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, StatusCode};

use wagi::printable;

/// Standard output. Clones write to the same one.
#[derive(Clone)]
pub(super) struct OutputPrinter(Arc<Mutex<PrinterState>>);

struct PrinterState {
    destination: OutputKind,
    /// The beginning of a character that is not complete.
    rest: Vec<u8>,
    /// What went wrong first. Nothing is written after that.
    error: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutputKind {
    Terminal,
    Other,
}

impl OutputPrinter {
    pub fn to_stdout() -> Self {
        let destination = if io::stdout().is_terminal() { OutputKind::Terminal } else { OutputKind::Other };
        Self(Arc::new(Mutex::new(PrinterState { destination, rest: Vec::new(), error: None })))
    }

    /// Prints bytes of a guest.
    pub fn print(&self, bytes: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.error.is_some() {
            return;
        }
        let written = match state.destination {
            OutputKind::Other => write_stdout(bytes),
            OutputKind::Terminal => {
                let text = state.complete(bytes);
                write_stdout(printable::lines(&text).as_bytes())
            }
        };
        state.error = written.err();
    }

    /// Prints status line and header fields, as they are in HTTP/1.1.
    pub fn print_head(&self, status: StatusCode, fields: &HeaderMap) {
        let mut head =
            format!("HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or("")).into_bytes();
        for (name, value) in fields {
            head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        let is_terminal = self.0.lock().unwrap_or_else(PoisonError::into_inner).destination == OutputKind::Terminal;
        if is_terminal {
            head.retain(|&byte| byte != b'\r');
        }
        self.print(&head);
    }

    /// Whether nothing is written any more: the reader has gone, or there is no room.
    pub fn is_gone(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).error.is_some()
    }

    /// Prints what is left, and says what went wrong. That the reader has gone is no failure.
    pub fn finish(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = state.incomplete();
        if state.error.is_none() && !rest.is_empty() {
            state.error = write_stdout(rest.as_bytes()).err();
        }
        match state.error.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(()),
        }
    }
}

impl PrinterState {
    /// The characters that are complete with these bytes.
    fn complete(&mut self, bytes: &[u8]) -> String {
        self.rest.extend_from_slice(bytes);
        let last = self.rest.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
        let is_beginning = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
        let kept = if is_beginning { last.len() } else { 0 };
        let rest = self.rest.split_off(self.rest.len() - kept);
        String::from_utf8_lossy(&std::mem::replace(&mut self.rest, rest)).into_owned()
    }

    /// A character that is not complete, after which there are no more bytes.
    fn incomplete(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned()
    }
}

fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::run::printer::*;

    #[test]
    fn a_character_in_two_pieces_is_one_character() {
        let mut state = PrinterState { destination: OutputKind::Terminal, rest: Vec::new(), error: None };
        let pieces: [&[u8]; 5] = [b"a\xc3", b"\xa9", b"\xff", b"\xf0\x9f", b"b"];
        let printed: Vec<String> = pieces.iter().map(|piece| state.complete(piece)).collect();
        assert_eq!(printed, ["a", "é", "\u{fffd}", "", "\u{fffd}b"]);
        // Also behind a byte that is none, and at the end.
        let pieces: [&[u8]; 3] = [b"\xffa\xc3", b"\xa9", b"b\xe2\x82"];
        let printed: Vec<String> = pieces.iter().map(|piece| state.complete(piece)).collect();
        assert_eq!(printed, ["\u{fffd}a", "é", "b"]);
        assert_eq!([state.incomplete(), state.incomplete()], ["\u{fffd}", ""]);
    }
}
