//! How far is a client behind with the response that it takes?
//!
//! Behind what it would have taken at the lowest rate, see [`client_rate`]. The client falls behind while its guest waits for
//! it, and catches up by what it takes. It cannot get ahead: what it took quickly, or what its system took for it, gives it no
//! right to stop later. Time in which the client waits for its guest does not count.

use std::time::{Duration, Instant};

use crate::client_rate;

/// How far a client may be behind without keeping others waiting: the first time, when nothing is known about it, and once it
/// has taken more after a pause. A guest that prints a lot waits for most clients now and then, but not for longer.
const NOTICED: Duration = Duration::from_millis(20);
const NOTICED_LATER: Duration = Duration::from_millis(500);

/// How far one client is behind.
#[derive(Debug, Default)]
pub(in crate::gateway) struct ClientLag {
    behind: Duration,
    /// When the current wait began.
    since: Option<Instant>,
    /// Whether the client has been noticed, and has taken more.
    went_on: bool,
}

impl ClientLag {
    /// The guest begins to wait.
    pub fn begin_wait(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// The client has asked for more.
    pub fn end_wait(&mut self, now: Instant) {
        self.went_on |= self.is_noticed(now);
        self.behind = self.at(now);
        self.since = None;
    }

    /// The client gets this number of bytes more.
    pub fn take(&mut self, bytes: usize) {
        self.behind = self.behind.saturating_sub(client_rate::time_for(bytes as u64));
    }

    /// How far the client is behind now.
    pub fn at(&self, now: Instant) -> Duration {
        self.behind + self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// Whether the client is so far behind that its guest has to make room for others.
    pub fn is_noticed(&self, now: Instant) -> bool {
        self.at(now) >= if self.went_on { NOTICED_LATER } else { NOTICED }
    }
}

#[cfg(test)]
mod tests {
    use crate::gateway::admission::client_lag::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Lets the guest wait for a time, and gives the client some bytes then.
    fn pass(lag: &mut ClientLag, now: &mut Instant, time: Duration, bytes: usize) -> Duration {
        lag.begin_wait(*now);
        *now += time;
        let behind = lag.at(*now);
        lag.end_wait(*now);
        lag.take(bytes);
        behind
    }

    #[test]
    fn a_client_of_4_kib_a_second_does_not_fall_behind_and_a_slower_one_does() {
        for (bytes, expected) in [(1 << 20, 1), (64 << 10, 1), (4 << 10, 1), (2 << 10, 50), (1, 99)] {
            let (mut lag, mut now) = (ClientLag::default(), Instant::now());
            for _ in 0..99 {
                pass(&mut lag, &mut now, SECOND, bytes);
            }
            let behind = pass(&mut lag, &mut now, SECOND, 0);
            assert_eq!(behind.as_secs(), expected, "{bytes}");
        }
    }

    #[test]
    fn what_was_taken_quickly_gives_no_right_to_stop() {
        let (mut lag, mut now) = (ClientLag::default(), Instant::now());
        pass(&mut lag, &mut now, Duration::ZERO, 1 << 30);
        assert_eq!(pass(&mut lag, &mut now, SECOND * 10, 1), SECOND * 10);
    }

    #[test]
    fn a_client_that_waits_for_its_guest_is_not_behind() {
        let (mut lag, mut now) = (ClientLag::default(), Instant::now());
        pass(&mut lag, &mut now, Duration::ZERO, 10);
        now += SECOND * 1_000;
        assert_eq!(lag.at(now), Duration::ZERO);
        assert!(!lag.is_noticed(now));
    }

    #[test]
    fn a_client_that_has_gone_on_after_a_pause_is_noticed_later() {
        let (mut lag, mut now) = (ClientLag::default(), Instant::now());
        lag.begin_wait(now);
        assert!(!lag.is_noticed(now) && lag.is_noticed(now + NOTICED));
        now += NOTICED;
        lag.end_wait(now);
        lag.take(64 << 10);
        lag.begin_wait(now);
        assert!(!lag.is_noticed(now + NOTICED) && lag.is_noticed(now + NOTICED_LATER));
    }
}
