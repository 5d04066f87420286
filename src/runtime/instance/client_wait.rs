//! How long has a guest waited for its client?
//!
//! The time limits of a guest stop while it waits for more of the request body. Each poll of the guest ends a wait. A new wait
//! begins only if the guest is blocked in a read of the body after the poll. A guest that has begun a read, and then sleeps,
//! computes or calls a server, does not wait for its client.
//!
//! | which read | how a pending read is recognized |
//! | --- | --- |
//! | of stdin, by modules and components of WASI 0.2 | the guest is blocked in the read: [`set_reading`](ClientWait::set_reading) |
//! | of the body of a WASI 0.2 request | it was polled, and it is polled again at the next poll of the guest: [`claim`](ClientWait::claim) |
//! | of a stream of WASI 0.3 | it stays pending while the guest does other things, which are counted: [`set_streaming`](ClientWait::set_streaming) |

use std::time::{Duration, Instant};

use crate::client_rate;

/// A pause between two polls that is not longer than this is a wait only if the client has sent something when it ends. A guest
/// of WASI 0.3 that yields all the time has many such pauses.
const SHORT: Duration = Duration::from_millis(1);

/// The waits of one guest for its client.
#[derive(Debug, Default)]
pub(in crate::runtime) struct ClientWait {
    reading: bool,
    claimed: bool,
    streaming: bool,
    /// How many other things a guest of WASI 0.3 waits for at the same time.
    others: usize,
    /// Whether the guest computes now, or could compute.
    runs: bool,
    /// When the current wait began.
    since: Option<Instant>,
    /// The last wait, if it was short.
    short: Duration,
    /// The sum of all waits that are over.
    total: Duration,
    /// The bytes that the client has sent.
    received: u64,
}

/// The waits of a guest for its client, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientWaits {
    /// The sum of all waits, up to now.
    pub total: Duration,
    /// The limit on this sum.
    pub limit: Duration,
    /// Whether the guest waits now.
    pub waits: bool,
}

impl ClientWait {
    /// The guest is about to be polled.
    pub fn begin_poll(&mut self) {
        self.runs = true;
        (self.reading, self.claimed) = (false, false);
        self.end_wait();
    }

    /// The guest has been polled. If it `can_go_on`, it does not wait for anything.
    pub fn end_poll(&mut self, can_go_on: bool) {
        self.short = Duration::ZERO;
        self.runs = can_go_on;
        self.update();
    }

    /// Sets whether the guest is blocked in a read.
    pub fn set_reading(&mut self, reading: bool) {
        self.reading = reading;
    }

    /// A read was polled and is pending. The guest is blocked in it if the next poll of the guest claims the same.
    pub fn claim(&mut self) {
        self.claimed = true;
    }

    /// Whether a read was polled and is pending. Resets it.
    pub fn take_claim(&mut self) -> bool {
        std::mem::take(&mut self.claimed)
    }

    /// Sets whether a read of a stream is pending, whatever else the guest does.
    pub fn set_streaming(&mut self, streaming: bool) {
        self.streaming = streaming;
        self.update();
    }

    /// The guest waits for one more thing other than its client.
    pub fn add_other(&mut self) {
        self.others += 1;
        self.update();
    }

    /// The guest waits for one thing less other than its client.
    pub fn remove_other(&mut self) {
        self.others = self.others.saturating_sub(1);
        self.update();
    }

    /// Counts bytes that the client has sent. Returns `false` if it has taken too long for that.
    #[must_use]
    pub fn receive(&mut self, bytes: usize) -> bool {
        self.total += std::mem::take(&mut self.short);
        self.received = self.received.saturating_add(bytes as u64);
        self.total <= client_rate::longest_wait(self.received)
    }

    /// The waits so far.
    pub fn waits(&self) -> ClientWaits {
        let current = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        ClientWaits {
            total: self.total + current,
            limit: client_rate::longest_wait(self.received),
            waits: self.since.is_some(),
        }
    }

