//! How are fixed texts, ids and durations written into a log line?

use std::time::Duration;

use crate::format::push_number;

/// Appends several pieces.
pub fn push_all(line: &mut String, pieces: &[&str]) {
    for piece in pieces {
        line.push_str(piece);
    }
}

/// Appends the number of a request as 16 hexadecimal digits.
pub fn push_id(line: &mut String, id: u64) {
    for byte in id.to_be_bytes() {
        for digit in [byte >> 4, byte & 15] {
            line.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
    }
}

/// Appends a duration in whole microseconds.
pub fn push_micros(line: &mut String, duration: Duration) {
    push_number(line, u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
}
