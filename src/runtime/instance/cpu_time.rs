//! How much CPU time has a guest used, and where does it compute from now on?
//!
//! WebAssembly code checks the epoch of its engine in every loop and at every call, and `engine::ticker` advances the epochs.
//! When a guest meets a new epoch, the [`CpuTimer`] decides what it does: continue; yield, if its time slice is over (see
//! `engine::executors`); or stop, if its limit is reached. Only the time of the polls of the guest counts, so the time in which
//! it waits for input or for a timer does not. In the foreground the timer counts wall time, because that clock is cheaper to
//! read. In the background it counts the CPU time of the thread.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use wasmtime::{Result, UpdateDeadline};

use crate::runtime::engine::task::Lane;
use crate::runtime::engine::threads::thread_time;
use crate::runtime::engine::ticker::TICK;
use crate::runtime::instance::ending::CpuTimeUsedUp;

/// How long a guest may compute without a pause on the threads that serve requests.
const SLICE: Duration = TICK;

/// How many slices it may compute there in all. Pauses between the slices do not help the other guests.
const FOREGROUND_SLICES: u32 = 8;

/// How long it may compute in the background without a wait before it moves to idle threads. A page of a script is done by then.
const BURST: Duration = Duration::from_millis(250);

/// How much longer it may compute in the foreground for each byte that it reads or writes, in nanoseconds: 1 ms for 64 KiB. Passing on
/// bytes takes much less, so a guest that passes on a long stream stays in the foreground.
const NANOSECONDS_PER_BYTE: u64 = 15;

/// The clock of the foreground: monotonic nanoseconds since first use.
fn wall_time() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
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
    /// The wall clock when the guest began to compute; 0 before that. And when its last poll in the foreground ended.
    begun: AtomicU64,
    left: AtomicU64,
    /// The CPU time of the thread when the wall clock first said that the slice is over; 0 before that.
    slice_cpu: AtomicU64,
    yielded: AtomicBool,
    /// The CPU time of the thread when the current poll began, in the foreground, when the guest has used what it may there;
    /// 0 before that.
    excess_entered: AtomicU64,
    /// The CPU time of such polls.
    excess: AtomicU64,
    /// What it has computed in lanes since it last waited for something.
    burst: AtomicU64,
    /// How many new epochs it has met.
    epochs: AtomicU64,
    /// What the guest may compute in the foreground for the bytes that it has moved.
    credit: AtomicU64,
    /// Where it computes.
    place: AtomicU8,
    /// Whether it has begun to use files.
    uses_files: AtomicBool,
    /// Where it has to compute from the next poll on, if that is another place.
    next: AtomicU8,
    /// What it is doing.
    activity: AtomicU8,
}

// What a guest is doing: one that was not polled yet is about to compute, and so is one that has yielded.
const COMPUTES: u8 = 0;
const YIELDED: u8 = 1;
const WAITS: u8 = 2;

// The places, in the order in which a guest moves.
const FOREGROUND: u8 = 0;
const FILES: u8 = 1;
const BACKGROUND: u8 = 2;

fn place(lane: Lane) -> u8 {
    match lane {
        Lane::Files => FILES,
        Lane::Background | Lane::Idle => BACKGROUND,
    }
}

impl CpuTimer {
    /// A timer with a limit.
    pub fn new(limit: Duration) -> Self {
        Self { limit: nanoseconds(limit), ..Self::default() }
    }

    /// In the foreground the wall clock, because the system call for CPU time would make short requests slower. On other threads
    /// the CPU time of the thread, because the wall clock also counts the time in which a guest waits for a core or a disk.
    fn clock(&self) -> u64 {
        if self.place.load(Relaxed) == FOREGROUND { wall_time() } else { thread_time() }
    }

    /// Starts to count, just before the guest is polled in the foreground.
    pub fn enter(&self) {
        self.activity.store(COMPUTES, Relaxed);
        self.slice_cpu.store(0, Relaxed);
        let now = wall_time();
        self.entered.store(now, Relaxed);
        if self.begun.load(Relaxed) == 0 {
            self.begun.store(now.max(1), Relaxed);
        }
        if self.is_over_budget(0) {
            self.excess_entered.store(thread_time().max(1), Relaxed);
        }
    }

