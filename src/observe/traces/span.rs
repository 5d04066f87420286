//! What is told of a span?

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

use http::Method;

use crate::observe::requests::facts::{METHODS, OTHER_METHOD};
use crate::observe::traces::context::{SpanId, TraceContext};

/// The most bytes of a text that a client, a guest or a server has chosen.
const MAX_TEXT: usize = 2 * 1024;

/// What a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::observe) enum SpanKind {
    /// A request of a client.
    Server,
    /// A step of it.
    Internal,
    /// A request to an upstream.
    Client,
}

/// A span that is over.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "only what writes spans reads all of it"))]
pub(in crate::observe) struct Span {
    pub context: TraceContext,
    pub parent: Option<SpanId>,
    /// Whether the parent is a span of another program.
    pub has_remote_parent: bool,
    pub kind: SpanKind,
    pub name: Cow<'static, str>,
    pub began: SystemTime,
    pub took: Duration,
    pub attributes: Vec<(&'static str, SpanValue)>,
    pub status: SpanStatus,
}

/// What came of a span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::observe) enum SpanStatus {
    /// Nothing that is an error.
    #[default]
    Unset,
    /// An error, and why.
    Error(String),
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::observe) enum SpanValue {
    Text(Cow<'static, str>),
    Number(i64),
    Float(f64),
    Truth(bool),
}

impl From<&'static str> for SpanValue {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<u64> for SpanValue {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u16> for SpanValue {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// A text of others, cut if it is long.
pub(in crate::observe) fn text(text: &str) -> SpanValue {
    SpanValue::Text(Cow::Owned(shortened(text)))
}

/// A text of others, cut if it is long.
pub(in crate::observe) fn shortened(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default().to_owned()
}

/// Points in time of one request, as the wall clock has them. The wall clock may be set meanwhile; spans still fit into each
/// other.
#[derive(Clone, Copy, Debug)]
pub(in crate::observe) struct SpanClock {
    wall: SystemTime,
    monotonic: Instant,
}

impl SpanClock {
    pub fn now() -> Self {
        Self { wall: SystemTime::now(), monotonic: Instant::now() }
    }

    /// When something began, by the wall clock.
    pub fn at(&self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.monotonic) {
            Some(later) => self.wall + later,
            None => self.wall.checked_sub(self.monotonic.duration_since(instant)).unwrap_or(self.wall),
        }
    }
}

/// The name of a method in attributes, and the attributes about it.
pub(in crate::observe) fn method(method: &Method) -> (Option<&'static str>, Vec<(&'static str, SpanValue)>) {
    let known = METHODS.into_iter().find(|known| *known == method.as_str());
    let mut attributes = vec![("http.request.method", known.unwrap_or(OTHER_METHOD).into())];
    if known.is_none() {
        attributes.push(("http.request.method_original", text(method.as_str())));
    }
    (known, attributes)
}

/// The parameters of URLs that are signatures, whose values are not told.
const SIGNATURES: [&str; 4] = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"];

/// A query without the values of signatures.
pub(in crate::observe) fn redacted_query(query: &str) -> String {
    let redacted = query.split('&').map(|part| match part.split_once('=') {
        Some((name, _)) if SIGNATURES.contains(&name) => Cow::Owned(format!("{name}=REDACTED")),
        _ => Cow::Borrowed(part),
    });
    shortened(&redacted.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use crate::observe::traces::span::*;

    #[test]
    fn signatures_in_queries_are_not_told() {
        for (query, told) in [
            ("a=1&sig=secret&b", "a=1&sig=REDACTED&b"),
            ("Signature=x", "Signature=REDACTED"),
            ("signature=x&sigs=y", "signature=x&sigs=y"),
            ("", ""),
        ] {
            assert_eq!(redacted_query(query), told);
        }
        assert_eq!(redacted_query(&"é".repeat(10_000)).len(), MAX_TEXT);
    }

    #[test]
    fn methods_that_are_not_known_are_other_with_the_original_beside_it() {
        assert_eq!(method(&Method::GET), (Some("GET"), vec![("http.request.method", "GET".into())]));
        let other = Method::from_bytes(b"PURGE").expect("a method");
        let attributes =
            vec![("http.request.method", "_OTHER".into()), ("http.request.method_original", text("PURGE"))];
        assert_eq!(method(&other), (None, attributes));
    }

    #[test]
    fn points_in_time_keep_their_distance() {
        let clock = SpanClock::now();
        let later = clock.monotonic + Duration::from_millis(5);
        assert_eq!(clock.at(later), clock.wall + Duration::from_millis(5));
    }
}
