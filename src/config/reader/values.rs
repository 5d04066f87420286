//! Parsing single TOML values: strings, numbers, durations, sizes.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::format::counted;

/// A TOML value with its span.
pub(in crate::config) type Value<'i> = Spanned<DeValue<'i>>;

/// A string with its span.
#[derive(Clone, Debug)]
pub(in crate::config) struct SpannedStr<'t> {
    pub text: &'t str,
    pub span: Range<usize>,
}

/// The longest duration. With this maximum, adding it to a point in time never overflows.
const MAX_DURATION: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A problem with a value. The caller, which knows the location, turns it into a diagnostic.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::config) struct ValueError {
    pub message: String,
    pub label: Option<String>,
    pub help: Option<String>,
}

impl ValueError {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), label: None, help: None }
    }

    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

fn wrong_type(name: &str, expected: &str, value: &DeValue<'_>) -> ValueError {
    let found = match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    let error = ValueError::new(format!("`{name}` must be {expected}")).label(format!("this is {found}"));
    ValueError { help: example(name).map(|example| format!("write {example}")), ..error }
}

/// A value of a key as it is written, for the keys whose type is easily mistaken.
fn example(name: &str) -> Option<&'static str> {
    // That of `watch[0]` is that of `watch`.
    Some(match name.split_once('[').map_or(name, |(name, _)| name) {
        "route" => "`route = \"/hello/...\"`",
        "module" => "`module = \"hello.wasm\"`",
        "argv" => "`argv = [\"python\", \"/app.py\", \"${PATH_INFO}\"]`, or one string with all arguments",
        "unknown_imports" => "`unknown_imports = \"refuse\"` or `unknown_imports = \"trap\"`",
        "volumes" => "`volumes = { \"/data\" = \"DIR\" }`, the path in the guest and the directory of this machine",
        "environment" => "`environment = { NAME = \"value\" }`",
        "secrets" => "`secrets = { NAME = \"FILE\" }`, a file with the value",
        "host" => "`host = \"example.com\"` or `host = [\"example.com\", \"*.example.com\"]`",
        "allowed_hosts" => "`allowed_hosts = [\"https://example.com\"]`",
        "build" => "`build = \"cargo build --release --target wasm32-wasip1\"`",
        "watch" => "`watch = [\"src\"]`",
        "limits" => "`limits = { memory = \"64MiB\" }`",
        "default_host" => "`default_host = \"example.com\"`",
        "listen" => "`listen = [\"127.0.0.1:3000\"]`",
        "trusted_proxies" => "`trusted_proxies = [\"10.0.0.0/8\", \"::1\", \"unix\"]`",
        "server_name" => "`server_name = \"example.com\"`",
        "directory" => "`directory = \"public\"`",
        "file" => "`file = \"robots.txt\"`",
        "index" => "`index = [\"index.html\"]`",
        "fallback" => "`fallback = \"index.html\"`",
        "cache_control" => "`cache_control = \"max-age=3600\"`",
        "headers" => "`headers = { Content-Security-Policy = \"default-src 'self'\" }`",
        "server" => "`[server]`, and its keys below it",
        "debug" => "`[debug]`, and its keys below it",
        "coredump_directory" => "`coredump_directory = \"coredumps\"`",
        "verify" => "`verify = { key = \"cosign.pub\" }`",
        "tls" => "`[tls]`, and its keys below it",
        _ => return None,
    })
}

/// Parses a string without NUL. Neither guests nor the file system accept a NUL.
pub(in crate::config) fn string<'v>(name: &str, value: &'v DeValue<'_>) -> Result<&'v str, ValueError> {
    let text = value.as_str().ok_or_else(|| wrong_type(name, "a string", value))?;
    if text.contains('\0') {
        return Err(ValueError::new(format!("`{name}` must not contain a NUL character")));
    }
    Ok(text)
}

pub(in crate::config) fn boolean(name: &str, value: &DeValue<'_>) -> Result<bool, ValueError> {
    value.as_bool().ok_or_else(|| wrong_type(name, "`true` or `false`", value))
}

pub(in crate::config) fn array<'v, 'i>(
    name: &str,
    expected: &str,
    value: &'v DeValue<'i>,
) -> Result<&'v [Value<'i>], ValueError> {
    value.as_array().map(|array| &**array).ok_or_else(|| wrong_type(name, expected, value))
}

