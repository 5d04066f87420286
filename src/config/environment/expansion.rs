//! `${NAME}` in a value is replaced by a variable of the server's own environment.
//!
//! As in a shell, `${NAME:-text}` becomes the text if the variable is not set or empty. `$${` becomes `${`. Every other
//! `$` stays as it is.

use std::ops::Range;

use crate::config::ServerEnvironment;
use crate::config::reader::values::ValueError;

const OPENING: &str = "${";

/// Why a text cannot be expanded.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config) struct ExpansionError {
    /// The index of the faulty `${` in the text.
    nth: usize,
    reason: ExpansionProblem,
}

#[derive(Debug, PartialEq, Eq)]
enum ExpansionProblem {
    InvalidName,
    Unclosed,
    NotSet(String),
    NotUtf8(String),
}

/// Returns `text` with every `${...}` replaced.
pub(in crate::config) fn expand(text: &str, server: &ServerEnvironment) -> Result<String, ExpansionError> {
    let mut expanded = String::new();
    let mut rest = text;
    let mut nth = 0;
    while let Some((before, behind)) = rest.split_once(OPENING) {
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str(OPENING);
            rest = behind;
        } else {
            expanded.push_str(before);
            let replaced =
                parse_placeholder(behind).and_then(|(placeholder, behind)| Ok((placeholder.value(server)?, behind)));
            let (value, behind) = replaced.map_err(|reason| ExpansionError { nth, reason })?;
            expanded.push_str(&value);
            rest = behind;
        }
        nth += 1;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// A `${NAME}` or `${NAME:-default}`.
struct Placeholder<'t> {
    name: &'t str,
    default: Option<&'t str>,
}

/// Parses the placeholder at the start of `text`, which follows a `${`. Returns it and the rest behind it.
fn parse_placeholder(text: &str) -> Result<(Placeholder<'_>, &str), ExpansionProblem> {
    let (inner, behind) = text.split_once('}').ok_or(ExpansionProblem::Unclosed)?;
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if name.is_empty() || !is_name || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(ExpansionProblem::InvalidName);
    }
    Ok((Placeholder { name, default }, behind))
}

impl Placeholder<'_> {
    fn value(&self, server: &ServerEnvironment) -> Result<String, ExpansionProblem> {
        let value = server.variable(self.name);
        match (value.filter(|value| self.default.is_none() || !value.is_empty()), self.default) {
            (Some(value), _) => value.into_string().map_err(|_| ExpansionProblem::NotUtf8(self.name.to_owned())),
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(ExpansionProblem::NotSet(self.name.to_owned())),
        }
    }
}

impl ExpansionError {
    /// Returns the message: it contains names, never values.
    pub fn value_error(&self) -> ValueError {
        let literally = "write `$${` for the text `${`";
        match &self.reason {
            ExpansionProblem::NotSet(name) => {
                ValueError::new(format!("the server's environment has no variable `{name}`"))
                    .help(format!("set it, or write `${{{name}:-text}}` for a text to use instead; {literally}"))
            }
            ExpansionProblem::NotUtf8(name) => {
                ValueError::new(format!("the variable `{name}` of the server's environment is not UTF-8"))
            }
            ExpansionProblem::InvalidName => ValueError::new("a `${` that is neither `${NAME}` nor `${NAME:-text}`")
                .help(format!("names are letters, digits and `_`; {literally}")),
            ExpansionProblem::Unclosed => ValueError::new("a `${` without its `}`").help(literally),
        }
    }

    /// Returns where the faulty `${` is in the `text` of the file, if `span` is the value.
    pub fn span(&self, text: &str, span: Range<usize>) -> Range<usize> {
        let written = text.get(span.clone()).unwrap_or_default();
        // A `$` can be written as an escape sequence of TOML. Then the span is the whole value.
        let Some((at, _)) = written.match_indices(OPENING).nth(self.nth) else { return span };
        let length = written.get(at..).and_then(|rest| rest.find('}')).map_or(OPENING.len(), |end| end + 1);
        span.start + at..span.start + at + length
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    use crate::config::environment::expansion::*;

    fn server() -> ServerEnvironment {
        ServerEnvironment::new(|name| match name {
            "A" => Some("a".into()),
            "_B2" => Some("${A}".into()),
            "EMPTY" => Some("".into()),
            "BYTES" => Some(OsString::from_vec(vec![0xff])),
            _ => None,
        })
    }

    #[test]
    fn variables_are_replaced_where_they_are_asked_for() {
        for (text, expanded) in [
            ("", ""),
            ("plain", "plain"),
            ("${A}", "a"),
            ("x${A}y${A}", "xaya"),
            ("${_B2}", "${A}"),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("${NONE:-d e}", "d e"),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("${A:-d}", "a"),
            ("$A $ $$ $$A pa$$word {A}", "$A $ $$ $$A pa$$word {A}"),
            ("$${A}", "${A}"),
            ("$${", "${"),
            ("$${A}${A}", "${A}a"),
            ("$$${A}", "$${A}"),
            ("é${A}é", "éaé"),
        ] {
            assert_eq!(expand(text, &server()).as_deref(), Ok(expanded), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_pointed_at() {
        for (text, reason, piece) in [
            ("${A}${NONE}", ExpansionProblem::NotSet("NONE".to_owned()), "${NONE}"),
            ("$${A}${NONE}", ExpansionProblem::NotSet("NONE".to_owned()), "${NONE}"),
            ("${BYTES}", ExpansionProblem::NotUtf8("BYTES".to_owned()), "${BYTES}"),
            ("${BYTES:-d}", ExpansionProblem::NotUtf8("BYTES".to_owned()), "${BYTES:-d}"),
            ("x${}", ExpansionProblem::InvalidName, "${}"),
            ("${A-d}", ExpansionProblem::InvalidName, "${A-d}"),
            ("${1}", ExpansionProblem::InvalidName, "${1}"),
            ("${É}", ExpansionProblem::InvalidName, "${É}"),
            ("${ A }", ExpansionProblem::InvalidName, "${ A }"),
            ("${:-d}", ExpansionProblem::InvalidName, "${:-d}"),
            ("${A:?}", ExpansionProblem::InvalidName, "${A:?}"),
            ("a ${A", ExpansionProblem::Unclosed, "${"),
        ] {
            let error = expand(text, &server()).expect_err(text);
            assert_eq!(error.reason, reason, "{text}");
            let written = format!("A = '{text}'");
            let place = error.span(&written, 4..written.len());
            assert_eq!(written.get(place), Some(piece), "{text}");
            assert_eq!(error.span("\"\\u0024{A}\"", 0..11), 0..11);
        }
    }
}
