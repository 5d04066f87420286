//! How slowly may a client send the body of a request, or take that of a response? One rate for bodies that a guest reads as
//! they come, for bodies that are collected first, and for what a guest prints.

use std::time::Duration;

/// How long a client may keep its reader waiting however little it sends: enough for a bad start.
const GRACE: Duration = Duration::from_secs(30);

/// The rate at which a body has to move after that. A slow mobile network is faster.
const MIN_BYTES_PER_SECOND: u64 = 4 * 1024;

/// The longest time for which a client may keep its reader waiting in all, if it has sent `received` bytes.
pub(crate) fn longest_wait(received: u64) -> Duration {
    GRACE.saturating_add(time_for(received))
}

/// The longest time in which a client moves this number of bytes, if it is fast enough.
pub(crate) fn time_for(bytes: u64) -> Duration {
    Duration::from_micros(bytes.saturating_mul(1_000_000) / MIN_BYTES_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_4_kib_a_second_is_never_too_slow() {
        assert_eq!(longest_wait(0), GRACE);
        for second in [1, 60, 3_600] {
            assert_eq!(longest_wait(second * MIN_BYTES_PER_SECOND), GRACE + Duration::from_secs(second));
            assert_eq!(time_for(second * MIN_BYTES_PER_SECOND), Duration::from_secs(second));
        }
        assert!(longest_wait(u64::MAX) > GRACE);
    }
}