    /// Stops counting, just after the guest was polled in the foreground.
    pub fn leave(&self) {
        let now = wall_time();
        self.left.store(now, Relaxed);
        let spent = now.saturating_sub(self.entered.load(Relaxed));
        self.used.store(self.used.load(Relaxed).saturating_add(spent), Relaxed);
        let excess_entered = self.excess_entered.load(Relaxed);
        if excess_entered != 0 {
            self.add_excess(thread_time().saturating_sub(excess_entered));
        }
        self.end_poll();
    }

    /// A guest that ends its poll by itself waits for something, or has ended.
    fn end_poll(&self) {
        if self.activity.load(Relaxed) == COMPUTES {
            self.activity.store(WAITS, Relaxed);
        }
    }

    /// Whether the guest waits for something other than a thread to compute on.
    pub fn waits(&self) -> bool {
        self.activity.load(Relaxed) == WAITS
    }

    /// Many short polls together are as bad as a long one. On a busy machine the wall clock also counts the time in which the
    /// thread waits for a core. So a guest moves only after half a slice of CPU time more.
    fn add_excess(&self, spent: u64) {
        let excess = self.excess.load(Relaxed).saturating_add(spent);
        self.excess.store(excess, Relaxed);
        if Duration::from_nanos(excess) >= SLICE / 2 {
            self.next.store(BACKGROUND, Relaxed);
        }
    }

    /// Starts to count on a thread of a lane: all of its CPU time since `clock`.
    pub fn enter_lane(&self, clock: u64) {
        self.activity.store(COMPUTES, Relaxed);
        self.entered.store(clock, Relaxed);
    }

    /// Stops counting there, and returns the CPU time of the thread.
    pub fn leave_lane(&self) -> u64 {
        let now = thread_time();
        let spent = now.saturating_sub(self.entered.load(Relaxed));
        self.used.store(self.used.load(Relaxed).saturating_add(spent), Relaxed);
        if self.place.load(Relaxed) == FILES && self.is_over_budget(0) {
            self.next.store(BACKGROUND, Relaxed);
        }
        self.end_poll();
        self.burst.store(self.burst.load(Relaxed).saturating_add(spent), Relaxed);
        now
    }

    /// Notes that the guest waits: nothing has woken it.
    pub fn end_burst(&self) {
        self.burst.store(0, Relaxed);
    }

    /// Notes that the guest has read or written bytes.
    pub fn add_moved(&self, bytes: usize) {
        let credit = (bytes as u64).saturating_mul(NANOSECONDS_PER_BYTE);
        self.credit.store(self.credit.load(Relaxed).saturating_add(credit), Relaxed);
    }

    /// Whether the guest has used all the time that it has at normal priority, with `spent` in the current poll.
    fn is_over_budget(&self, spent: u64) -> bool {
        let used = self.used.load(Relaxed).saturating_add(spent);
        let budget = nanoseconds(SLICE * FOREGROUND_SLICES);
        used >= budget && used >= budget.saturating_add(self.credit.load(Relaxed))
    }

    /// Decides what a guest that meets a new epoch must do.
    pub fn on_epoch(&self) -> EpochAction {
        self.epochs.store(self.epochs.load(Relaxed).wrapping_add(1), Relaxed);
        let spent = self.clock().saturating_sub(self.entered.load(Relaxed));
        if self.used.load(Relaxed).saturating_add(spent) > self.limit {
            return EpochAction::Stop;
        }
        if !self.has_to_yield(spent) {
            return EpochAction::Continue;
        }
        self.yielded.store(true, Relaxed);
        self.activity.store(YIELDED, Relaxed);
        EpochAction::Yield
    }

    /// Whether a guest that has used `spent` in the current poll has to yield. Where it goes on is in `next`.
    fn has_to_yield(&self, spent: u64) -> bool {
        // The epoch may have moved while the guest was waiting; its slice starts when it is polled.
        let is_over_budget = self.is_over_budget(spent);
        let is_over = Duration::from_nanos(spent) >= SLICE || is_over_budget;
        let place = self.place.load(Relaxed);
        let yields = match place {
            FOREGROUND => is_over && self.slice_is_used(),
            FILES => is_over,
            _ => true,
        };
        if yields && (place == FOREGROUND || is_over_budget) {
            self.next.store(BACKGROUND, Relaxed);
        }
        yields
    }