/// An item of an array of strings, with its name in messages, such as `watch[0]`.
pub(in crate::config) struct StringItem<'v, 'i> {
    pub name: String,
    pub value: &'v Value<'i>,
}

impl<'v> StringItem<'v, '_> {
    /// The item, which has to be a string without NUL.
    pub fn string(&self) -> Result<&'v str, ValueError> {
        string(&self.name, self.value.get_ref())
    }

    pub fn span(&self) -> Range<usize> {
        self.value.span()
    }
}

/// The items of an array of strings; a string stands for an array with it alone.
pub(in crate::config) fn string_or_array<'v, 'i>(
    name: &str,
    value: &'v Value<'i>,
) -> Result<Vec<StringItem<'v, 'i>>, ValueError> {
    match value.get_ref() {
        DeValue::String(_) => Ok(vec![StringItem { name: name.to_owned(), value }]),
        other => items(name, "a string or an array of strings", other),
    }
}

/// The items of an array of strings.
pub(in crate::config) fn strings<'v, 'i>(
    name: &str,
    value: &'v DeValue<'i>,
) -> Result<Vec<StringItem<'v, 'i>>, ValueError> {
    items(name, "an array of strings", value)
}

fn items<'v, 'i>(name: &str, expected: &str, value: &'v DeValue<'i>) -> Result<Vec<StringItem<'v, 'i>>, ValueError> {
    let values = array(name, expected, value)?.iter().enumerate();
    Ok(values.map(|(index, value)| StringItem { name: format!("{name}[{index}]"), value }).collect())
}

pub(in crate::config) fn table<'v, 'i>(name: &str, value: &'v DeValue<'i>) -> Result<&'v DeTable<'i>, ValueError> {
    value.as_table().ok_or_else(|| wrong_type(name, "a table", value))
}

/// Parses a whole number within `range`.
pub(in crate::config) fn count(name: &str, value: &DeValue<'_>, range: RangeInclusive<u64>) -> Result<u64, ValueError> {
    let integer = value.as_integer().ok_or_else(|| wrong_type(name, "a whole number", value))?;
    let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        ValueError::new(match *range.end() {
            u64::MAX => format!("`{name}` must be at least {}", range.start()),
            end => format!("`{name}` must be between {} and {end}", range.start()),
        })
    })
}

/// Parses a duration such as `"30s"`, longer than zero.
pub(in crate::config) fn duration(name: &str, value: &DeValue<'_>) -> Result<Duration, ValueError> {
    let duration = duration_or_zero(name, value)?;
    if duration.is_zero() {
        return Err(ValueError::new(format!("`{name}` must be longer than 0 and at most 365 days")));
    }
    Ok(duration)
}

/// Parses a duration such as `"30s"` or `"0s"`.
pub(in crate::config) fn duration_or_zero(name: &str, value: &DeValue<'_>) -> Result<Duration, ValueError> {
    let expected = "a duration such as `\"30s\"` or `\"500ms\"`";
    let text = match value {
        DeValue::String(text) => text.trim(),
        DeValue::Integer(number) => {
            return Err(wrong_type(name, expected, value).help(format!("with its unit: `\"{}s\"`", number.as_str())));
        }
        _ => return Err(wrong_type(name, expected, value)),
    };
    let parsed = humantime::parse_duration(text)
        .map_err(|error| ValueError::new(format!("`{name}` must be {expected}")).label(error.to_string()))?;
    if parsed > MAX_DURATION {
        return Err(ValueError::new(format!("`{name}` must be longer than 0 and at most 365 days")));
    }
    Ok(parsed)
}

/// Parses a number of bytes within `range`: an integer, or a string such as `"64KiB"`.
pub(in crate::config) fn size(name: &str, value: &DeValue<'_>, range: RangeInclusive<u64>) -> Result<u64, ValueError> {
    let bytes = any_size(name, value)?;
    if range.contains(&bytes) {
        return Ok(bytes);
    }
    Err(ValueError::new(match *range.end() {
        u64::MAX => format!("`{name}` must be at least {}", in_bytes(*range.start())),
        end => format!("`{name}` must be between {} and {}", in_bytes(*range.start()), in_bytes(end)),
    }))
}

