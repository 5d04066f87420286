//! What does the log say about a request?
//!
//! One line when it is over, whatever became of it: who asked for what, which route and module answered with which status,
//! how many bytes were sent, how long it all took, how much of that the guest computed, and how the guest ended.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode, Uri, Version};

use crate::config::LogFormat;
use crate::format::{http_version, push_address, push_number};

use crate::observe::log_writer::LogWriter;
use crate::observe::{escape, time};

/// What a route is called in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteName {
    /// The pattern, as `/hello/...`.
    pub route: String,
    /// The module, as it was referred to.
    pub module: String,
}

/// The log of requests.
#[derive(Clone)]
pub struct AccessLog {
    lines: Option<LogWriter>,
    format: LogFormat,
}

impl AccessLog {
    /// A log in this format.
    pub fn new(lines: LogWriter, format: LogFormat) -> Self {
        Self { lines: Some(lines), format }
    }

    /// A log nobody keeps.
    pub fn none() -> Self {
        Self { lines: None, format: LogFormat::Text }
    }
}

/// Room for a line, so that most need one allocation.
const TYPICAL_LINE: usize = 384;

/// What stands in the log for a status when the client left before there was one; no client ever sees it.
const CLIENT_GONE: u16 = 499;

/// What is known of a request so far. Written to the log when it is dropped.
pub struct Record {
    log: AccessLog,
    id: u64,
    started: Instant,
    client: IpAddr,
    method: Method,
    uri: Uri,
    version: Version,
    /// The route that matched, if one did.
    pub route: Option<Arc<RouteName>>,
    /// The status sent, if it came to that.
    status: Option<StatusCode>,
    /// Body bytes handed to the connection.
    pub bytes: u64,
    /// What the guest computed.
    pub cpu_time: Duration,
    /// How the guest ended, in a word.
    pub ending: &'static str,
    /// Why the request failed, if it did.
    pub reason: Option<String>,
}

impl Record {
    /// A request that has just come in.
    pub fn open(log: &AccessLog, id: u64, client: IpAddr, method: Method, uri: Uri, version: Version) -> Self {
        Self {
            log: log.clone(),
            id,
            started: Instant::now(),
            client,
            method,
            uri,
            version,
            route: None,
            status: None,
            bytes: 0,
            cpu_time: Duration::ZERO,
            ending: "client-gone",
            reason: None,
        }
    }

    /// The number the request is known by.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The head of an answer is on its way; a request of which this is never said was left by its client.
    pub fn answered(&mut self, status: StatusCode, ending: &'static str) {
        self.status = Some(status);
        self.ending = ending;
    }

    fn status(&self) -> u16 {
        self.status.map_or(CLIENT_GONE, |status| status.as_u16())
    }

    fn write_text(&self, line: &mut String) -> std::fmt::Result {
        time::push_now(line)?;
        line.push(' ');
        push_address(line, self.client);
        push_all(line, &[" \"", self.method.as_str(), " "]);
        escape::push(line, self.target().as_bytes());
        push_all(line, &[" ", http_version(self.version), "\" "]);
        push_number(line, self.status().into());
        line.push(' ');
        push_number(line, self.bytes);
        line.push_str("B ");
        push_number(line, micros(self.started.elapsed()));
        line.push_str("us guest=");
        push_number(line, micros(self.cpu_time));
        push_all(line, &["us end=", self.ending]);
        for (key, value) in self.words() {
            push_all(line, &[" ", key, "=\""]);
            escape::push(line, value.as_bytes());
            line.push('"');
        }
        line.push_str(" id=");
        push_id(line, self.id);
        line.push('\n');
        Ok(())
    }

    fn write_json(&self, line: &mut String) -> std::fmt::Result {
        line.push_str("{\"time\":\"");
        time::push_now(line)?;
        line.push_str("\",\"kind\":\"access\",\"request_id\":\"");
        push_id(line, self.id);
        line.push_str("\",\"client\":\"");
        push_address(line, self.client);
        push_all(line, &["\",\"method\":\"", self.method.as_str(), "\",\"target\":\""]);
        escape::push(line, self.target().as_bytes());
        push_all(line, &["\",\"version\":\"", http_version(self.version), "\",\"status\":"]);
        push_number(line, self.status().into());
        line.push_str(",\"bytes\":");
        push_number(line, self.bytes);
        line.push_str(",\"total_us\":");
        push_number(line, micros(self.started.elapsed()));
        line.push_str(",\"guest_us\":");
        push_number(line, micros(self.cpu_time));
        push_all(line, &[",\"end\":\"", self.ending, "\""]);
        for (key, value) in self.words() {
            push_all(line, &[",\"", key, "\":\""]);
            escape::push(line, value.as_bytes());
            line.push('"');
        }
        line.push_str("}\n");
        Ok(())
    }

    fn target(&self) -> &str {
        self.uri.path_and_query().map_or("", |target| target.as_str())
    }

    /// What is said only of some requests.
    fn words(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let names = self.route.as_deref().map(|name| [("route", name.route.as_str()), ("module", &name.module)]);
        let reason = self.reason.as_deref().map(|reason| ("reason", reason));
        names.into_iter().flatten().chain(reason)
    }
}

fn push_all(line: &mut String, pieces: &[&str]) {
    for piece in pieces {
        line.push_str(piece);
    }
}

/// Appends the number a request is known by, as 16 hexadecimal digits.
fn push_id(line: &mut String, id: u64) {
    for byte in id.to_be_bytes() {
        for digit in [byte >> 4, byte & 15] {
            line.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(lines) = &self.log.lines else { return };
        let mut line = String::with_capacity(TYPICAL_LINE);
        let written = match self.log.format {
            LogFormat::Text => self.write_text(&mut line),
            LogFormat::Json => self.write_json(&mut line),
        };
        if written.is_ok() {
            lines.push(line.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::access::*;

    fn record() -> Record {
        let mut record = Record::open(
            &AccessLog::none(),
            0xabc,
            IpAddr::from([192, 168, 0, 1]),
            Method::GET,
            Uri::from_static("/hello?a=%0a"),
            Version::HTTP_11,
        );
        let name = RouteName { route: "/hello".into(), module: "hello.wasm".into() };
        record.route = Some(Arc::new(name));
        record.answered(StatusCode::OK, "ok");
        record.reason = Some("a \"trap\"\nin two lines".into());
        record
    }

    #[test]
    fn a_text_line_is_one_line_with_everything_in_it() {
        let mut line = String::new();
        record().write_text(&mut line).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        for part in [
            "192.168.0.1 \"GET /hello?a=%0a HTTP/1.1\" 200 0B",
            "route=\"/hello\" module=\"hello.wasm\"",
            "reason=\"a \\\"trap\\\"\\nin two lines\"",
            "id=0000000000000abc",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
    }

    #[test]
    fn a_json_line_is_an_object() {
        let mut line = String::new();
        record().write_json(&mut line).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["route"], "/hello");
        assert_eq!(value["reason"], "a \"trap\"\nin two lines");
        assert_eq!(value["request_id"], "0000000000000abc");
    }
}
