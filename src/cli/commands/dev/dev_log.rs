//! What does a developer see of requests and guests? A line for each, as they come. Called by the parent.

use std::io::{self, Write};
use std::sync::Arc;

use serde_json::Value;

use crate::cli::commands::dev::state::DevState;
use crate::cli::terminal::json_lines::{JsonLines, event, text};
use crate::cli::terminal::print_lines;

/// The log of the gateway, as lines on standard error.
pub(super) struct DevLog {
    lines: JsonLines,
    state: Arc<DevState>,
}

impl DevLog {
    pub fn new(state: Arc<DevState>) -> Self {
        Self { lines: JsonLines::default(), state }
    }
}

impl Write for DevLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for line in self.lines.push(bytes) {
            if let (Some("stderr"), Some(printed)) = (text(&line, "kind"), text(&line, "text")) {
                self.state.keep_stderr(printed);
            }
            print_lines(&shown(&line));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line of the log, for people.
fn shown(line: &Value) -> String {
    let of = |key: &str| text(line, key).unwrap_or_default();
    let number = |key: &str| line.get(key).and_then(Value::as_u64).unwrap_or_default();
    match of("kind") {
        "stderr" => format!("  {}", of("text")),
        "access" => {
            let took = number("total_us");
            let reason = text(line, "reason").map(|reason| format!("\n  {}: {reason}", of("end"))).unwrap_or_default();
            let (method, target, status) = (of("method"), of("target"), number("status"));
            format!("{method} {target} {status} {}.{:01} ms{reason}", took / 1000, took % 1000 / 100)
        }
        _ => event(line),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cli::commands::dev::dev_log::*;

    #[test]
    fn each_kind_of_line_is_shown_for_people() {
        let access = json!({ "kind": "access", "method": "GET", "target": "/a", "status": 500, "total_us": 1890, "end": "trap", "reason": "r" });
        assert_eq!(shown(&access), "GET /a 500 1.8 ms\n  trap: r");
        assert_eq!(shown(&json!({ "kind": "stderr", "text": "one" })), "  one");
    }
}
