//! When is the time of a guest up?
//!
//! The time limits of a guest stop while it waits for its client to send more of the request. The sum of these waits has a
//! limit of its own. A guest in the background begins and ends a wait on another thread, without telling this timer. So the
//! timer, when it fires, asks how much of the time was waiting, and sleeps again for that time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::runtime::{ClientWaits, Run};

/// The shortest sleep: the timers of the runtime have this resolution.
const TICK: Duration = Duration::from_millis(1);

/// While a guest waits for its client, the timer looks again after at least this part of its limit.
const LOOKS: u32 = 32;

/// A limit on the time of a guest.
pub(super) struct GuestTimer {
    limit: Duration,
    /// Made at the first wait, reused by the others.
    sleep: Option<Pin<Box<Sleep>>>,
    started: Option<Started>,
}

struct Started {
    at: Instant,
    /// What the guest had waited for its client before.
    waited: Duration,
}

/// Whose time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeUp {
    /// The guest has used its limit.
    Guest,
    /// The client has kept the guest waiting for too long.
    Client,
}

impl GuestTimer {
    /// A timer that starts when it is first polled.
    pub fn new(limit: Duration) -> Self {
        Self { limit, sleep: None, started: None }
    }

    /// Stops the timer. It starts again with the whole limit when it is next polled.
    pub fn reset(&mut self) {
        self.started = None;
    }

    /// Ready when the guest has used its limit, or its client has.
    pub fn poll(&mut self, run: &Run, cx: &mut Context<'_>) -> Poll<TimeUp> {
        let limit = self.limit;
        if self.started.is_none() {
            self.start(run.client_waits());
        }
        let (Some(sleep), Some(started)) = (&mut self.sleep, &self.started) else { return Poll::Pending };
        loop {
            ready!(sleep.as_mut().poll(cx));
            let Some(waits) = run.client_waits() else { return Poll::Ready(TimeUp::Guest) };
            let waited = waits.total.saturating_sub(started.waited);
            match remaining(limit, started.at.elapsed().saturating_sub(waited), waits) {
                Ok(rest) => sleep.as_mut().reset(Instant::now() + rest),
                Err(up) => return Poll::Ready(up),
            }
        }
    }

    fn start(&mut self, waits: Option<ClientWaits>) {
        let first = waits.map_or(self.limit, |waits| first_look(self.limit, waits));
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                sleep.as_mut().reset(Instant::now() + first);
                sleep
            }
            empty => empty.insert(Box::pin(tokio::time::sleep(first))),
        };
        // The clock was read for the sleep already.
        let at = sleep.deadline().checked_sub(first).unwrap_or_else(Instant::now);
        self.started = Some(Started { at, waited: waits.map_or(Duration::ZERO, |waits| waits.total) });
    }
}

/// How long the client may still keep a guest waiting.
fn allowance(waits: ClientWaits) -> Duration {
    waits.limit.saturating_sub(waits.total)
}

/// When the timer looks for the first time: the guest may begin to wait at once.
fn first_look(limit: Duration, waits: ClientWaits) -> Duration {
    limit.min(allowance(waits).max(limit / LOOKS))
}

/// When the timer looks again at a guest that was active for this time, or whose time is up.
fn remaining(limit: Duration, active: Duration, waits: ClientWaits) -> Result<Duration, TimeUp> {
    let rest = limit.saturating_sub(active);
    if rest < TICK {
        return Err(TimeUp::Guest);
    }
    if !waits.waits {
        return Ok(rest.min(allowance(waits).max(limit / LOOKS)).max(TICK));
    }
    if waits.total >= waits.limit {
        return Err(TimeUp::Client);
    }
    Ok(rest.max(limit / LOOKS).min(allowance(waits)).max(TICK))
}

#[cfg(test)]
mod tests {
    use crate::gateway::guest_timer::*;

    const LIMIT: Duration = Duration::from_secs(32);
    const SECOND: Duration = Duration::from_secs(1);

    fn waits(total: u64, waits: bool) -> ClientWaits {
        ClientWaits { total: SECOND * u32::try_from(total).unwrap(), limit: SECOND * 30, waits }
    }

    #[test]
    fn the_time_of_a_guest_is_up_when_it_was_active_for_its_limit() {
        for waiting in [false, true] {
            assert_eq!(remaining(LIMIT, LIMIT, waits(5, waiting)), Err(TimeUp::Guest));
        }
        assert_eq!(remaining(LIMIT, SECOND * 12, waits(5, false)), Ok(SECOND * 20));
        assert_eq!(remaining(LIMIT, SECOND * 12, waits(5, true)), Ok(SECOND * 20));
    }

    #[test]
    fn a_guest_that_waits_with_little_time_left_is_not_looked_at_all_the_time() {
        assert_eq!(remaining(LIMIT, LIMIT - TICK, waits(5, false)), Ok(TICK));
        assert_eq!(remaining(LIMIT, LIMIT - TICK, waits(5, true)), Ok(SECOND));
    }

    #[test]
    fn the_time_of_a_client_is_up_when_it_has_kept_its_guest_waiting_for_too_long() {
        assert_eq!(remaining(LIMIT, SECOND, waits(29, true)), Ok(SECOND));
        assert_eq!(remaining(LIMIT, SECOND, waits(30, true)), Err(TimeUp::Client));
        assert_eq!(remaining(LIMIT, SECOND, waits(30, false)), Ok(SECOND));
    }

    #[test]
    fn a_limit_longer_than_a_client_may_take_does_not_give_it_more_time() {
        assert_eq!(first_look(LIMIT * 100, waits(0, false)), LIMIT * 100 / LOOKS);
        assert_eq!(first_look(LIMIT, waits(0, false)), SECOND * 30);
        assert_eq!(first_look(SECOND, waits(0, false)), SECOND);
    }
}
