//! What does a developer see of requests and guests? A line for each, as they come. Called by the parent.

use std::io::{self, Write};
use std::sync::Arc;

use serde_json::Value;

use wagi::printable;

use crate::cli::commands::dev::state::DevState;
use crate::cli::terminal::json_lines::{JsonLines, text};

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
            print(&shown(&line));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Prints lines on standard error. There is no other place for what cannot be written there.
pub(super) fn print(lines: &str) {
    let _ = writeln!(io::stderr(), "{}", printable::lines(lines));
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

fn event(line: &Value) -> String {
    let field = |key: &str| line.get("fields").and_then(|fields| fields.get(key));
    let field_text = |key: &str| field(key).and_then(Value::as_str);
    let (level, message) = (text(line, "level").unwrap_or_default(), text(line, "message").unwrap_or_default());
    let level = if level == "warn" { "warning" } else { level };
    let mut shown = format!("{level}: {message}");
    if let (Some(file), Some(line)) = (field_text("file"), field("line")) {
        shown += &format!("\n  --> {file}:{line}:{}", field("column").cloned().unwrap_or_default());
    }
    for (name, key) in [("caused by", "causes"), ("help", "help")] {
        if let Some(text) = field_text(key) {
            shown += &format!("\n  {name}: {text}");
        }
    }
    shown
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
        let fields = json!({ "file": "m.toml", "line": 3, "column": 5, "help": "h" });
        let event = json!({ "kind": "event", "level": "warn", "message": "m", "fields": fields });
        assert_eq!(shown(&event), "warning: m\n  --> m.toml:3:5\n  help: h");
    }
}
