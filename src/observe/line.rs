//! How are fixed texts and durations written into a log line?

use std::time::Duration;

use crate::format::push_number;

/// Appends several pieces.
pub fn push_all(line: &mut String, pieces: &[&str]) {
    for piece in pieces {
        line.push_str(piece);
    }
}

/// Appends a duration in whole microseconds.
pub fn push_micros(line: &mut String, duration: Duration) {
    push_number(line, u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
}
