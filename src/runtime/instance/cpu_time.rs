//! How much CPU time has a guest used, and is its time slice over?
//!
//! WebAssembly code looks at the epoch of its engine at every loop and call; `engine::ticker` advances the epochs. When a
//! guest meets a new epoch, the [`CpuTimer`] decides: continue, yield (the time slice is over, see `engine::executors`), or
//! stop (the CPU limit is reached). Only time inside a poll of the guest counts, so waiting for input or a timer costs a
//! guest nothing. In the foreground this is wall time, because its clock is cheaper to read; in the background it is the CPU time of
//! the thread.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use wasmtime::{Result, UpdateDeadline};

use crate::runtime::engine::ticker::TICK;
use crate::runtime::instance::ending::CpuTimeUsedUp;

/// What a guest may compute in one go on the threads that serve requests.
const SLICE: Duration = TICK;

/// The slices that it may compute there altogether: one that rests for a moment between slices is no better for its
/// neighbours.
const FOREGROUND_SLICES: u32 = 8;

/// The clock of the foreground: monotonic nanoseconds since first use.
fn wall_time() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The clock of the background: the CPU time of this thread in nanoseconds. There the wall clock would charge a guest for
/// waiting its turn.
fn thread_time() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// What a guest that meets a new epoch has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum EpochAction {
    /// Continue: its slice is not over.
    Continue,
    /// Yield to other guests, then continue.
    Yield,
    /// Stop: the limit on CPU time is reached.
    Stop,
}

/// The CPU time of one guest. Written by the thread that polls the guest, read by the guest's epoch callback on the same
/// thread, and by the log at the end.
#[derive(Debug, Default)]
pub(in crate::runtime) struct CpuTimer {
    /// In nanoseconds, like all that follows.
    limit: u64,
    /// The sum of all polls that are over.
    used: AtomicU64,
    /// The clock when the current poll began.
    entered: AtomicU64,
    /// The CPU time of the thread when the wall clock first said that the slice is over; 0 before that.
    slice_cpu: AtomicU64,
    background: AtomicBool,
    slice_over: AtomicBool,
    yielded: AtomicBool,
}

impl CpuTimer {
    /// A timer with a limit.
    pub fn new(limit: Duration) -> Self {
        Self { limit: u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX), ..Self::default() }
    }

    fn clock(&self) -> u64 {
        if self.background.load(Relaxed) { thread_time() } else { wall_time() }
    }

    /// Starts to count, just before the guest is polled.
    pub fn enter(&self) {
        self.slice_cpu.store(0, Relaxed);
        self.entered.store(self.clock(), Relaxed);
    }

    /// Stops counting, just after the guest was polled.
    pub fn leave(&self) {
        let spent = self.clock().saturating_sub(self.entered.load(Relaxed));
        self.used.fetch_add(spent, Relaxed);
    }

    /// Decides what a guest that meets a new epoch must do.
    pub fn on_epoch(&self) -> EpochAction {
        let spent = self.clock().saturating_sub(self.entered.load(Relaxed));
        if self.used.load(Relaxed).saturating_add(spent) > self.limit {
            return EpochAction::Stop;
        }
        if self.background.load(Relaxed) {
            self.yielded.store(true, Relaxed);
            return EpochAction::Yield;
        }
        // The epoch may have moved while the guest was waiting; its slice starts when it is polled.
        let in_foreground = Duration::from_nanos(self.used.load(Relaxed).saturating_add(spent));
        let is_over = Duration::from_nanos(spent) >= SLICE || in_foreground >= SLICE * FOREGROUND_SLICES;
        if !is_over || !self.slice_is_used() {
            return EpochAction::Continue;
        }
        self.slice_over.store(true, Relaxed);
        self.yielded.store(true, Relaxed);
        EpochAction::Yield
    }

    /// [`on_epoch`](Self::on_epoch) as the return value of the engine's callback.
    pub fn update_deadline(&self) -> Result<UpdateDeadline> {
        match self.on_epoch() {
            EpochAction::Continue => Ok(UpdateDeadline::Continue(1)),
            EpochAction::Yield => Ok(UpdateDeadline::Yield(1)),
            EpochAction::Stop => Err(CpuTimeUsedUp.into()),
        }
    }

    /// Whether the guest has used CPU time for its slice. On a busy machine the wall clock goes on while the thread waits for
    /// a core. Before a guest is moved for that, the thread has to use half a slice of CPU time more.
    fn slice_is_used(&self) -> bool {
        let now = thread_time().max(1);
        match self.slice_cpu.load(Relaxed) {
            0 => {
                self.slice_cpu.store(now, Relaxed);
                false
            }
            begun => Duration::from_nanos(now.saturating_sub(begun)) >= SLICE / 2,
        }
    }

    /// Whether the guest yielded because its slice was over. Resets it.
    pub fn take_slice_over(&self) -> bool {
        self.slice_over.load(Relaxed) && self.slice_over.swap(false, Relaxed)
    }

    /// Whether the guest has yielded in its last poll, so that it could go on at once. Resets it.
    pub fn take_yielded(&self) -> bool {
        self.yielded.load(Relaxed) && self.yielded.swap(false, Relaxed)
    }

    /// Switches to the clock of the background, for good.
    pub fn move_to_background(&self) {
        self.background.store(true, Relaxed);
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
        let timer = CpuTimer::new(Duration::from_secs(1));
        timer.enter();
        timer.used.store(2_000_000_000, Relaxed);
        assert_eq!(timer.on_epoch(), EpochAction::Stop);
    }

    #[test]
    fn a_guest_that_meets_an_old_epoch_after_waiting_goes_on() {
        let timer = CpuTimer::new(Duration::from_secs(1));
        wall_time();
        timer.enter();
        assert_eq!(timer.on_epoch(), EpochAction::Continue);
        assert!(!timer.take_slice_over());
    }

    #[test]
    fn in_the_background_every_new_epoch_is_a_reason_to_yield() {
        let timer = CpuTimer::new(Duration::from_secs(1));
        timer.move_to_background();
        timer.enter();
        assert_eq!(timer.on_epoch(), EpochAction::Yield);
    }
}
