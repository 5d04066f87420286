//! How does the log of the gateway, which is JSON, become values, and text for people? Line by line, as it is written.

use serde_json::Value;

/// The bytes of a line that has no end yet. The gateway writes shorter ones.
const MAX_LINE: usize = 1 << 20;

/// Bytes of a log, cut into lines.
#[derive(Default)]
pub struct JsonLines {
    rest: Vec<u8>,
}

impl JsonLines {
    /// Takes more bytes, and returns the lines that are complete with them. Lines that are no JSON are left out.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Value> {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else {
            if self.rest.len() > MAX_LINE {
                self.rest.clear();
            }
            return Vec::new();
        };
        let rest = self.rest.split_off(end + 1);
        let complete = std::mem::replace(&mut self.rest, rest);
        complete.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }
}

/// The text at a key of a line.
pub fn text<'a>(line: &'a Value, key: &str) -> Option<&'a str> {
    line.get(key).and_then(Value::as_str)
}

/// An event for people: what, where, why, and what to do.
pub fn event(line: &Value) -> String {
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
    use crate::cli::terminal::json_lines::*;

    #[test]
    fn lines_are_values_when_they_are_complete() {
        let mut lines = JsonLines::default();
        assert_eq!(lines.push(b"{\"a\":\"1\"}\n{\"b\""), [serde_json::json!({ "a": "1" })]);
        assert!(lines.push(b":2").is_empty());
        let found = lines.push(b"}\nno JSON\n");
        assert_eq!((found.len(), text(&found[0], "b")), (1, None));
    }

    #[test]
    fn an_event_is_shown_with_its_place_and_its_help() {
        let fields = serde_json::json!({ "file": "m.toml", "line": 3, "column": 5, "help": "h" });
        let line = serde_json::json!({ "kind": "event", "level": "warn", "message": "m", "fields": fields });
        assert_eq!(event(&line), "warning: m\n  --> m.toml:3:5\n  help: h");
    }
}
