//! What is recorded of a request?
//!
//! Client and request line, route and module, status, bytes sent, the time in all and the CPU time of the guest, and how
//! the guest ended. Each request has one [`Record`], and dropping it is the one place where all finished requests pass.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::request::Parts;
use http::{StatusCode, Version};

use crate::config::LogFormat;
use crate::format::{http_version, push_number};
use crate::remote_address::RemoteAddress;
use crate::runtime::{RunUsage, TrapReport};

use crate::observe::line::{push_all, push_micros};
use crate::observe::log_writer::LogWriter;
use crate::observe::metrics::{Finished, RequestEnd, RouteCounters};
use crate::observe::request_id::RequestId;
use crate::observe::requests::facts::RequestFacts;
use crate::observe::requests::failures::{FailedRequest, FailureCause};
use crate::observe::requests::registration::Registration;
use crate::observe::requests::slot::{RequestSlot, SlotProgress};
use crate::observe::traces::{RequestTrace, TracedRequest};
use crate::observe::{escape, time};

/// The name of a route in the log.
pub struct RouteName {
    /// The pattern, as `/hello/...`.
    pub route: String,
    /// The module, as the configuration names it; empty if the route leads to files.
    pub module: String,
    /// Both as fields of a line of text, and of a line of JSON.
    text: String,
    json: String,
    /// What is counted of the route. It is known when the route is in force.
    counters: OnceLock<Arc<RouteCounters>>,
}

impl RouteName {
    /// The name of a route that leads to `module`.
    pub fn new(route: &impl ToString, module: &impl ToString) -> Self {
        let (route, module) = (route.to_string(), module.to_string());
        let (mut text, mut json) = (String::new(), String::new());
        for (key, value) in [("route", &route), ("module", &module)] {
            push_text_field(&mut text, key, value);
            push_json_field(&mut json, key, value);
        }
        Self { route, module, text, json, counters: OnceLock::new() }
    }

    /// Counts the requests of the route with these counters from now on. Only the first call has an effect.
    pub(crate) fn count_with(&self, counters: Arc<RouteCounters>) {
        let _ = self.counters.set(counters);
    }

    /// What is counted of the route, if it is in force.
    pub(crate) fn counters(&self) -> Option<&RouteCounters> {
        self.counters.get().map(Arc::as_ref)
    }

    /// The same, to keep.
    pub(crate) fn shared_counters(&self) -> Option<Arc<RouteCounters>> {
        self.counters.get().cloned()
    }

    /// The name of a route that leads to files.
    pub fn of_files(route: &impl ToString) -> Self {
        let route = route.to_string();
        let (mut text, mut json) = (String::new(), String::new());
        push_text_field(&mut text, "route", &route);
        push_json_field(&mut json, "route", &route);
        Self { route, module: String::new(), text, json, counters: OnceLock::new() }
    }
}

fn push_text_field(line: &mut String, key: &str, value: &str) {
    push_all(line, &[" ", key, "=\""]);
    escape::push(line, value.as_bytes());
    line.push('"');
}

fn push_json_field(line: &mut String, key: &str, value: &str) {
    push_all(line, &[",\"", key, "\":\""]);
    escape::push(line, value.as_bytes());
    line.push('"');
}

/// The log of requests.
#[derive(Clone)]
pub struct AccessLog {
    writer: Option<LogWriter>,
    format: LogFormat,
}

impl AccessLog {
    /// A log in this format.
    pub fn new(writer: LogWriter, format: LogFormat) -> Self {
        Self { writer: Some(writer), format }
    }

    /// Opens the log's own file again, if it has one: the operator has moved it away.
    pub fn reopen(&self) {
        self.writer.iter().for_each(LogWriter::reopen);
    }

    /// How many lines were dropped since the log was not read in time.
    pub fn dropped(&self) -> u64 {
        self.writer.as_ref().map_or(0, LogWriter::dropped)
    }

    /// Whether its lines go where `log` goes.
    pub fn is_part_of(&self, log: &LogWriter) -> bool {
        self.writer.as_ref().is_some_and(|writer| writer.is(log))
    }

    /// Waits until all lines are written, but not for long.
    pub fn flush(&self) {
        self.writer.iter().for_each(LogWriter::flush);
    }

    /// A log that discards its lines.
    pub fn disabled() -> Self {
        Self { writer: None, format: LogFormat::Text }
    }
}

/// The status in the log if the client left before there was one; no client ever sees it.
const CLIENT_GONE: u16 = 499;

/// What a thread keeps of the room for a long line.
const LONG_LINE: usize = 4 * 1024;

