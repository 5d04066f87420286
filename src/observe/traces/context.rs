//! What do the fields `traceparent` and `tracestate` say, and how are they written?
//!
//! As W3C Trace Context has it. Clients write these fields, so each is read strictly: a value that is not as the
//! recommendation wants it counts as absent as a whole.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::format::hex;

/// The field that names a trace and a span.
pub(in crate::observe) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The field with what tracing systems add to it.
pub(in crate::observe) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The most that is passed on of `tracestate`. Implementations have to pass on 512 characters.
const MAX_STATE: usize = 4 * 1024;

/// The most members of a `tracestate`.
const MAX_MEMBERS: usize = 32;

/// The most characters of a key and of a value of it.
const MAX_MEMBER_PART: usize = 256;

const IS_SAMPLED: u8 = 1;
const HAS_RANDOM_ID: u8 = 2;

/// The id of a trace.
pub(in crate::observe) type TraceId = [u8; 16];

/// The id of a span.
pub(in crate::observe) type SpanId = [u8; 8];

/// A span, as other programs know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::observe) struct TraceContext {
    pub trace: TraceId,
    pub span: SpanId,
    flags: u8,
    /// The value of `tracestate`, if there is one. All spans of a request share it.
    state: Option<Arc<str>>,
}

impl TraceContext {
    /// A span of a trace that begins here.
    pub fn root(trace: TraceId, span: SpanId) -> Self {
        Self { trace, span, flags: 0, state: None }
    }

    /// The context that a request came with.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let parent = parents.next().filter(|_| parents.next().is_none())?;
        let (trace, span, flags) = parse_parent(parent.as_bytes())?;
        Some(Self { trace, span, flags, state: state(headers) })
    }

    /// Another span of the same trace.
    pub fn with_span(&self, span: SpanId) -> Self {
        Self { span, ..self.clone() }
    }

    /// Whether the spans of the trace are kept.
    pub fn is_sampled(&self) -> bool {
        self.flags & IS_SAMPLED != 0
    }

    /// The same span, whose trace is kept or not.
    pub fn sampled(mut self, is_sampled: bool) -> Self {
        self.flags = (self.flags & HAS_RANDOM_ID) | u8::from(is_sampled);
        self
    }

    /// The flags, as they are written.
    #[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "only what writes spans asks"))]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// The value of `tracestate`; empty if there is none.
    #[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "only what writes spans asks"))]
    pub fn state(&self) -> &str {
        self.state.as_deref().unwrap_or_default()
    }

    /// The value of `traceparent`.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", hex(&self.trace), hex(&self.span), self.flags)
    }

    /// Writes both fields, in place of those that are there.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.remove(TRACESTATE);
        if let Ok(parent) = HeaderValue::from_str(&self.traceparent()) {
            headers.insert(TRACEPARENT, parent);
        }
        if let Some(state) = &self.state
            && let Ok(state) = HeaderValue::from_str(state)
        {
            headers.insert(TRACESTATE, state);
        }
    }
}

/// `VERSION-TRACE-SPAN-FLAGS` in lower-case hexadecimal digits. Later versions may be longer.
fn parse_parent(text: &[u8]) -> Option<(TraceId, SpanId, u8)> {
    let (fields, rest) = text.split_at_checked(55)?;
    let [version] = digits(fields.get(..2)?)?;
    let trace = digits::<16>(fields.get(3..35)?)?;
    let span = digits::<8>(fields.get(36..52)?)?;
    let [flags] = digits(fields.get(53..)?)?;
    let has_dashes = [2, 35, 52].into_iter().all(|at| fields.get(at) == Some(&b'-'));
    let is_known = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.first().is_none_or(|&byte| byte == b'-'),
    };
    let is_valid = has_dashes && is_known && trace != [0; 16] && span != [0; 8];
    is_valid.then_some((trace, span, flags))
}

fn digits<const COUNT: usize>(text: &[u8]) -> Option<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        for &digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    (text.len() == 2 * COUNT).then_some(bytes)
}

/// The members of all fields `tracestate` together, if there are some and each of them is valid.
fn state(headers: &HeaderMap) -> Option<Arc<str>> {
    let (mut joined, mut keys) = (String::new(), Vec::new());
    for value in headers.get_all(TRACESTATE) {
        for member in value.to_str().ok()?.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=')?;
            if !is_key(key) || !is_value(value) || keys.contains(&key) {
                return None;
            }
            keys.push(key);
            if !joined.is_empty() {
                joined.push(',');
            }
            joined.push_str(member);
            if keys.len() > MAX_MEMBERS || joined.len() > MAX_STATE {
                return None;
            }
        }
    }
    (!joined.is_empty()).then(|| joined.into())
}