/// Like [`size`], but `0`, `"none"` and `"unlimited"` mean no limit.
pub(in crate::config) fn size_or_unlimited(
    name: &str,
    value: &DeValue<'_>,
    range: RangeInclusive<u64>,
) -> Result<Option<u64>, ValueError> {
    if is_unlimited(value) { Ok(None) } else { size(name, value, range).map(Some) }
}

/// Returns whether `value` is `0`, `"none"` or `"unlimited"`.
pub(in crate::config) fn is_unlimited(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Integer(number) => number.as_str() == "0",
        DeValue::String(text) => ["none", "unlimited", "0"].contains(&text.trim()),
        _ => false,
    }
}

fn any_size(name: &str, value: &DeValue<'_>) -> Result<u64, ValueError> {
    let expected = "a number of bytes or a size such as `\"64KiB\"`, `\"10MiB\"` or `\"1GB\"`";
    let parsed = match value {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        DeValue::String(text) => parse_size(text.trim()),
        _ => return Err(wrong_type(name, expected, value)),
    };
    parsed.ok_or_else(|| ValueError::new(format!("`{name}` must be {expected}")))
}

fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// A number of bytes, with a unit if that is exact.
pub(in crate::config) fn in_bytes(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => counted(bytes, "byte", "bytes"),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::reader::values::*;

    fn value(text: &str) -> DeValue<'_> {
        DeValue::parse(text).expect(text).into_inner()
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        for (text, bytes) in [
            ("1", Some(1)),
            ("0x10", Some(16)),
            ("'64KiB'", Some(65_536)),
            ("'10 MiB'", Some(10 << 20)),
            ("'1GiB'", Some(1 << 30)),
            ("'10MB'", Some(10_000_000)),
            ("'5kb'", Some(5_000)),
            ("' 7 '", Some(7)),
            ("'7B'", Some(7)),
            ("-1", None),
            ("1.5", None),
            ("true", None),
            ("''", None),
            ("'KiB'", None),
            ("'1.5MiB'", None),
            ("'10M'", None),
            ("'-1KiB'", None),
            ("'99999999999GiB'", None),
            ("99999999999999999999", None),
            ("'1KiB 2'", None),
        ] {
            assert_eq!(any_size("x", &value(text)).ok(), bytes, "{text}");
        }
    }

    #[test]
    fn durations_have_a_unit_and_an_end() {
        for (text, seconds) in [
            ("'30s'", Some(30.0)),
            ("'500ms'", Some(0.5)),
            ("'1m 30s'", Some(90.0)),
            ("'365d'", Some(31_536_000.0)),
            ("'0s'", None),
            ("'366d'", None),
            ("'99999999999999y'", None),
            ("'-1s'", None),
            ("'30'", None),
            ("''", None),
            ("30", None),
            ("1.5", None),
            ("07:32:00", None),
        ] {
            assert_eq!(duration("x", &value(text)).ok().map(|d| d.as_secs_f64()), seconds, "{text}");
        }
        let error = duration("queue_wait", &value("30")).expect_err("no unit");
        assert_eq!(error.help.as_deref(), Some("with its unit: `\"30s\"`"));
    }

    #[test]
    fn a_number_out_of_bounds_is_told_the_bounds() {
        let message = |error: Result<u64, ValueError>| error.expect_err("out of bounds").message;
        assert_eq!(message(count("x", &value("0"), 1..=u64::MAX)), "`x` must be at least 1");
        assert_eq!(message(count("x", &value("-3"), 1..=9)), "`x` must be between 1 and 9");
        assert_eq!(message(size("x", &value("1"), 65_536..=1 << 32)), "`x` must be between 64KiB and 4GiB");
        assert_eq!(message(size("x", &value("1"), 100..=u64::MAX)), "`x` must be at least 100 bytes");
        assert_eq!(count("x", &value("0b11"), 1..=9), Ok(3));
    }

    #[test]
    fn no_limit_is_written_in_three_ways() {
        for text in ["0", "'none'", "'unlimited'", "'0'"] {
            assert_eq!(size_or_unlimited("x", &value(text), 1..=9), Ok(None), "{text}");
        }
        assert_eq!(size_or_unlimited("x", &value("5"), 1..=9), Ok(Some(5)));
        assert!(size_or_unlimited("x", &value("'all'"), 1..=9).is_err());
    }
}
