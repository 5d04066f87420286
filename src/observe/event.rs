//! What does the log say of the server's own events?
//!
//! In JSON, an object with the same keys as the lines of requests and guests, as far as they have them: time and kind. All of it
//! is one line, whatever the texts in an event hold.

use std::error::Error;
use std::fmt;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::observe::time;
use crate::printable;

/// Writes an event as a JSON object.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonEvents;

impl<S, N> FormatEvent<S, N> for JsonEvents
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = EventFields::default();
        event.record(&mut fields);
        let mut now = String::new();
        time::push_now(&mut now)?;
        writeln!(writer, "{}", line(&now, event.metadata(), fields))
    }
}

fn line(now: &str, metadata: &tracing::Metadata<'_>, mut fields: EventFields) -> String {
    let message = fields.0.remove("message").unwrap_or_default();
    let (level, target) = (metadata.level().to_string(), metadata.target());
    // Text by text, so that the keys stand in this order.
    let line = format!(
        "{{\"time\":\"{now}\",\"kind\":\"event\",\"level\":{},\"target\":{},\"message\":{},\"fields\":{}}}",
        json!(level.to_ascii_lowercase()),
        json!(target),
        json!(message.as_str().unwrap_or_default()),
        Value::Object(fields.0)
    );
    printable::json(&line).into_owned()
}

/// The fields of an event, the message among them.
#[derive(Default)]
struct EventFields(Map<String, Value>);

impl EventFields {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for EventFields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.set(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match seconds(&text) {
            Some(seconds) => self.set(field, seconds),
            None => self.set(field, text),
        }
    }
}

/// The seconds of a duration as [`Duration`](std::time::Duration) shows it, which events of text have: `1.2ms`.
fn seconds(text: &str) -> Option<f64> {
    // The longer units first: each ends in the last one.
    let units = [("ns", 1e9), ("µs", 1e6), ("ms", 1e3), ("s", 1.0)];
    let (number, per_second) =
        units.iter().find_map(|(unit, per_second)| Some((text.strip_suffix(unit)?, per_second)))?;
    let number = number.parse::<f64>().ok().filter(|_| number.starts_with(|first: char| first.is_ascii_digit()))?;
    // A duration has whole nanoseconds.
    Some((number / per_second * 1e9).round() / 1e9)
}

#[cfg(test)]
mod tests {
    use std::io;

    use crate::observe::event::*;
    use crate::observe::log_writer::tests::Memory;

    #[test]
    fn durations_are_numbers_of_seconds() {
        use std::time::Duration;
        for (duration, expected) in [
            (Duration::ZERO, 0.0),
            (Duration::from_nanos(7), 0.000_000_007),
            (Duration::from_nanos(565_570), 0.000_565_57),
            (Duration::from_millis(1_234), 1.234),
            (Duration::from_secs(90), 90.0),
        ] {
            assert_eq!(seconds(&format!("{duration:?}")), Some(expected));
        }
        for text in ["", "s", "\"5s\"", "infs", "nans", "-1s", "5", "5 s", "Some(5s)", "pages"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn an_event_is_one_object_with_the_keys_of_all_lines() {
        let memory = Memory::default();
        let written = memory.clone();
        let subscriber =
            tracing_subscriber::fmt().event_format(JsonEvents).with_writer(move || memory.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(count = 3, took = ?std::time::Duration::from_millis(1500), text = "a\u{9b}\nb", error = %io::Error::other("on fire"), "it is\n{}", "late");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert!(text.starts_with("{\"time\":\"") && text.lines().count() == 1 && !text.contains('\u{9b}'), "{text}");
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&line["kind"], &line["level"], &line["message"]),
            (&json!("event"), &json!("warn"), &json!("it is\nlate"))
        );
        assert_eq!(line["target"], "wagi::observe::event::tests");
        assert_eq!(line["fields"], json!({ "count": 3, "took": 1.5, "text": "a\u{9b}\nb", "error": "on fire" }));
    }
}
