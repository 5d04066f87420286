//! Which spans has a request, and what is told of them?
//!
//! The request itself, and below it the queue, its body and its guest; below the guest each call to an upstream. Names and
//! attributes are those of the semantic conventions for HTTP where there are some, and begin with `wagi.` where not.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::header::{HOST, USER_AGENT};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderValue, StatusCode, Version};

use crate::outbound::CallTracer;
use crate::runtime::RunUsage;

use crate::observe::metrics::RequestEnd;
use crate::observe::requests::facts::RequestFacts;
use crate::observe::traces::context::{SpanId, TraceContext};
use crate::observe::traces::queue::SpanQueue;
use crate::observe::traces::settings::Propagation;
use crate::observe::traces::span::{
    Span, SpanClock, SpanKind, SpanStatus, SpanValue, method, redacted_query, shortened, text,
};

/// The trace of a request, as far as it is ours.
pub(crate) struct RequestTrace {
    pub(super) queue: SpanQueue,
    /// The span of the request.
    pub(super) context: TraceContext,
    /// The span that it is below of, if the request has named one.
    pub(super) parent: Option<SpanId>,
    pub(super) guest: GuestSpan,
    pub(super) propagation: Propagation,
    pub(super) clock: SpanClock,
    /// What is known from the head of the request.
    pub(super) attributes: Vec<(&'static str, SpanValue)>,
}

/// The span of the guest, below which are those of its calls.
pub(super) struct GuestSpan {
    pub id: SpanId,
    pub began: OnceLock<Instant>,
}

/// What is known of a request at its end.
pub(in crate::observe) struct TracedRequest<'a> {
    pub facts: &'a RequestFacts,
    /// The pattern of its route and the module, if it has them.
    pub route: Option<(&'a str, &'a str)>,
    /// The status that was sent.
    pub status: Option<StatusCode>,
    pub end: RequestEnd,
    pub reason: Option<&'a str>,
    pub bytes: u64,
    pub guest: Option<&'a RunUsage>,
    pub took: Duration,
}

impl TracedRequest<'_> {
    /// Why the request is an error, in a word. What only its client did wrong is none.
    fn error(&self) -> Option<Cow<'static, str>> {
        let status = self.status.map_or(0, |status| status.as_u16());
        match self.end.is_failure() {
            true if !(400..500).contains(&status) => Some(self.end.as_str().into()),
            false if status >= 500 => Some(status.to_string().into()),
            _ => None,
        }
    }

    fn span_status(&self) -> SpanStatus {
        SpanStatus::Error(shortened(self.reason.unwrap_or_default()))
    }
}

impl RequestTrace {
    /// The id of the trace, in hexadecimal digits.
    pub fn id(&self) -> String {
        crate::format::hex(&self.context.trace)
    }

    /// What makes spans of the calls of its guest.
    pub fn call_tracer(self: &Arc<Self>) -> Arc<dyn CallTracer> {
        self.clone()
    }

    /// Notes that the guest has started.
    pub fn begin_guest(&self) {
        self.guest.began.get_or_init(Instant::now);
    }

    /// A step of the request that begins now.
    pub fn begin(self: &Arc<Self>, step: RequestStep) -> Option<StepSpan> {
        self.context.is_sampled().then(|| StepSpan {
            trace: self.clone(),
            step,
            began: Instant::now(),
            attributes: Vec::new(),
            status: SpanStatus::Unset,
        })
    }

    /// Ends the spans of the request and of its guest.
    pub(in crate::observe) fn finish(&self, request: &TracedRequest<'_>) {
        if !self.context.is_sampled() {
            return;
        }
        if let (Some(usage), Some(&began)) = (request.guest, self.guest.began.get()) {
            self.queue.push(self.guest_span(request, usage, began));
        }
        let (known, mut attributes) = method(&request.facts.method);
        attributes.extend(self.attributes.iter().cloned());
        attributes.extend(request_attributes(request));
        let error = request.error();
        let status = if error.is_some() { request.span_status() } else { SpanStatus::Unset };
        attributes.extend(error.map(|error| ("error.type", SpanValue::Text(error))));
        let name = known.unwrap_or("HTTP");
        let name = request.route.map_or(Cow::Borrowed(name), |(route, _)| format!("{name} {route}").into());
        self.queue.push(Span {
            context: self.context.clone(),
            parent: self.parent,
            has_remote_parent: self.parent.is_some(),
            kind: SpanKind::Server,
            name,
            began: self.clock.at(request.facts.started),
            took: request.took,
            attributes,
            status,
        });
    }

