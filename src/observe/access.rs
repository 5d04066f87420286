//! What does the log say about a request?
//!
//! One line when it is over, whatever became of it: who asked for what, which route and module answered with which status,
//! how many bytes were sent, how long it all took, how much of that the guest computed, and how the guest ended.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::{Method, StatusCode, Uri, Version};

use crate::config::LogFormat;

use super::escape;
use super::lines::Lines;

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
    lines: Option<Lines>,
    format: LogFormat,
}

impl AccessLog {
    /// A log in this format.
    pub fn new(lines: Lines, format: LogFormat) -> Self {
        Self { lines: Some(lines), format }
    }

    /// A log nobody keeps.
    pub fn none() -> Self {
        Self { lines: None, format: LogFormat::Text }
    }
}

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
        write!(line, "{} {} \"{} ", humantime::format_rfc3339_millis(SystemTime::now()), self.client, self.method)?;
        escape::push(line, self.target().as_bytes());
        write!(line, " {:?}\" {} {}B {}us", self.version, self.status(), self.bytes, self.total().as_micros())?;
        write!(line, " guest={}us end={}", self.cpu_time.as_micros(), self.ending)?;
        if let Some(name) = &self.route {
            write!(line, " route=\"")?;
            escape::push(line, name.route.as_bytes());
            write!(line, "\" module=\"")?;
            escape::push(line, name.module.as_bytes());
            line.push('"');
        }
        if let Some(reason) = &self.reason {
            write!(line, " reason=\"")?;
            escape::push(line, reason.as_bytes());
            line.push('"');
        }
        writeln!(line, " id={:016x}", self.id)
    }

    fn write_json(&self, line: &mut String) -> std::fmt::Result {
        let time = humantime::format_rfc3339_millis(SystemTime::now());
        write!(line, "{{\"time\":\"{time}\",\"kind\":\"access\",\"request_id\":\"{:016x}\"", self.id)?;
        write!(line, ",\"client\":\"{}\",\"method\":\"{}\",\"target\":\"", self.client, self.method)?;
        escape::push(line, self.target().as_bytes());
        write!(line, "\",\"version\":\"{:?}\",\"status\":{}", self.version, self.status())?;
        write!(line, ",\"bytes\":{},\"total_us\":{}", self.bytes, self.total().as_micros())?;
        write!(line, ",\"guest_us\":{},\"end\":\"{}\"", self.cpu_time.as_micros(), self.ending)?;
        let names = self.route.as_ref().map(|name| [("route", &name.route), ("module", &name.module)]);
        let reason = self.reason.as_ref().map(|reason| ("reason", reason));
        for (key, value) in names.into_iter().flatten().chain(reason) {
            write!(line, ",\"{key}\":\"")?;
            escape::push(line, value.as_bytes());
            line.push('"');
        }
        line.push_str("}\n");
        Ok(())
    }

    fn target(&self) -> &str {
        self.uri.path_and_query().map_or("", |target| target.as_str())
    }

    fn total(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(lines) = &self.log.lines else { return };
        let mut line = String::with_capacity(256);
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
    use super::*;

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
