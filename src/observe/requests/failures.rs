//! Which requests have failed last, and why?

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::format::http_version;
use crate::runtime::{RunUsage, RunView, TrapReport};

use crate::observe::metrics::end::RequestEnd;
use crate::observe::requests::explanation::{Explanation, explain};
use crate::observe::requests::facts::RequestFacts;
use crate::observe::requests::slot::{PhaseTimes, SlotProgress};
use crate::observe::requests::{lock, seconds, shortened};

/// How many failures are kept.
const KEPT: usize = 100;

/// A request that has failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FailedRequest {
    /// The id, as the log has it.
    pub id: String,
    /// When it ended.
    pub time: SystemTime,
    /// The pattern of its route.
    pub route: String,
    /// The module, as the configuration names it.
    pub module: String,
    /// The address of its client.
    pub client: String,
    /// The method.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// The version of HTTP.
    pub version: &'static str,
    /// The status that was sent; 499 if the client had left.
    pub status: u16,
    /// How it ended, as in the log.
    pub end: RequestEnd,
    /// Why, as in the log.
    pub reason: String,
    /// The last 4 KiB that its guest has printed on standard error.
    pub stderr: String,
    /// The functions of a guest that has trapped, line by line.
    pub backtrace: Option<String>,
    /// The file with the core dump of such a guest.
    pub coredump: Option<String>,
    /// How long it took in all.
    pub took: Duration,
    /// How long it waited for a permit, and for its body.
    pub times: PhaseTimes,
    /// How long its guest took, if it had one.
    pub guest: Option<Duration>,
    /// The CPU time of its guest.
    pub cpu_time: Duration,
    /// The memory of its guest in bytes.
    pub memory: u64,
    /// Found when it is first asked for, once for all copies.
    explanation: Arc<OnceLock<Option<Explanation>>>,
}

/// Why a request has failed, as its record has it.
pub(in crate::observe) struct FailureCause<'a> {
    pub end: RequestEnd,
    pub status: u16,
    pub reason: &'a str,
    pub trap: Option<&'a TrapReport>,
    pub guest: Option<&'a RunUsage>,
}

impl FailedRequest {
    /// A request that has just failed, with its route and module.
    pub(in crate::observe) fn new(
        (facts, SlotProgress { run, times }): (&RequestFacts, &SlotProgress),
        (route, module): (&str, &str),
        cause: &FailureCause<'_>,
        took: Duration,
    ) -> Self {
        let stderr = run.as_ref().map(RunView::stderr_end).unwrap_or_default();
        Self {
            id: facts.id.as_str().to_owned(),
            time: SystemTime::now(),
            route: route.to_owned(),
            module: shortened(module),
            client: facts.client(),
            method: shortened(facts.method.as_str()),
            target: shortened(facts.target()),
            version: http_version(facts.version),
            status: cause.status,
            end: cause.end,
            reason: shortened(cause.reason),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            backtrace: cause.trap.map(|trap| trap.backtrace.clone()).filter(|text| !text.is_empty()),
            coredump: cause.trap.and_then(|trap| trap.coredump.clone()),
            took,
            times: *times,
            guest: cause.guest.and_then(|guest| guest.took),
            cpu_time: cause.guest.map_or(Duration::ZERO, |guest| guest.cpu_time),
            memory: cause.guest.map_or(0, |guest| guest.memory_peak),
            explanation: Arc::default(),
        }
    }

    /// What has caused it most of the time, and what helps.
    pub fn explanation(&self) -> Option<Explanation> {
        self.explanation.get_or_init(|| explain(self.end.as_str(), &self.reason, &self.stderr)).clone()
    }

    /// An object with all of it. Durations are in seconds.
    pub fn to_json(&self) -> Value {
        let explanation = self.explanation();
        json!({
            "id": self.id,
            "time": humantime::format_rfc3339_millis(self.time).to_string(),
            "route": self.route,
            "module": self.module,
            "client": self.client,
            "method": self.method,
            "target": self.target,
            "version": self.version,
            "status": self.status,
            "end": self.end.as_str(),
            "reason": self.reason,
            "cause": explanation.as_ref().map(|found| &found.cause),
            "cure": explanation.as_ref().map(|found| &found.cure),
            "stderr": self.stderr,
            "backtrace": self.backtrace,
            "coredump": self.coredump,
            "took": seconds(self.took),
            "phases": {
                "queue": seconds(self.times.queue),
                "reading": seconds(self.times.reading),
                "guest": self.guest.map(seconds),
            },
            "cpu_time": seconds(self.cpu_time),
            "memory": self.memory,
        })
    }
}

/// The last requests that have failed.
#[derive(Default)]
pub(in crate::observe) struct FailureLog(Mutex<VecDeque<FailedRequest>>);

impl FailureLog {
    /// Adds a request, in place of the oldest one if there are enough.
    pub fn push(&self, request: FailedRequest) {
        let mut kept = lock(&self.0);
        let oldest = if kept.len() >= KEPT { kept.pop_front() } else { None };
        kept.push_back(request);
        drop(kept);
        drop(oldest);
    }

    /// The last requests, the newest first.
    pub fn list(&self) -> Vec<FailedRequest> {
        lock(&self.0).iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::requests::failures::*;

    fn failed(id: usize) -> FailedRequest {
        FailedRequest {
            id: id.to_string(),
            time: SystemTime::UNIX_EPOCH,
            route: "/a".into(),
            module: "a.wasm".into(),
            client: "::1".into(),
            method: "GET".into(),
            target: "/a?\"".into(),
            version: "HTTP/1.1",
            status: 500,
            end: RequestEnd::Trap,
            reason: "the guest trapped".into(),
            stderr: "</script>\u{fffd}".into(),
            backtrace: None,
            coredump: None,
            took: Duration::from_micros(1_500),
            times: PhaseTimes { queue: Duration::from_millis(1), reading: Duration::ZERO },
            guest: Some(Duration::from_micros(400)),
            cpu_time: Duration::from_micros(300),
            memory: 65_536,
            explanation: Arc::default(),
        }
    }

    #[test]
    fn the_last_hundred_are_kept_the_newest_first() {
        let log = FailureLog::default();
        (0..250).for_each(|id| log.push(failed(id)));
        let ids: Vec<_> = log.list().iter().map(|request| request.id.parse::<usize>().unwrap()).collect();
        assert_eq!(ids, (150..250).rev().collect::<Vec<_>>());
    }

    #[test]
    fn a_failure_is_an_object() {
        let json = failed(7).to_json();
        assert_eq!(json["time"], "1970-01-01T00:00:00.000Z");
        assert_eq!((&json["end"], &json["target"]), (&"trap".into(), &"/a?\"".into()));
        assert_eq!(
            (&json["took"], &json["phases"]["queue"], &json["phases"]["guest"]),
            (&0.0015.into(), &0.001.into(), &0.0004.into())
        );
        assert_eq!(json["backtrace"], Value::Null);
    }
}
