//! What does the log say of the requests of `wagi run`? Called by the parent.
//!
//! The gateway writes its log as JSON, of which people get what they need: what guests print on standard error at once, events of
//! the server as messages, and the line about a request when it is over.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::cli::terminal::json_lines::{JsonLines, event, text};
use crate::cli::terminal::print_lines;

/// The standard error of guests that is kept for the output in JSON.
const MAX_KEPT: usize = 1 << 20;

/// The log, as far as it was written. Clones are the same log.
#[derive(Clone, Default)]
pub(super) struct RunLog(Arc<Mutex<LogContent>>);

#[derive(Default)]
struct LogContent {
    lines: JsonLines,
    stderr: String,
    requests: Vec<FinishedRequest>,
    echo: StderrEcho,
}

/// Whether what guests print on standard error goes to that of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum StderrEcho {
    #[default]
    On,
    /// It is kept for the result.
    Off,
}

/// What the log says about a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FinishedRequest {
    pub end: String,
    pub reason: Option<String>,
    pub route: Option<String>,
    pub module: Option<String>,
    pub total_us: u64,
    pub guest_us: u64,
}

impl RunLog {
    pub fn with_echo(echo: StderrEcho) -> Self {
        let log = Self::default();
        log.content().echo = echo;
        log
    }

    fn content(&self) -> MutexGuard<'_, LogContent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is known about requests that are over.
    pub fn take_requests(&self) -> Vec<FinishedRequest> {
        std::mem::take(&mut self.content().requests)
    }

    /// What guests have printed on standard error, without what is too much to keep.
    pub fn stderr(&self) -> String {
        self.content().stderr.clone()
    }
}

impl Write for RunLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut content = self.content();
        for line in content.lines.push(bytes) {
            content.take_line(&line);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LogContent {
    fn take_line(&mut self, line: &Value) {
        let text = |key: &str| text(line, key).map(str::to_owned);
        let number = |key: &str| line.get(key).and_then(Value::as_u64).unwrap_or_default();
        match text("kind").as_deref() {
            Some("stderr") => self.take_stderr(&text("text").unwrap_or_default()),
            Some("access") => self.requests.push(FinishedRequest {
                end: text("end").unwrap_or_default(),
                reason: text("reason"),
                route: text("route"),
                module: text("module"),
                total_us: number("total_us"),
                guest_us: number("guest_us"),
            }),
            _ => print_lines(&event(line)),
        }
    }

    fn take_stderr(&mut self, text: &str) {
        match self.echo {
            StderrEcho::On => print_lines(text),
            StderrEcho::Off if self.stderr.len() + text.len() < MAX_KEPT => {
                self.stderr.push_str(text);
                self.stderr.push('\n');
            }
            StderrEcho::Off => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::run::run_log::*;

    #[test]
    fn lines_are_taken_as_they_are_complete() {
        let mut log = RunLog::with_echo(StderrEcho::Off);
        let lines = concat!(
            r#"{"kind":"stderr","text":"one"}"#,
            "\n",
            r#"{"kind":"access","end":"trap","reason":"r","total_us":12,"guest_us":3,"route":"/...","module":"m"}"#,
            "\n",
            r#"{"kind":"stderr","text":"two"}"#,
        );
        let (begin, end) = lines.split_at(40);
        for part in [begin, end] {
            log.write_all(part.as_bytes()).expect("memory can be written");
        }
        assert_eq!(log.stderr(), "one\n");
        let (end, reason) = ("trap".to_owned(), Some("r".to_owned()));
        let (route, module) = (Some("/...".to_owned()), Some("m".to_owned()));
        let expected = FinishedRequest { end, reason, route, module, total_us: 12, guest_us: 3 };
        assert_eq!(log.take_requests(), [expected]);
        assert_eq!(log.take_requests(), []);
        log.write_all(b"\nno JSON\n").expect("memory can be written");
        assert_eq!(log.stderr(), "one\ntwo\n");
    }
}