    /// [`on_epoch`](Self::on_epoch) as the return value of the engine's callback.
    pub fn update_deadline(&self) -> Result<UpdateDeadline> {
        match self.on_epoch() {
            EpochAction::Continue => Ok(UpdateDeadline::Continue(1)),
            EpochAction::Yield => Ok(UpdateDeadline::Yield(1)),
            EpochAction::Stop => Err(CpuTimeUsedUp.into()),
        }
    }

    /// Whether the guest has really computed during its slice. On a busy machine the wall clock also counts the time in which the
    /// thread waits for a core. So a guest moves only after half a slice of CPU time.
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

    /// Whether the guest computes on threads that it may block with operations on files.
    pub fn may_block(&self) -> bool {
        self.uses_files.load(Relaxed) && self.place.load(Relaxed) >= FILES
    }

    /// Whether the guest has yielded in its last poll, so that it could go on at once. Resets it.
    pub fn take_yielded(&self) -> bool {
        self.yielded.load(Relaxed) && self.yielded.swap(false, Relaxed)
    }

    /// Waits until the guest computes on threads that it may block with operations on files. Its run moves it there.
    pub fn poll_may_block(&self, cx: &Context<'_>) -> Poll<()> {
        if self.uses_files.load(Relaxed) {
            return self.poll_place(FILES);
        }
        self.uses_files.store(true, Relaxed);
        // A guest that is in the background already begins with a poll of its own, so that it can be refused.
        if self.poll_place(FILES).is_ready() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Notes that the guest uses files from the start, on other threads.
    pub fn use_files(&self) {
        self.uses_files.store(true, Relaxed);
        self.begun.store(wall_time().max(1), Relaxed);
    }

    /// How long ago the guest began, or how long it took if it has ended; `None` if it has not begun.
    pub fn elapsed(&self, has_ended: bool) -> Option<Duration> {
        let begun = Some(self.begun.load(Relaxed)).filter(|begun| *begun > 0)?;
        // The clock need not be read again for a guest that never left the foreground.
        let was_left = has_ended && self.place.load(Relaxed) == FOREGROUND;
        let now = if was_left { self.left.load(Relaxed) } else { wall_time() };
        Some(Duration::from_nanos(now.saturating_sub(begun)))
    }

    /// Whether the guest has moved to the background.
    pub fn is_in_background(&self) -> bool {
        self.place.load(Relaxed) == BACKGROUND
    }

    /// Whether the guest has begun to use files.
    pub fn uses_files(&self) -> bool {
        self.uses_files.load(Relaxed)
    }

    /// How many new epochs the guest has met. It meets none during an operation on a file.
    pub fn epochs(&self) -> u64 {
        self.epochs.load(Relaxed)
    }

    /// Waits until the guest computes in the background.
    pub fn poll_background(&self) -> Poll<()> {
        self.poll_place(BACKGROUND)
    }

    fn poll_place(&self, place: u8) -> Poll<()> {
        if self.place.load(Relaxed) >= place {
            return Poll::Ready(());
        }
        self.next.store(place.max(self.next.load(Relaxed)), Relaxed);
        Poll::Pending
    }

    /// The lane that the guest has to move to, if it has to.
    pub fn next_lane(&self) -> Option<Lane> {
        match self.next.load(Relaxed) {
            next if next <= self.place.load(Relaxed) => None,
            FILES => Some(Lane::Files),
            _ => Some(Lane::Background),
        }
    }

    /// The lane in which a guest computes that has left the foreground.
    pub fn lane(&self) -> Lane {
        match self.place.load(Relaxed) == BACKGROUND {
            true if Duration::from_nanos(self.burst.load(Relaxed)) >= BURST => Lane::Idle,
            true => Lane::Background,
            false => Lane::Files,
        }
    }

    /// Moves to a lane, unless the guest is in a later one already.
    pub fn move_to(&self, lane: Lane) {
        self.place.store(place(lane).max(self.place.load(Relaxed)), Relaxed);
    }

    /// The CPU time used so far, with that of the current poll: for the guest itself.
    pub fn used_now(&self) -> Duration {
        let spent = self.clock().saturating_sub(self.entered.load(Relaxed));
        Duration::from_nanos(self.used.load(Relaxed).saturating_add(spent))
    }

    /// The CPU time used so far.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

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
        assert_eq!(timer.next_lane(), None);
    }

