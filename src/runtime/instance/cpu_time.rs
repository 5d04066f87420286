//! How much time has a guest used, and is its time slice over?
//!
//! Wasm code looks at its engine's epoch at every loop and call; a ticker thread moves the epochs on. When a guest meets a
//! new epoch the [`CpuTimer`] decides: go on, give way (its slice is over, see `executors`), or stop (its CPU limit is reached).
//! Only time spent inside a poll of the guest counts, so waiting for input or a timer costs a guest nothing.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use wasmtime::{Result, UpdateDeadline};

use crate::runtime::engine::ticker::TICK;
use crate::runtime::instance::ending::CpuTimeUsedUp;

/// What a guest may compute in one go on the threads that serve everybody.
const SLICE: Duration = TICK;

/// What it may compute there altogether: one that rests for a moment between slices is no better for its neighbours.
const SLICES_IN_PLACE: u32 = 8;

/// The clock behind [`CpuTimer`]: monotonic nanoseconds since first use.
fn now() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The CPU time of this thread in nanoseconds: on the slow lane the wall clock would charge a guest for waiting its turn.
fn thread_time() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// What a guest that meets a new epoch has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum EpochAction {
    /// Go on: the epoch moved, but this guest has not had its slice yet.
    Continue,
    /// Give way to others, then go on.
    Yield,
    /// Stop: the limit on CPU time is reached.
    Stop,
}

/// The time one guest has used. Written by whoever polls the guest, read by its epoch callback on the same thread and by
/// the log at the end.
#[derive(Debug, Default)]
pub(in crate::runtime) struct CpuTimer {
    limit: u64,
    used: AtomicU64,
    entered: AtomicU64,
    /// The thread's CPU time when the slice seemed to be over; 0 while it does not.
    doubted: AtomicU64,
    slow_lane: AtomicBool,
    slice_over: AtomicBool,
}

impl CpuTimer {
    pub fn new(limit: Duration) -> Self {
        Self { limit: u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX), ..Self::default() }
    }

    fn clock(&self) -> u64 {
        if self.slow_lane.load(Relaxed) { thread_time() } else { now() }
    }

    /// Called just before the guest is polled.
    pub fn enter(&self) {
        self.doubted.store(0, Relaxed);
        self.entered.store(self.clock(), Relaxed);
    }

    /// Called just after the guest was polled.
    pub fn leave(&self) {
        let spent = self.clock().saturating_sub(self.entered.load(Relaxed));
        self.used.fetch_add(spent, Relaxed);
    }

    /// Called by the guest when it meets a new epoch, inside a poll.
    pub fn verdict(&self) -> EpochAction {
        let spent = self.clock().saturating_sub(self.entered.load(Relaxed));
        if self.used.load(Relaxed).saturating_add(spent) > self.limit {
            return EpochAction::Stop;
        }
        if self.slow_lane.load(Relaxed) {
            return EpochAction::Yield;
        }
        // The epoch may have moved while the guest was waiting; its slice starts when it is polled.
        let in_place = Duration::from_nanos(self.used.load(Relaxed).saturating_add(spent));
        if (Duration::from_nanos(spent) < SLICE && in_place < SLICE * SLICES_IN_PLACE) || !self.really_computed() {
            return EpochAction::Continue;
        }
        self.slice_over.store(true, Relaxed);
        EpochAction::Yield
    }

    /// The verdict as the engine wants to hear it.
    pub fn update_deadline(&self) -> Result<UpdateDeadline> {
        match self.on_epoch() {
            EpochAction::Continue => Ok(UpdateDeadline::Continue(1)),
            EpochAction::Yield => Ok(UpdateDeadline::Yield(1)),
            EpochAction::Stop => Err(CpuTimeUsedUp.into()),
        }
    }

    /// On a busy machine the clock goes on while the thread waits for a core. Before a guest is moved for it, it has to
    /// use up half a slice that is really the thread's.
    fn really_computed(&self) -> bool {
        let now = thread_time().max(1);
        match self.doubted.load(Relaxed) {
            0 => {
                self.doubted.store(now, Relaxed);
                false
            }
            doubted => Duration::from_nanos(now.saturating_sub(doubted)) >= SLICE / 2,
        }
    }

    /// Whether the guest gave way because its slice was over; asked once per poll.
    pub fn take_slice_over(&self) -> bool {
        self.slice_over.load(Relaxed) && self.slice_over.swap(false, Relaxed)
    }

    /// From now on the guest runs on the slow lane.
    pub fn move_to_background(&self) {
        self.slow_lane.store(true, Relaxed);
    }

    /// The CPU time used so far.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::instance::cpu_time::*;

    #[test]
    fn a_guest_over_its_cpu_limit_stops() {
        let cpu_timer = CpuTimer::new(Duration::from_secs(1));
        cpu_timer.enter();
        cpu_timer.used.store(2_000_000_000, Relaxed);
        assert_eq!(cpu_timer.on_epoch(), EpochAction::Stop);
    }

    #[test]
    fn a_guest_that_meets_an_old_epoch_after_waiting_goes_on() {
        let cpu_timer = CpuTimer::new(Duration::from_secs(1));
        now();
        cpu_timer.enter();
        assert_eq!(cpu_timer.on_epoch(), EpochAction::Continue);
        assert!(!cpu_timer.take_slice_over());
    }

    #[test]
    fn on_the_slow_lane_every_new_epoch_is_a_reason_to_give_way() {
        let cpu_timer = CpuTimer::new(Duration::from_secs(1));
        cpu_timer.move_to_background();
        cpu_timer.enter();
        assert_eq!(cpu_timer.on_epoch(), EpochAction::Yield);
    }
}
