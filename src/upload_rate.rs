//! How slowly may a client send the body of a request? One rule for bodies that a guest reads as they come and for bodies
//! that are collected first.

use std::time::Duration;

/// How long a client may keep its reader waiting however little it sends: enough for a bad start.
const GRACE: Duration = Duration::from_secs(30);

/// The rate at which a body has to come in after that. A slow mobile network is faster.
const MIN_BYTES_PER_SECOND: u64 = 4 * 1024;

/// The longest time for which a client may keep its reader waiting in all, if it has sent `received` bytes.
pub(crate) fn longest_wait(received: u64) -> Duration {
    GRACE.saturating_add(Duration::from_micros(received.saturating_mul(1_000_000) / MIN_BYTES_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_of_4_kib_a_second_is_never_too_slow() {
        assert_eq!(longest_wait(0), GRACE);
        for second in [1, 60, 3_600] {
            assert_eq!(longest_wait(second * MIN_BYTES_PER_SECOND), GRACE + Duration::from_secs(second));
        }
        assert!(longest_wait(u64::MAX) > GRACE);
    }
}
