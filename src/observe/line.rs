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
    let digits: [u8; 16] = std::array::from_fn(|place| b"0123456789abcdef"[(id >> (60 - 4 * place)) as usize & 15]);
    line.push_str(std::str::from_utf8(&digits).unwrap_or_default());
}

/// Appends a duration in whole microseconds.
pub fn push_micros(line: &mut String, duration: Duration) {
    push_number(line, u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
}