    fn update(&mut self) {
        let waits = !self.runs && (self.reading || self.claimed || (self.streaming && self.others == 0));
        if !waits {
            self.end_wait();
        } else if self.since.is_none() {
            self.since = Some(Instant::now());
        }
    }

    fn end_wait(&mut self) {
        let Some(since) = self.since.take() else { return };
        let waited = since.elapsed();
        if waited <= SHORT { self.short = waited } else { self.total += waited }
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::instance::client_wait::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Lets time pass for the current wait, if there is one.
    fn pass(wait: &mut ClientWait, time: Duration) {
        wait.since = wait.since.and_then(|since| since.checked_sub(time));
    }

    /// Polls a guest that does this and lets a second pass. Returns the seconds of it that the guest has waited.
    fn poll(wait: &mut ClientWait, guest: impl FnOnce(&mut ClientWait), can_go_on: bool) -> u64 {
        let before = wait.waits().total;
        wait.begin_poll();
        guest(wait);
        wait.end_poll(can_go_on);
        pass(wait, SECOND);
        (wait.waits().total - before).as_secs()
    }

    #[test]
    fn a_guest_waits_only_if_its_last_poll_has_left_a_read_pending() {
        let mut wait = ClientWait::default();
        assert_eq!(poll(&mut wait, |wait| wait.set_reading(true), false), 1);
        assert_eq!(poll(&mut wait, |_| (), false), 0);
        assert_eq!(poll(&mut wait, ClientWait::claim, false), 1);
        assert_eq!(poll(&mut wait, |_| (), false), 0);
        assert_eq!(wait.waits().total.as_secs(), 2);
    }

    #[test]
    fn a_guest_whose_time_slice_is_over_does_not_wait() {
        let mut wait = ClientWait::default();
        assert_eq!(poll(&mut wait, |wait| wait.set_reading(true), true), 0);
        assert_eq!(poll(&mut wait, |wait| wait.set_streaming(true), true), 0);
        assert_eq!(poll(&mut wait, |_| (), false), 1);
    }

    #[test]
    fn a_stream_that_is_pending_counts_unless_the_guest_waits_for_something_else() {
        let mut wait = ClientWait::default();
        assert_eq!(poll(&mut wait, |wait| wait.set_streaming(true), false), 1);
        assert_eq!(poll(&mut wait, ClientWait::add_other, false), 0);
        assert_eq!(poll(&mut wait, ClientWait::remove_other, false), 1);
        assert_eq!(poll(&mut wait, |wait| wait.set_streaming(false), false), 0);
    }

    #[test]
    fn short_pauses_count_only_if_the_client_sends() {
        for sends in [false, true] {
            let mut wait = ClientWait::default();
            wait.set_streaming(true);
            wait.begin_poll();
            wait.end_poll(false);
            pass(&mut wait, SHORT / 2);
            wait.begin_poll();
            assert!(!sends || wait.receive(1));
            wait.set_streaming(false);
            wait.end_poll(false);
            assert_eq!(wait.waits().total > Duration::ZERO, sends);
        }
    }

    #[test]
    fn a_client_that_keeps_its_reader_waiting_for_too_long_is_too_slow() {
        let mut wait = ClientWait::default();
        let limit = client_rate::longest_wait(0).as_secs();
        for second in 0..limit + 10 {
            wait.begin_poll();
            assert_eq!(wait.receive(1), second <= limit, "{second}");
            wait.set_reading(true);
            wait.end_poll(false);
            pass(&mut wait, SECOND);
        }
    }

    #[test]
    fn a_client_that_is_slow_only_while_nothing_is_read_is_not_too_slow() {
        let mut wait = ClientWait::default();
        for _ in 0..100 {
            wait.begin_poll();
            wait.end_poll(false);
            pass(&mut wait, SECOND);
            wait.begin_poll();
            assert!(wait.receive(1));
        }
    }
}
