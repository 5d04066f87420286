//! How are values counted in buckets, so that two cores do not share a line of the cache for each request?
//!
//! Each thread adds to one of a few shards, and a reader adds the shards up.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// More shards than this would cost memory and bring nothing.
const MAX_SHARDS: usize = 16;

/// The bounds of histograms of time, in nanoseconds: from 50 µs to 30 s.
pub(super) const TIMES: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// The bounds of histograms of memory, in bytes: 64 KiB × 4^n, up to all that a memory with addresses of 32 bits can have.
pub(super) const SIZES: &[u64] = &[1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 28, 1 << 30, 1 << 32];

/// The buckets of the longest histogram, with that for what is above all bounds.
const BUCKETS: usize = 19;

static SHARDS: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from).next_power_of_two().min(MAX_SHARDS));

/// One value for each shard. Its parts are on different lines of the cache.
pub(in crate::observe) struct Sharded<T>(Box<[Shard<T>]>);

#[repr(align(128))]
struct Shard<T>(T);

impl<T: Default> Default for Sharded<T> {
    fn default() -> Self {
        Self((0..*SHARDS).map(|_| Shard(T::default())).collect())
    }
}

impl<T> Sharded<T> {
    /// The shard of this thread.
    pub fn own(&self) -> Option<&T> {
        self.0.get(shard() & self.0.len().wrapping_sub(1)).map(|Shard(value)| value)
    }

    /// Changes the shard of this thread.
    pub fn with(&self, change: impl FnOnce(&T)) {
        if let Some(value) = self.own() {
            change(value);
        }
    }

    /// What the histogram with these bounds has counted whose cells are in all shards.
    pub(super) fn counts(&self, bounds: &[u64], cells: impl Fn(&T) -> &Cells) -> BucketCounts {
        let of = |value: &T, at: usize| cells(value).buckets.get(at).map_or(0, |bucket| bucket.load(Relaxed));
        let bucket = |at: usize| self.0.iter().map(|Shard(shard)| of(shard, at)).fold(0, u64::wrapping_add);
        let sum = self.sum(|value| &cells(value).sum);
        BucketCounts { buckets: (0..=bounds.len()).map(bucket).collect(), sum }
    }

    /// The sum over all shards.
    pub fn sum(&self, value: impl Fn(&T) -> &AtomicU64) -> u64 {
        self.0.iter().map(|Shard(shard)| value(shard).load(Relaxed)).fold(0, u64::wrapping_add)
    }
}

/// The number of this thread. Numbers of threads that have ended are not used again, and threads that share a shard stay correct.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: Cell<usize> = const { Cell::new(usize::MAX) });
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Relaxed));
        }
        own.get()
    })
}

/// Adds to a counter that few other threads write to.
pub(super) fn add(counter: &AtomicU64, value: u64) {
    if value != 0 {
        counter.fetch_add(value, Relaxed);
    }
}

/// A duration as it is counted.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A part of a histogram: what is counted in one shard.
#[derive(Default)]
pub(super) struct Cells {
    buckets: [AtomicU64; BUCKETS],
    sum: AtomicU64,
}

impl Cells {
    /// Counts a value. Most are small, so the bounds are tried from below.
    pub fn observe(&self, value: u64, bounds: &[u64]) {
        let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        self.buckets.get(bucket).iter().for_each(|bucket| add(bucket, 1));
        add(&self.sum, value);
    }
}

/// Values counted in buckets.
pub(super) struct Histogram {
    bounds: &'static [u64],
    cells: Sharded<Cells>,
}

/// What a histogram has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BucketCounts {
    /// One for each bound, each without those below it, and one for what is above all bounds.
    pub buckets: Vec<u64>,
    pub sum: u64,
}

impl Histogram {
    /// A histogram of time.
    pub fn of_time() -> Self {
        Self { bounds: TIMES, cells: Sharded::default() }
    }

    /// Counts a duration.
    pub fn observe_time(&self, duration: Duration) {
        self.observe(nanoseconds(duration));
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        self.cells.with(|cells| cells.observe(value, self.bounds));
    }

    /// What was counted.
    pub fn counts(&self) -> BucketCounts {
        self.cells.counts(self.bounds, |cells| cells)
    }
}

impl BucketCounts {
    /// What a histogram with these bounds has before its first value.
    pub fn none(bounds: &[u64]) -> Self {
        Self { buckets: vec![0; bounds.len() + 1], sum: 0 }
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Adds values that are nothing.
    pub fn add_nothing(&mut self, count: u64) {
        self.buckets.first_mut().into_iter().for_each(|bucket| *bucket += count);
    }

    /// Adds those of a histogram with the same bounds.
    pub fn add(&mut self, other: &Self) {
        self.buckets.resize(self.buckets.len().max(other.buckets.len()), 0);
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(own, other)| *own += other);
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// What came since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let mut since = self.clone();
        since.buckets.iter_mut().zip(&before.buckets).for_each(|(own, other)| *own = own.saturating_sub(*other));
        since.sum = since.sum.wrapping_sub(before.sum);
        since
    }

    /// The value that this share of all values is below, between two bounds; `None` if there are no values.
    pub fn quantile(&self, share: f64, bounds: &[u64]) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let (rank, mut below) = (share * count as f64, 0.0);
        for (at, bucket) in self.buckets.iter().enumerate() {
            let lower = at.checked_sub(1).and_then(|at| bounds.get(at)).copied().unwrap_or(0) as f64;
            let Some(upper) = bounds.get(at) else { return Some(lower) };
            let here = *bucket as f64;
            if *bucket > 0 && below + here >= rank {
                return Some(lower + (*upper as f64 - lower) * ((rank - below) / here).clamp(0.0, 1.0));
            }
            below += here;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::metrics::histogram::*;

    #[test]
    fn a_value_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::of_time();
        [0, 50_000, 50_001, 30_000_000_000, 30_000_000_001].into_iter().for_each(|value| histogram.observe(value));
        let counts = histogram.counts();
        let filled: Vec<_> = counts.buckets.iter().enumerate().filter(|(_, count)| **count > 0).collect();
        assert_eq!(filled, [(0, &2), (1, &1), (17, &1), (18, &1)]);
        assert_eq!((counts.count(), counts.sum), (5, 60_000_100_002));
    }

    #[test]
    fn all_threads_are_counted() {
        let histogram = Histogram::of_time();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (0..100).for_each(|_| histogram.observe(60_000)));
            }
        });
        assert_eq!((histogram.counts().count(), histogram.counts().buckets[1]), (4000, 4000));
    }

    #[test]
    fn a_quantile_lies_in_its_bucket() {
        let histogram = Histogram::of_time();
        (0..99).for_each(|_| histogram.observe(200_000));
        histogram.observe(2_000_000_000);
        let counts = histogram.counts();
        let median = counts.quantile(0.5, TIMES).unwrap();
        assert!((100_000.0..=250_000.0).contains(&median), "{median}");
        assert!(counts.quantile(0.995, TIMES).unwrap() > 1e9);
        assert_eq!(BucketCounts::default().quantile(0.5, TIMES), None);
        assert_eq!(counts.since(&counts).quantile(0.5, TIMES), None);
    }
}