    #[test]
    fn in_the_background_every_new_epoch_is_a_reason_to_yield() {
        let timer = CpuTimer::new(Duration::from_secs(1));
        timer.move_to(Lane::Background);
        timer.enter_lane(thread_time());
        assert_eq!(timer.on_epoch(), EpochAction::Yield);
    }

    #[test]
    fn a_guest_waits_when_it_ends_its_poll_and_not_when_it_yields() {
        let timer = CpuTimer::new(Duration::from_secs(1));
        assert!(!timer.waits());
        timer.enter();
        timer.leave();
        assert!(timer.waits());
        timer.move_to(Lane::Background);
        timer.enter_lane(thread_time());
        assert!(!timer.waits());
        assert_eq!(timer.on_epoch(), EpochAction::Yield);
        timer.leave_lane();
        assert!(!timer.waits());
    }

    /// Computes for a moment of CPU time.
    fn compute(time: Duration) {
        let begun = thread_time();
        while Duration::from_nanos(thread_time() - begun) < time {}
    }

    #[test]
    fn many_short_polls_are_one_long_computation_unless_they_move_bytes() {
        let polls_until_moved = |bytes: usize| {
            let timer = CpuTimer::new(Duration::from_secs(100));
            (0..1000).find(|_| {
                timer.enter();
                compute(SLICE / 10);
                timer.add_moved(bytes);
                timer.leave();
                timer.next_lane() == Some(Lane::Background)
            })
        };
        // Eight slices at most, and half a slice of CPU time.
        assert!(polls_until_moved(0).is_some_and(|polls| polls < 90));
        assert!(polls_until_moved(1).is_some_and(|polls| polls < 90), "a byte buys next to nothing");
        assert!(polls_until_moved(10 * 64 * 1024).is_none_or(|polls| polls > 90));
    }

    #[test]
    fn a_guest_that_needs_files_waits_until_it_is_moved_and_stays_where_it_may_block() {
        let timer = CpuTimer::new(Duration::from_secs(1));
        let cx = Context::from_waker(Waker::noop());
        assert!(timer.poll_may_block(&cx).is_pending());
        assert_eq!(timer.next_lane(), Some(Lane::Files));
        timer.move_to(Lane::Files);
        assert!(timer.poll_may_block(&cx).is_ready());
        assert_eq!(timer.next_lane(), None);
        timer.move_to(Lane::Background);
        timer.move_to(Lane::Files);
        assert!(timer.poll_background().is_ready());
    }

    #[test]
    fn a_guest_with_files_takes_turns_and_moves_to_the_background_when_it_has_computed_for_long() {
        let timer = CpuTimer::new(Duration::from_secs(100));
        timer.move_to(Lane::Files);
        let mut clock = thread_time();
        for _ in 0..FOREGROUND_SLICES {
            assert_eq!(timer.next_lane(), None);
            timer.enter_lane(clock);
            assert_eq!(timer.on_epoch(), EpochAction::Continue);
            compute(SLICE);
            assert_eq!(timer.on_epoch(), EpochAction::Yield);
            clock = timer.leave_lane();
        }
        assert_eq!(timer.next_lane(), Some(Lane::Background));
    }

    #[test]
    fn a_guest_that_computes_on_in_the_background_is_on_idle_threads_until_it_waits() {
        let timer = CpuTimer::new(Duration::from_secs(10));
        timer.move_to(Lane::Background);
        let slice = || {
            timer.enter_lane(thread_time());
            assert_eq!(timer.on_epoch(), EpochAction::Yield);
            timer.leave_lane();
        };
        slice();
        assert_eq!(timer.lane(), Lane::Background);
        timer.burst.store(nanoseconds(BURST), Relaxed);
        slice();
        assert_eq!(timer.lane(), Lane::Idle);
        timer.end_burst();
        assert_eq!(timer.lane(), Lane::Background);
    }
}
