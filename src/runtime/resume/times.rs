//! Which words in the memory of a program are times that it was told before its checkpoint?
//!
//! A program may keep a time as it was told, or in another unit. Such a word may be anything: the time when it began, or the state of its
//! random numbers, which no two requests may share. So each request gets its own time there, as if the program had begun just before.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// A clock that programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::runtime) enum ToldClock {
    /// The time since 1970.
    Realtime,
    /// The time since the program began.
    Monotonic,
}

/// A time that a program was told, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct ToldTime {
    pub clock: ToldClock,
    pub time: u64,
}

/// What programs make of a time.
pub(in crate::runtime) const FORMS: usize = 10;

/// A time as programs keep it: in nanoseconds, microseconds, milliseconds, seconds, what is left of a second, and as a float.
#[expect(clippy::cast_precision_loss, reason = "programs lose it as well")]
pub(in crate::runtime) fn forms(time: u64) -> [u64; FORMS] {
    const SECOND: u64 = 1_000_000_000;
    let rest = time % SECOND;
    [
        time,
        time / 1_000,
        time / 1_000_000,
        time / SECOND,
        rest,
        rest / 1_000,
        rest / 1_000_000,
        (time as f64 / 1e9).to_bits(),
        (time as f64 * 1e-9).to_bits(),
        // PHP: REQUEST_TIME_FLOAT.
        ((time / SECOND) as f64 + (rest / 1_000) as f64 / 1e6).to_bits(),
    ]
}

/// A word that is a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct TimePlace {
    /// Where it is in memory.
    pub at: u32,
    pub width: TimeWidth,
    pub told: ToldTime,
    /// In which of its forms.
    pub form: usize,
}

/// How many bytes of a form there are, the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum TimeWidth {
    Four,
    Eight,
}

/// How much later than its snapshot a program seems to have begun, in nanoseconds of each clock. What is earlier wraps around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime) struct TimeShift {
    pub realtime: u64,
    pub monotonic: u64,
}

impl TimeShift {
    /// That of a program whose snapshot was told `realtime` last, and that begins now. The monotonic clock begins anywhere in a
    /// millisecond, as it does when programs begin at their start: some of them make their random numbers from it.
    pub fn now(realtime: u64) -> Self {
        const PART_OF_A_MILLISECOND: u64 = (1 << 20) - 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or_default();
        Self { realtime: now.wrapping_sub(realtime), monotonic: now & PART_OF_A_MILLISECOND }
    }

    /// What the monotonic clock shows in place of this.
    pub fn monotonic(self, shown: Duration) -> Duration {
        shown.saturating_add(Duration::from_nanos(self.monotonic))
    }
}

impl TimePlace {
    /// As it is written down.
    pub fn numbers(&self) -> Value {
        let Self { at, told: ToldTime { clock, time }, form, .. } = self;
        json!([at, self.length(), u8::from(*clock == ToldClock::Monotonic), time, form])
    }

    /// What was written down.
    pub fn of_numbers(numbers: &Value) -> Option<Self> {
        let number = |index: usize| numbers.get(index)?.as_u64();
        let width = match number(1)? {
            4 => TimeWidth::Four,
            8 => TimeWidth::Eight,
            _ => return None,
        };
        let clock = match number(2)? {
            0 => ToldClock::Realtime,
            1 => ToldClock::Monotonic,
            _ => return None,
        };
        let form = usize::try_from(number(4)?).ok().filter(|form| *form < FORMS)?;
        Some(Self { at: u32::try_from(number(0)?).ok()?, width, told: ToldTime { clock, time: number(3)? }, form })
    }

    fn length(&self) -> usize {
        match self.width {
            TimeWidth::Four => 4,
            TimeWidth::Eight => 8,
        }
    }

    /// Writes the time to its place in `memory`; `None` if it has no such place.
    pub fn write(&self, memory: &mut [u8], shift: TimeShift) -> Option<()> {
        let shift = match self.told.clock {
            ToldClock::Realtime => shift.realtime,
            ToldClock::Monotonic => shift.monotonic,
        };
        let word = *forms(self.told.time.wrapping_add(shift)).get(self.form)?;
        let (at, length) = (self.at as usize, self.length());
        memory.get_mut(at..at.checked_add(length)?)?.copy_from_slice(word.to_le_bytes().get(..length)?);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::resume::times::*;

    #[test]
    fn a_word_that_is_a_time_gets_that_of_the_request_in_the_same_form() {
        let told = |clock| ToldTime { clock, time: 5_000_000_123 };
        let place = |at, width, form| TimePlace { at, width, told: told(ToldClock::Realtime), form };
        let shift = TimeShift { realtime: 4_000_000_333, monotonic: 1_000 };
        let mut memory = [0xaa; 32];
        for place in [
            place(0, TimeWidth::Eight, 0),
            place(8, TimeWidth::Four, 3),
            TimePlace { told: told(ToldClock::Monotonic), ..place(16, TimeWidth::Eight, 0) },
        ] {
            assert_eq!(place.write(&mut memory, shift), Some(()));
            assert_eq!(TimePlace::of_numbers(&place.numbers()), Some(place));
        }
        assert_eq!(memory[..8], 9_000_000_456_u64.to_le_bytes());
        assert_eq!(memory[8..16], [9, 0, 0, 0, 0xaa, 0xaa, 0xaa, 0xaa]);
        assert_eq!(memory[16..24], 5_000_001_123_u64.to_le_bytes());
        assert_eq!(place(28, TimeWidth::Eight, 0).write(&mut memory, shift), None);
        assert_eq!(place(0, TimeWidth::Four, FORMS).write(&mut memory, shift), None);
    }

    #[test]
    fn a_program_begins_when_its_request_does() {
        let past = 1_000_000_000;
        let shift = TimeShift::now(past);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_nanos();
        let begun = u128::from(past.wrapping_add(shift.realtime));
        assert!(begun <= now && begun + 60_000_000_000 > now);
        assert!(shift.monotonic(Duration::from_secs(1)) < Duration::from_millis(1_002));
    }
}