    fn guest_span(&self, request: &TracedRequest<'_>, usage: &RunUsage, began: Instant) -> Span {
        let mut attributes = vec![
            ("wagi.guest.cpu_time", SpanValue::Float(usage.cpu_time.as_secs_f64())),
            ("wagi.guest.memory_peak", usage.memory_peak.into()),
            ("wagi.guest.in_background", SpanValue::Truth(usage.is_in_background)),
        ];
        attributes.extend(request.route.map(|(_, module)| ("wagi.module", text(module))));
        let is_failure = request.end.is_failure() && request.end != RequestEnd::BadBody;
        let status = if is_failure { request.span_status() } else { SpanStatus::Unset };
        if is_failure {
            attributes.push(("error.type", request.end.as_str().into()));
        }
        Span {
            context: self.context.with_span(self.guest.id),
            parent: Some(self.context.span),
            has_remote_parent: false,
            kind: SpanKind::Internal,
            name: "guest".into(),
            began: self.clock.at(began),
            took: usage.took.unwrap_or_default(),
            attributes,
            status,
        }
    }
}

/// What is known of the head of a request.
pub(super) fn head_attributes(head: &Parts, scheme: &'static str) -> Vec<(&'static str, SpanValue)> {
    let mut attributes = vec![("url.scheme", scheme.into())];
    let value = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let authority = head.uri.authority().cloned().or_else(|| value(HOST)?.parse::<Authority>().ok());
    if let Some(authority) = authority {
        attributes.push(("server.address", text(authority.host())));
        attributes.extend(authority.port_u16().map(|port| ("server.port", port.into())));
    }
    attributes.extend(value(USER_AGENT).map(|agent| ("user_agent.original", text(agent))));
    attributes
}

/// What is known of a request at its end.
fn request_attributes(request: &TracedRequest<'_>) -> Vec<(&'static str, SpanValue)> {
    let facts = request.facts;
    let mut attributes = vec![
        ("url.path", text(facts.uri.path())),
        ("client.address", text(&facts.client())),
        ("network.protocol.version", protocol(facts.version).into()),
        ("http.response.body.size", request.bytes.into()),
        ("wagi.request_id", text(facts.id.as_str())),
        ("wagi.end", request.end.as_str().into()),
    ];
    attributes.extend(facts.uri.query().map(|query| ("url.query", text(&redacted_query(query)))));
    attributes.extend(request.status.map(|status| ("http.response.status_code", status.as_u16().into())));
    if let Some((route, module)) = request.route {
        attributes.push(("http.route", text(route)));
        if !module.is_empty() {
            attributes.push(("wagi.module", text(module)));
        }
    }
    attributes.extend(request.reason.map(|reason| ("wagi.reason", text(reason))));
    attributes
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

/// A step of a request that has a span of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestStep {
    /// The request waits for a permit.
    Queue,
    /// Its body is fetched from the client.
    Body,
}

/// The span of a step. It ends when it is dropped.
pub(crate) struct StepSpan {
    trace: Arc<RequestTrace>,
    step: RequestStep,
    began: Instant,
    attributes: Vec<(&'static str, SpanValue)>,
    status: SpanStatus,
}

impl StepSpan {
    /// Notes how many bytes were fetched.
    pub fn set_size(&mut self, bytes: u64) {
        self.attributes.push(("http.request.body.size", bytes.into()));
    }

    /// Notes why the step has failed: in a word, and in a sentence.
    pub fn fail(&mut self, error: &'static str, reason: &str) {
        self.attributes.push(("error.type", error.into()));
        self.status = SpanStatus::Error(shortened(reason));
    }
}

impl Drop for StepSpan {
    fn drop(&mut self) {
        let trace = &self.trace;
        let Some(span) = new_span_id() else { return };
        trace.queue.push(Span {
            context: trace.context.with_span(span),
            parent: Some(trace.context.span),
            has_remote_parent: false,
            kind: SpanKind::Internal,
            name: match self.step {
                RequestStep::Queue => "queue".into(),
                RequestStep::Body => "request body".into(),
            },
            began: trace.clock.at(self.began),
            took: self.began.elapsed(),
            attributes: std::mem::take(&mut self.attributes),
            status: std::mem::take(&mut self.status),
        });
    }
}

/// A random id.
pub(super) fn new_span_id() -> Option<SpanId> {
    getrandom::u64().ok().map(|id| id.max(1).to_be_bytes())
}
