//! How is one variable of `OTEL_*` read?
//!
//! As OpenTelemetry wants it: an empty value counts as none, and one that makes no sense is reported and has no effect. A server is
//! not kept from its work because its telemetry is set up wrongly. Values are shown only where they cannot be secret.

use std::ffi::OsString;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::percent_decode_str;

use crate::config::Diagnostic;
use crate::hop_by_hop::is_hop_by_hop;
use crate::printable;

/// The fields of a request that are not for variables to set.
const OURS: [HeaderName; 3] = [header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE];

/// The longest time that a variable can set.
const MAX_MILLISECONDS: u64 = 3_600_000;

/// The variables of the process.
pub(super) struct OtelVariables<'a> {
    pub read: &'a dyn Fn(&str) -> Option<OsString>,
    pub problems: &'a mut Vec<Diagnostic>,
}

impl OtelVariables<'_> {
    /// The text of a variable.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let value = (self.read)(name)?.into_string();
        let Ok(value) = value else {
            self.warn(format!("`{name}` is not UTF-8"), "it has no effect");
            return None;
        };
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The first of these that is set: a variable for traces comes before the one for all signals.
    pub fn first(&mut self, names: [&'static str; 2]) -> Option<(&'static str, String)> {
        names.into_iter().find_map(|name| Some((name, self.text(name)?)))
    }

    /// Reports a value that has no effect.
    pub fn warn(&mut self, message: String, help: &str) {
        self.problems.push(Diagnostic::warning(message).help(help));
    }

    /// The value that a word stands for.
    pub fn choice<T>(&mut self, name: &str, value: &str, choices: &[(&str, T)]) -> Option<T>
    where
        T: Copy,
    {
        let found = choices.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let words: Vec<String> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
            let message = format!("`{name}` is `{}`, which is not supported here", printable::line(value));
            self.warn(message, &format!("use one of {}", words.join(", ")));
        }
        found
    }

    /// Whether a switch is on.
    pub fn is_true(&mut self, name: &str) -> bool {
        let Some(value) = self.text(name) else { return false };
        self.choice(name, &value.to_ascii_lowercase(), &[("true", true), ("false", false)]).unwrap_or(false)
    }

    /// A whole number.
    pub fn number(&mut self, name: &str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let Some(value) = self.text(name) else { return default };
        let number = value.parse().ok().filter(|number| range.contains(number));
        number.unwrap_or_else(|| {
            let (least, most, value) = (range.start(), range.end(), printable::line(&value));
            let message = format!("`{name}` is `{value}`, and not a whole number from {least} to {most}");
            self.warn(message, &format!("{default} is used, which is the default"));
            default
        })
    }

    /// A time in milliseconds.
    pub fn time(&mut self, name: &str, least: u64, default: u64) -> Duration {
        Duration::from_millis(self.number(name, least..=MAX_MILLISECONDS, default))
    }

    /// A list of `name=value`, of which each part is percent-encoded. All of it counts or nothing.
    pub fn pairs(&mut self, name: &str) -> Vec<(String, String)> {
        let Some(list) = self.text(name) else { return Vec::new() };
        let pairs = list.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(pair);
        let pairs: Option<Vec<_>> = pairs.collect();
        pairs.unwrap_or_else(|| {
            let message = format!("`{name}` is not a list of `NAME=VALUE`, separated by commas and percent-encoded");
            self.warn(message, "it has no effect; a comma in a value is written %2C");
            Vec::new()
        })
    }

    /// The fields of a list of `name=value`.
    pub fn fields(&mut self, name: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (key, value) in self.pairs(name) {
            let field = HeaderName::from_bytes(key.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
            match field.filter(|(name, _)| !is_hop_by_hop(name) && !OURS.contains(name)) {
                Some((name, mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(name, value);
                }
                None => {
                    let message = format!("`{name}`: `{}` is not sent as a header field", printable::line(&key));
                    self.warn(message, "fields are `NAME=VALUE` with a name of letters, digits and `-`");
                }
            }
        }
        headers
    }
}

/// A name and a value, decoded.
fn pair(pair: &str) -> Option<(String, String)> {
    let (key, value) = pair.split_once('=')?;
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(|text| text.into_owned());
    let (key, value) = (decoded(key)?, decoded(value)?);
    (!key.is_empty()).then_some((key, value))
}

#[cfg(test)]
mod tests {
    use crate::observe::traces::variables::*;

    fn with<T>(value: &str, read: impl FnOnce(&mut OtelVariables<'_>) -> T) -> (T, Vec<String>) {
        let mut problems = Vec::new();
        let value = |_: &str| Some(OsString::from(value));
        let read = read(&mut OtelVariables { read: &value, problems: &mut problems });
        (read, problems.iter().map(|problem| problem.render(false)).collect())
    }

    #[test]
    fn numbers_that_make_no_sense_are_reported_and_the_default_counts() {
        for (value, number) in [("7", 7), (" 7 ", 7), ("", 5), ("1", 1), ("10", 10)] {
            assert_eq!(with(value, |variables| variables.number("N", 1..=10, 5)), (number, vec![]), "{value}");
        }
        for value in ["0", "11", "-1", "1.5", "5s", "99999999999999999999", "\u{1b}[2J"] {
            let (number, problems) = with(value, |variables| variables.number("N", 1..=10, 5));
            assert_eq!(number, 5, "{value}");
            assert!(problems[0].contains("`N`") && problems[0].contains("from 1 to 10"), "{problems:?}");
            assert!(!problems[0].contains("\u{1b}[2J"));
        }
    }

    #[test]
    fn switches_are_true_or_false_in_any_case() {
        for (value, is_true, problems) in [
            ("true", true, 0),
            ("TRUE", true, 0),
            ("False", false, 0),
            ("", false, 0),
            ("1", false, 1),
            ("yes", false, 1),
        ] {
            let read = with(value, |variables| variables.is_true("N"));
            assert_eq!((read.0, read.1.len()), (is_true, problems), "{value}");
        }
    }

    #[test]
    fn lists_count_as_a_whole() {
        let pairs = |list: &str| with(list, |variables| variables.pairs("N"));
        let one = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        for (list, expected) in [
            ("a=b", one("a", "b")),
            (" a = b%2C%20c ,", one("a", "b, c")),
            ("a=b=c", one("a", "b=c")),
            ("a=", one("a", "")),
        ] {
            assert_eq!(pairs(list), (expected, vec![]), "{list}");
        }
        for list in ["a", "a=b,c", "=b", "a=%ff"] {
            let (read, problems) = pairs(list);
            assert_eq!((read.len(), problems.len()), (0, 1), "{list}");
        }
    }

    #[test]
    fn fields_are_secret_and_those_about_the_message_are_not_theirs() {
        let (fields, problems) =
            with("authorization=Bearer%20hush,x y=1,host=evil,te=x,a=%0d%0ab:c", |variables| variables.fields("N"));
        assert_eq!(fields.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["authorization"]);
        assert_eq!(fields[header::AUTHORIZATION], "Bearer hush");
        assert!(!format!("{fields:?}").contains("hush"));
        assert_eq!(problems.len(), 4, "{problems:?}");
    }
}
