//! How are values formatted that more than one room writes?
//!
//! Numbers quickly: `std::fmt` takes ten times as many instructions, which shows where it is done for each
//! request. Versions of HTTP, bytes, digests, counts and errors in one way everywhere.

use std::error::Error;
use std::fmt::Display;
use std::iter;

use http::Version;
use sha2::{Digest as _, Sha256};

/// Appends a number in decimal.
pub fn push_number(text: &mut String, number: u64) {
    text.push_str(itoa::Buffer::new().format(number));
}

/// A number with what is counted: `1 entry`, `2 entries`.
pub fn counted<N: Display + PartialEq + From<u8>>(number: N, one: &str, several: &str) -> String {
    let what = if number == N::from(1) { one } else { several };
    format!("{number} {what}")
}

/// The name of an HTTP version in SERVER_PROTOCOL (RFC 3875 §4.1.16) and in the log.
pub fn http_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// What an error says, and then what each of its causes says.
pub fn causes<'a>(error: &'a (dyn Error + 'a)) -> impl Iterator<Item = String> {
    iter::successors(Some(error), |&error| error.source()).map(ToString::to_string)
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The SHA-256 of `bytes` in lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use crate::format::*;

    #[test]
    fn numbers_read_as_std_writes_them() {
        for number in [0, 9, 10, 123_456, u64::MAX] {
            let mut text = String::new();
            push_number(&mut text, number);
            assert_eq!(text, number.to_string());
        }
    }

    #[test]
    fn one_is_counted_in_the_singular() {
        let entries = [0_usize, 1, 2, 101].map(|number| counted(number, "entry", "entries"));
        assert_eq!(entries, ["0 entries", "1 entry", "2 entries", "101 entries"]);
    }

    #[test]
    fn bytes_are_lower_case_digits_with_their_zeros() {
        assert_eq!(hex(&[0, 0x0a, 0xff]), "000aff");
        assert_eq!(sha256_hex(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
