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

    /// What went wrong. That the reader has gone is no failure.
    pub fn finish(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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
        let incomplete = self.rest.utf8_chunks().last().map_or(0, |chunk| chunk.invalid().len());
        // A character has four bytes at most: what is longer is none.
        let is_beginning =
            incomplete < 4 && std::str::from_utf8(&self.rest).is_err_and(|error| error.error_len().is_none());
        let end = if is_beginning { self.rest.len() - incomplete } else { self.rest.len() };
        let rest = self.rest.split_off(end);
        String::from_utf8_lossy(&std::mem::replace(&mut self.rest, rest)).into_owned()
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
    }
}