fn is_key(key: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let begins = key.starts_with(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    begins && key.len() <= MAX_MEMBER_PART && key.bytes().all(is_letter) && key.matches('@').count() <= 1
}

fn is_value(value: &str) -> bool {
    let is_letter = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    !value.is_empty() && value.len() <= MAX_MEMBER_PART && value.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use crate::observe::traces::context::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(fields: &[(HeaderName, &str)]) -> Option<TraceContext> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
        }
        TraceContext::from_headers(&headers)
    }

    #[test]
    fn a_parent_is_read_and_written_alike() {
        let context = read(&[(TRACEPARENT, PARENT)]).expect("a context");
        assert_eq!(context.traceparent(), PARENT);
        assert!(context.is_sampled());
        let (trace, span) = (context.trace, context.span);
        assert_eq!((hex(&trace).as_str(), hex(&span).as_str()), (&PARENT[3..35], &PARENT[36..52]));
        assert!(context.sampled(false).traceparent().ends_with("-00"));
    }

    #[test]
    fn parents_that_are_not_valid_are_none() {
        let parent = |text: &str| read(&[(TRACEPARENT, text)]);
        for (from, to) in [
            ("00-4b", "ff-4b"),
            ("00-4b", "0x-4b"),
            ("00-4b", "00_4b"),
            ("4736-00", "4736_00"),
            ("b7-01", "b7_01"),
            ("4bf9", "4BF9"),
            ("4bf9", "4bg9"),
            ("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"),
            ("00f067aa0ba902b7", "0000000000000000"),
            ("00f067aa0ba902b7", "00f067aa0ba902b"),
            ("-01", "-1"),
            ("-01", "-0g"),
            ("-01", "-01-"),
            ("-01", "-01 "),
            ("00-4b", " 00-4b"),
            (PARENT, ""),
            ("-01", "-é"),
        ] {
            assert_eq!(parent(&PARENT.replacen(from, to, 1)), None, "{from} {to}");
        }
        let long = format!("{PARENT}-{}", "x".repeat(100_000));
        assert_eq!(parent(&long), None);
        assert_eq!(read(&[(TRACEPARENT, PARENT), (TRACEPARENT, PARENT)]), None, "which one is meant is not known");
        assert_eq!(read(&[(TRACESTATE, "a=1")]), None);
    }

    #[test]
    fn later_versions_may_say_more_and_unknown_flags_are_not_passed_on() {
        for text in [
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            let context = read(&[(TRACEPARENT, text)]).expect(text);
            assert_eq!(context.traceparent(), PARENT);
        }
        assert_eq!(read(&[(TRACEPARENT, "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more")]), None);
        for (flags, passed) in [("00", "01"), ("ff", "03"), ("02", "03"), ("fd", "01")] {
            let text = PARENT.replace("-01", &format!("-{flags}"));
            let context = read(&[(TRACEPARENT, &text)]).expect("a context").sampled(true);
            assert!(context.traceparent().ends_with(&format!("-{passed}")), "{flags}");
        }
    }

    #[test]
    fn a_state_is_passed_on_as_a_whole_or_not_at_all() {
        let (long, value) = ("k".repeat(256), "v".repeat(256));
        let many = |count: usize| (0..count).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join(",");
        let (thirty_two, thirty_three) = (many(32), many(33));
        let full = format!("{long}={value}");
        let (long_value, long_key) = (format!("{full}x"), format!("k{full}"));
        for (states, passed) in [
            (&["a=1"][..], "a=1"),
            (&["a=1,b=2", "c=3"], "a=1,b=2,c=3"),
            (&["a=1 ,\tb=2,,"], "a=1,b=2"),
            (&["t@s=x y", "0a/*-_=!"], "t@s=x y,0a/*-_=!"),
            (&[&thirty_two], &thirty_two),
            (&[&full], &full),
            (&[&thirty_three], ""),
            (&["a=1", "a=2"], ""),
            (&["a=1,A=2"], ""),
            (&["a"], ""),
            (&["=1"], ""),
            (&["a="], ""),
            (&["a=1=2"], ""),
            (&["a=é"], ""),
            (&["a@b@c=1"], ""),
            (&["@a=1"], ""),
            (&[&long_value], ""),
            (&[&long_key], ""),
        ] {
            let mut fields = vec![(TRACEPARENT, PARENT)];
            fields.extend(states.iter().map(|state| (TRACESTATE, *state)));
            assert_eq!(read(&fields).expect("the parent counts").state(), passed, "{states:?}");
        }
        let long: Vec<String> = (0..20).map(|at| format!("k{at}={value}")).collect();
        assert_eq!(read(&[(TRACEPARENT, PARENT), (TRACESTATE, &long.join(","))]).expect("a context").state(), "");
    }

    #[test]
    fn what_is_written_replaces_what_was_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in [(TRACEPARENT, "bad"), (TRACEPARENT, "bad"), (TRACESTATE, "a=1"), (TRACESTATE, "b=2")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let context = read(&[(TRACEPARENT, PARENT)]).expect("a context");
        context.with_span([1; 8]).write(&mut headers);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[TRACEPARENT], "00-4bf92f3577b34da6a3ce929d0e0e4736-0101010101010101-01");
    }
}