thread_local! {
    /// The line that this thread is writing: its room is used again.
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The record of one request. It is written to the log when it is dropped.
pub struct Record {
    log: AccessLog,
    /// The id that a trusted proxy gave to the request.
    pub client_request_id: Option<Box<str>>,
    facts: RequestFacts,
    /// The route that matched, if one did.
    route: Option<Arc<RouteName>>,
    /// The request's place in the register of its route, if it had to wait.
    slot: OnceLock<Arc<RequestSlot>>,
    /// The counters of a request without a route.
    unrouted: Option<Arc<RouteCounters>>,
    /// The status sent; `None` if the client left before there was one.
    status: Option<StatusCode>,
    /// Body bytes handed to the connection.
    pub bytes: u64,
    /// What the guest has used, if there was one.
    pub guest: Option<RunUsage>,
    /// How the request ended.
    pub end: RequestEnd,
    /// Why the request failed, or what was left out of its response.
    pub reason: Option<String>,
    /// On what its guest has trapped.
    pub trap: Option<Box<TrapReport>>,
    /// The trace of the request, if it has one.
    pub(crate) trace: Option<Arc<RequestTrace>>,
}

impl Record {
    /// The record of a request that has just come in.
    pub fn new(log: &AccessLog, id: RequestId, client: RemoteAddress, request: &Parts) -> Self {
        Self {
            log: log.clone(),
            client_request_id: None,
            facts: RequestFacts::new(id, client, request),
            route: None,
            slot: OnceLock::new(),
            unrouted: None,
            status: None,
            bytes: 0,
            guest: None,
            end: RequestEnd::ClientGone,
            reason: None,
            trap: None,
            trace: None,
        }
    }

    /// Sets the route, at which the request is counted.
    pub fn set_route(&mut self, route: Arc<RouteName>) {
        if let Some(counters) = route.counters() {
            counters.begin();
        }
        self.route = Some(route);
    }

    /// How others see and end a request with a route.
    pub(crate) fn registration(&self) -> Option<Registration<'_>> {
        let counters = self.route.as_deref().and_then(RouteName::counters)?;
        Some(Registration { facts: &self.facts, counters, slot: &self.slot })
    }

    /// The same, beside the place for what the guest uses.
    pub(crate) fn for_run(&mut self) -> (Option<Registration<'_>>, &mut Option<RunUsage>) {
        let Self { facts, route, slot, guest, .. } = self;
        let counters = route.as_deref().and_then(RouteName::counters);
        (counters.map(|counters| Registration { facts, counters, slot }), guest)
    }

    /// Whether an operator has ended the request.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.slot.get().is_some_and(|slot| slot.is_cancelled())
    }

    /// Whether the client may take the response so slowly that its connection does not even ask for a body that is complete.
    pub(crate) fn is_multiplexed(&self) -> bool {
        self.facts.version == Version::HTTP_2
    }

    /// Counts the request among those without a route.
    pub(crate) fn set_unrouted(&mut self, counters: &Arc<RouteCounters>) {
        counters.begin();
        self.unrouted = Some(counters.clone());
    }

    /// Sets the status and the `end` field. A record without them is that of a client that left.
    pub fn set_response(&mut self, status: StatusCode, end: RequestEnd) {
        self.status = Some(status);
        self.end = end;
    }

    fn cpu_time(&self) -> Duration {
        self.guest.map_or(Duration::ZERO, |guest| guest.cpu_time)
    }

    fn status(&self) -> u16 {
        self.status.map_or(CLIENT_GONE, |status| status.as_u16())
    }

    fn write_text(&self, line: &mut String, took: Duration) -> std::fmt::Result {
        let facts = &self.facts;
        time::push_now(line)?;
        line.push(' ');
        facts.client.push_host(line);
        push_all(line, &[" \"", facts.method.as_str(), " "]);
        escape::push(line, facts.target().as_bytes());
        push_all(line, &[" ", http_version(facts.version), "\" "]);
        push_number(line, self.status().into());
        line.push(' ');
        push_number(line, self.bytes);
        line.push_str("B ");
        push_micros(line, took);
        line.push_str("us guest=");
        push_micros(line, self.cpu_time());
        push_all(line, &["us end=", self.end.as_str()]);
        line.push_str(self.route.as_deref().map_or("", |name| &name.text));
        if let Some(reason) = &self.reason {
            push_text_field(line, "reason", reason);
        }
        if let Some(id) = &self.client_request_id {
            push_text_field(line, "client_request_id", id);
        }
        if let Some(trace) = &self.trace {
            push_all(line, &[" trace_id=", &trace.id()]);
        }
        push_all(line, &[" id=", facts.id.as_str(), "\n"]);
        Ok(())
    }

    fn write_json(&self, line: &mut String, took: Duration) -> std::fmt::Result {
        let facts = &self.facts;
        line.push_str("{\"time\":\"");
        time::push_now(line)?;
        push_all(line, &["\",\"kind\":\"access\",\"request_id\":\"", facts.id.as_str(), "\",\"client\":\""]);
        facts.client.push_host(line);
        push_all(line, &["\",\"method\":\"", facts.method.as_str(), "\",\"target\":\""]);
        escape::push(line, facts.target().as_bytes());
        push_all(line, &["\",\"version\":\"", http_version(facts.version), "\",\"status\":"]);
        push_number(line, self.status().into());
        line.push_str(",\"bytes\":");
        push_number(line, self.bytes);
        line.push_str(",\"total_us\":");
        push_micros(line, took);
        line.push_str(",\"guest_us\":");
        push_micros(line, self.cpu_time());
        push_all(line, &[",\"end\":\"", self.end.as_str(), "\""]);
        line.push_str(self.route.as_deref().map_or("", |name| &name.json));
        if let Some(reason) = &self.reason {
            push_json_field(line, "reason", reason);
        }
        if let Some(id) = &self.client_request_id {
            push_json_field(line, "client_request_id", id);
        }
        if let Some(trace) = &self.trace {
            push_json_field(line, "trace_id", &trace.id());
        }
        line.push_str("}\n");
        Ok(())
    }

    fn counters(&self) -> Option<&RouteCounters> {
        self.route.as_deref().and_then(RouteName::counters).or(self.unrouted.as_deref())
    }

    /// Counts the request, and takes it out of the register.
    fn count(&mut self, took: Duration) {
        let slot = self.slot.take();
        let Some(counters) = self.counters() else { return };
        let progress = slot.map(|slot| counters.requests.end(slot));
        counters.finish(&Finished {
            method: &self.facts.method,
            status: self.status(),
            took,
            bytes: self.bytes,
            end: self.end,
            guest: self.guest.as_ref(),
        });
        if self.end.is_failure() || (self.end == RequestEnd::Static && self.status() >= 500) {
            let progress = progress.unwrap_or_default();
            let failure = self.failure(&progress, took);
            if let Some(run) = &progress.run
                && let Some(found) = failure.explanation()
            {
                run.note_help(&found.cause, &found.cure);
            }
            counters.failures.push(failure);
        }
    }

    fn finish_trace(&self, trace: &RequestTrace, took: Duration) {
        trace.finish(&TracedRequest {
            facts: &self.facts,
            route: self.route.as_deref().map(|name| (name.route.as_str(), name.module.as_str())),
            status: self.status,
            end: self.end,
            reason: self.reason.as_deref(),
            bytes: self.bytes,
            guest: self.guest.as_ref(),
            took,
        });
    }

    fn failure(&self, progress: &SlotProgress, took: Duration) -> FailedRequest {
        let (route, module) = self.route.as_deref().map_or(("", ""), |name| (&name.route, &name.module));
        let cause = FailureCause {
            end: self.end,
            status: self.status(),
            reason: self.reason.as_deref().unwrap_or_default(),
            trap: self.trap.as_deref(),
            guest: self.guest.as_ref(),
        };
        FailedRequest::new((&self.facts, progress), (route, module), &cause, took)
    }

    /// Writes the request to the log.
    fn log(&self, writer: &LogWriter, took: Duration) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            let written = match self.log.format {
                LogFormat::Text => self.write_text(line, took),
                LogFormat::Json => self.write_json(line, took),
            };
            if written.is_ok() {
                writer.push(line.as_bytes());
            }
            line.shrink_to(LONG_LINE);
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.facts.started.elapsed();
        self.count(took);
        if let Some(trace) = &self.trace {
            self.finish_trace(trace, took);
        }
        if let Some(writer) = &self.log.writer {
            self.log(writer, took);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::Request;

    use crate::observe::access::*;

    fn head() -> Parts {
        Request::get("/hello?a=%0a").body(()).unwrap().into_parts().0
    }

    fn client() -> RemoteAddress {
        SocketAddr::from(([192, 168, 0, 1], 4321)).into()
    }

    fn record() -> Record {
        let mut record = Record::new(&AccessLog::disabled(), RequestId::new(0xabc), client(), &head());
        let name = RouteName::new(&"/hello", &"hello.wasm");
        record.route = Some(Arc::new(name));
        record.set_response(StatusCode::OK, RequestEnd::Ok);
        record.reason = Some("a \"trap\"\nin two lines".into());
        record
    }

    #[test]
    fn a_text_line_is_one_line_with_everything_in_it() {
        let mut line = String::new();
        record().write_text(&mut line, Duration::ZERO).unwrap();
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
    fn the_id_of_a_proxy_is_a_field_of_its_own() {
        let mut record = record();
        record.client_request_id = Some("from-the-proxy".into());
        let (mut text, mut json) = (String::new(), String::new());
        record.write_text(&mut text, Duration::ZERO).unwrap();
        record.write_json(&mut json, Duration::ZERO).unwrap();
        assert!(text.ends_with(" client_request_id=\"from-the-proxy\" id=0000000000000abc\n"), "{text}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&value["client_request_id"], &value["request_id"]),
            (&"from-the-proxy".into(), &"0000000000000abc".into())
        );
    }

    #[test]
    fn a_json_line_is_an_object() {
        let mut line = String::new();
        record().write_json(&mut line, Duration::ZERO).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["route"], "/hello");
        assert_eq!(value["reason"], "a \"trap\"\nin two lines");
        assert_eq!(value["request_id"], "0000000000000abc");
    }
}
