//! Which part of a file is asked for?
//!
//! One range of bytes (RFC 9110 §14.1.2). Several ranges, other units and what makes no sense ask for the whole file.

use http::HeaderMap;
use http::header::RANGE;

/// The part of a file that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FilePart {
    Whole,
    /// The `length` bytes from an offset.
    Range {
        start: u64,
        length: u64,
    },
    /// A range that begins behind the end.
    Unsatisfiable,
}

impl FilePart {
    /// What a request asks for of a file of this length.
    pub fn of(headers: &HeaderMap, length: u64) -> Self {
        let mut values = headers.get_all(RANGE).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Self::Whole };
        // An empty file has no part, and clients that go on with a transfer ask for `bytes=0-`: nginx and Go send it whole too.
        let value = value.to_str().ok().filter(|_| length > 0);
        value.and_then(|value| parse(value, length)).unwrap_or(Self::Whole)
    }
}

fn parse(value: &str, length: u64) -> Option<FilePart> {
    let (unit, range) = value.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let part = |start: u64, end: u64| match end.min(length).checked_sub(start) {
        Some(0) | None => FilePart::Unsatisfiable,
        Some(length) => FilePart::Range { start, length },
    };
    match (first, last) {
        ("", suffix) => {
            let suffix = number(suffix)?;
            Some(part(length.saturating_sub(suffix), length))
        }
        (first, "") => Some(part(number(first)?, length)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| part(first, last.saturating_add(1)))
        }
    }
}

/// A number as HTTP writes it. One that is too large is larger than any file.
fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use crate::static_files::range::*;

    #[test]
    fn one_range_is_a_part_and_anything_else_the_whole() {
        let range = |start, length| FilePart::Range { start, length };
        for (value, expected) in [
            ("bytes=0-0", range(0, 1)),
            ("bytes=0-9", range(0, 10)),
            ("bytes=0-99", range(0, 10)),
            ("bytes=2-", range(2, 8)),
            ("bytes=9-9", range(9, 1)),
            ("bytes=-3", range(7, 3)),
            ("bytes=-99", range(0, 10)),
            ("BYTES=1-1", range(1, 1)),
            ("bytes=0-99999999999999999999999", range(0, 10)),
            ("bytes=10-", FilePart::Unsatisfiable),
            ("bytes=10-12", FilePart::Unsatisfiable),
            ("bytes=99999999999999999999999-", FilePart::Unsatisfiable),
            ("bytes=-0", FilePart::Unsatisfiable),
            ("bytes=3-2", FilePart::Whole),
            ("bytes=0-1,3-4", FilePart::Whole),
            ("bytes=0-1,", FilePart::Whole),
            ("bytes=-", FilePart::Whole),
            ("bytes=", FilePart::Whole),
            ("bytes", FilePart::Whole),
            ("bytes=a-b", FilePart::Whole),
            ("bytes=+1-2", FilePart::Whole),
            ("bytes=1--2", FilePart::Whole),
            ("items=0-1", FilePart::Whole),
            ("", FilePart::Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_str(value).expect("a value"));
            assert_eq!(FilePart::of(&headers, 10), expected, "{value}");
            headers.append(RANGE, HeaderValue::from_static("bytes=0-0"));
            assert_eq!(FilePart::of(&headers, 10), FilePart::Whole, "{value}, twice");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(FilePart::of(&headers, 10), FilePart::Whole);
        headers.insert(RANGE, HeaderValue::from_static("bytes=0-"));
        assert_eq!(FilePart::of(&headers, 0), FilePart::Whole);
    }
}
