//! When was a line written?
//!
//! In UTC with milliseconds, as RFC 3339 has it. All lines of a second share the text up to the second, so each thread
//! caches the last one it has formatted.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A second since 1970 and its text, without the fraction and the time zone.
struct Second {
    number: u64,
    text: String,
}

thread_local! {
    static LAST: RefCell<Second> = const { RefCell::new(Second { number: u64::MAX, text: String::new() }) };
}

/// Appends the current time.
pub fn push_now(line: &mut String) -> fmt::Result {
    push(line, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn push(line: &mut String, now: Duration) -> fmt::Result {
    LAST.with_borrow_mut(|last| {
        if last.number != now.as_secs() {
            last.number = u64::MAX;
            last.text.clear();
            write!(last.text, "{}", humantime::format_rfc3339_seconds(UNIX_EPOCH + now))?;
            // Its last letter is the time zone.
            last.text.pop();
            last.number = now.as_secs();
        }
        line.push_str(&last.text);
        Ok(())
    })?;
    line.push('.');
    for place in [100, 10, 1] {
        line.push(char::from_digit(now.subsec_millis() / place % 10, 10).unwrap_or('0'));
    }
    line.push('Z');
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::observe::time::*;

    #[test]
    fn a_cached_second_gives_the_text_of_humantime() {
        for millis in [0, 1, 999, 1_000, 1_010, 1_700_000_000_123, 1_700_000_000_124, 951_782_399_999, 951_782_400_000]
        {
            let mut line = String::new();
            let now = Duration::from_millis(millis);
            push(&mut line, now).unwrap();
            assert_eq!(line, humantime::format_rfc3339_millis(UNIX_EPOCH + now).to_string());
        }
    }
}
