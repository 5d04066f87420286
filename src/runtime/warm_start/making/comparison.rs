//! Are two programs at their checkpoint the same?
//!
//! They were initialized with other variables and at other times. What differs would be wrong for a request, but for the places of the
//! variables and of times, which each request gets anew.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::stopped::{NumberValue, Stopped};
use crate::runtime::resume::times::{TimePlace, TimeWidth, ToldTime, forms};

/// A program at its checkpoint.
pub(in crate::runtime::warm_start) struct AtCheckpoint<'a> {
    pub stopped: &'a Stopped,
    /// The times that it was told.
    pub times: &'a [ToldTime],
    /// What was once written to memory that it has given back since: where, and which bytes.
    pub left: &'a [(usize, Vec<u8>)],
}

/// What two programs may have that is not the same, besides the places of their variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::warm_start) enum Clocks {
    /// Times that they were told.
    Told,
    /// What they have computed from the times that they were told, too: nothing else was different for them.
    Computed,
}

/// The times that programs have kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime::warm_start) struct KeptTimes {
    pub in_memory: Vec<TimePlace>,
    /// Whether a function on the stack has one in a local, which is the same for all requests.
    pub is_in_a_local: bool,
}

/// The most words that are times.
const MAX_TIMES: usize = 64;

/// Compares two programs, and finds the times that they have kept. `variables` are the places of their variables in memory.
pub(in crate::runtime::warm_start) fn compare(
    first: &AtCheckpoint<'_>,
    second: &AtCheckpoint<'_>,
    variables: &[Range<usize>],
    clocks: Clocks,
) -> Result<KeptTimes, ColdReason> {
    let times = TimePairs::new(first.times, second.times);
    let (one, other) = (first.stopped, second.stopped);
    if one.memory.len() != other.memory.len() || one.frames.len() != other.frames.len() {
        return Err(ColdReason::Differs("its stack or the size of its memory".to_owned()));
    }
    let mut kept = KeptTimes::default();
    for (one, other) in one.frames.iter().zip(&other.frames) {
        if (one.function, one.after_call) != (other.function, other.after_call) {
            return Err(ColdReason::Differs("where it is".to_owned()));
        }
        let same_locals = times.are_equal(&one.locals, &other.locals);
        if !same_locals || !times.are_equal(&one.operands, &other.operands) {
            return Err(ColdReason::Differs(format!("a local of function {}", one.function)));
        }
        kept.is_in_a_local |= one != other;
    }
    if one.globals != other.globals {
        return Err(ColdReason::Differs("a global".to_owned()));
    }
    let is_explained = |at: usize| {
        let is_variable = variables.iter().any(|range| range.contains(&at) || range.contains(&(at + 3)));
        is_variable || (is_left(first, at) && is_left(second, at))
    };
    let mut found = BTreeMap::new();
    let is_time = |at: usize| {
        let place = times.place(&one.memory, &other.memory, at);
        place.is_some_and(|place| found.insert(place.at, place).is_none_or(|older| older == place))
            || clocks == Clocks::Computed
    };
    compare_memory(&one.memory, &other.memory, is_explained, is_time)?;
    Ok(KeptTimes { in_memory: found.into_values().collect(), ..kept })
}

/// Whether a word is what is left where variables once were. No program reads it.
fn is_left(program: &AtCheckpoint<'_>, at: usize) -> bool {
    let word = program.stopped.memory.get(at..at + 4);
    program.left.iter().any(|(start, bytes)| {
        let offset = at.checked_sub(*start);
        word.is_some() && offset.is_some_and(|offset| bytes.get(offset..offset + 4) == word)
    })
}

fn compare_memory(
    one: &[u8],
    other: &[u8],
    is_explained: impl Fn(usize) -> bool,
    mut is_time: impl FnMut(usize) -> bool,
) -> Result<(), ColdReason> {
    const PIECE: usize = 4096;
    let mut found = 0;
    for (index, (a, b)) in one.chunks(PIECE).zip(other.chunks(PIECE)).enumerate() {
        if a == b {
            continue;
        }
        for at in (index * PIECE..index * PIECE + a.len()).step_by(4) {
            if one.get(at..at + 4) == other.get(at..at + 4) || is_explained(at) {
                continue;
            }
            found += 1;
            if found > MAX_TIMES || !is_time(at) {
                return Err(ColdReason::Differs(format!("its memory at {at:#x}")));
            }
        }
    }
    Ok(())
}

/// The values that stand for the same times in two programs, with the time of the first and its form.
struct TimePairs {
    wide: HashMap<(u64, u64), (ToldTime, usize)>,
    /// The lower halves.
    narrow: HashMap<(u32, u32), (ToldTime, usize)>,
}

impl TimePairs {
    fn new(one: &[ToldTime], other: &[ToldTime]) -> Self {
        let mut pairs = Self { wide: HashMap::new(), narrow: HashMap::new() };
        for (a, b) in one.iter().zip(other).filter(|(a, b)| a.clock == b.clock) {
            for (form, (of_a, of_b)) in forms(a.time).into_iter().zip(forms(b.time)).enumerate() {
                pairs.wide.entry((of_a, of_b)).or_insert((*a, form));
                pairs.narrow.entry((low(of_a), low(of_b))).or_insert((*a, form));
            }
        }
        pairs
    }

    /// The time that a word of 4 bytes is, or is half of.
    fn place(&self, one: &[u8], other: &[u8], at: usize) -> Option<TimePlace> {
        let bytes = |memory: &[u8], at: usize| Some(u64::from_le_bytes(memory.get(at..at + 8)?.try_into().ok()?));
        let wide = |at: usize| {
            let found = self.wide.get(&(bytes(one, at)?, bytes(other, at)?))?;
            Some((at, TimeWidth::Eight, found))
        };
        let narrow = || {
            let word = |memory: &[u8]| Some(u32::from_le_bytes(memory.get(at..at + 4)?.try_into().ok()?));
            Some((at, TimeWidth::Four, self.narrow.get(&(word(one)?, word(other)?))?))
        };
        let upper_half = || at.checked_sub(4).and_then(wide);
        let (at, width, &(told, form)) = upper_half().or_else(|| wide(at)).or_else(narrow)?;
        Some(TimePlace { at: u32::try_from(at).ok()?, width, told, form })
    }

    fn are_equal(&self, one: &[NumberValue], other: &[NumberValue]) -> bool {
        let is_time = |a: NumberValue, b: NumberValue| match (a, b) {
            (NumberValue::I32(a), NumberValue::I32(b)) => {
                self.narrow.contains_key(&(a.cast_unsigned(), b.cast_unsigned()))
            }
            (NumberValue::I64(a), NumberValue::I64(b)) => {
                self.wide.contains_key(&(a.cast_unsigned(), b.cast_unsigned()))
            }
            (NumberValue::F64(a), NumberValue::F64(b)) => self.wide.contains_key(&(a, b)),
            _ => false,
        };
        one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a == b || is_time(*a, *b))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "programs keep the lower half of a time")]
fn low(form: u64) -> u32 {
    form as u32
}

#[cfg(test)]
mod tests {
    use crate::runtime::resume::stopped::StoppedFrame;
    use crate::runtime::resume::times::ToldClock;
    use crate::runtime::warm_start::making::comparison::*;

    fn stopped(memory: Vec<u8>) -> Stopped {
        let frame = StoppedFrame { function: 1, after_call: 2, locals: vec![NumberValue::I32(3)], operands: vec![] };
        Stopped { frames: vec![frame], globals: vec![Some(NumberValue::I32(4))], memory }
    }

    const EARLIER: ToldTime = ToldTime { clock: ToldClock::Realtime, time: 5_000_000_123 };
    const LATER: ToldTime = ToldTime { clock: ToldClock::Realtime, time: 9_000_000_456 };

    fn compared(first: &Stopped, second: &Stopped) -> Result<(), ColdReason> {
        compared_with(first, second, Clocks::Told).map(drop)
    }

    fn compared_with(first: &Stopped, second: &Stopped, clocks: Clocks) -> Result<KeptTimes, ColdReason> {
        let left = [(400, b"left here".to_vec())];
        let one = AtCheckpoint { stopped: first, times: &[EARLIER], left: &left };
        let left = [(400, b"gone from".to_vec())];
        let other = AtCheckpoint { stopped: second, times: &[LATER], left: &left };
        compare(&one, &other, std::slice::from_ref(&(100..200)), clocks)
    }

    fn with(at: usize, bytes: &[u8]) -> Stopped {
        let mut memory = vec![0; 10_000];
        memory[at..at + bytes.len()].copy_from_slice(bytes);
        stopped(memory)
    }

    #[test]
    fn variables_and_times_may_differ_and_nothing_else() {
        assert_eq!(compared(&with(150, b"GET"), &with(150, b"POST")), Ok(()));
        assert_eq!(compared(&with(300, &5u32.to_le_bytes()), &with(300, &9u32.to_le_bytes())), Ok(()));
        let (a, b) = (5_000_000_123_u64.to_le_bytes(), 9_000_000_456_u64.to_le_bytes());
        assert_eq!(compared(&with(304, &a), &with(304, &b)), Ok(()));
        assert_eq!(compared(&with(300, b"GET"), &with(300, b"POST")).map_err(|refusal| refusal.name()), Err("differs"));
        assert!(compared(&with(300, &5u32.to_le_bytes()), &with(300, &8u32.to_le_bytes())).is_err());
        let computed = compared_with(&with(300, b"GET"), &with(300, b"POST"), Clocks::Computed);
        assert_eq!(computed, Ok(KeptTimes::default()));
        let many = [1; 4 * (MAX_TIMES + 1)];
        assert!(compared_with(&with(300, &many), &with(300, &many.map(|byte| byte + 1)), Clocks::Computed).is_err());
        assert!(compared(&with(9_999, b"a"), &with(9_999, b"b")).is_err());
    }

    #[test]
    fn the_places_of_times_are_found_with_their_forms() {
        let found = |at: usize, one: &[u8], other: &[u8]| {
            let kept = compared_with(&with(at, one), &with(at, other), Clocks::Told).expect("they are times");
            kept.in_memory.iter().map(|place| (place.at, place.width, place.form)).collect::<Vec<_>>()
        };
        let bytes = |time: ToldTime, unit: u64| (time.time / unit).to_le_bytes();
        // Nanoseconds, of which both halves differ.
        assert_eq!(found(304, &bytes(EARLIER, 1), &bytes(LATER, 1)), [(304, TimeWidth::Eight, 0)]);
        // Seconds in 8 bytes, of which the upper half is zero, and in 4 bytes before something else.
        assert_eq!(
            found(304, &bytes(EARLIER, 1_000_000_000), &bytes(LATER, 1_000_000_000)),
            [(304, TimeWidth::Eight, 3)]
        );
        assert_eq!(found(304, &[5, 0, 0, 0, 1], &[9, 0, 0, 0, 1]), [(304, TimeWidth::Four, 3)]);
        let place = TimePlace { at: 304, width: TimeWidth::Eight, told: EARLIER, form: 1 };
        let kept = compared_with(&with(304, &bytes(EARLIER, 1000)), &with(304, &bytes(LATER, 1000)), Clocks::Told);
        assert_eq!(kept.map(|kept| kept.in_memory), Ok(vec![place]));
    }

    #[test]
    fn a_time_in_a_local_is_found() {
        let with = |time: ToldTime| {
            let mut stopped = stopped(vec![0; 8]);
            stopped.frames[0].locals = vec![NumberValue::I64(i64::try_from(time.time).expect("it is small"))];
            stopped
        };
        let kept = compared_with(&with(EARLIER), &with(LATER), Clocks::Told).expect("it is a time");
        assert_eq!(kept, KeptTimes { in_memory: Vec::new(), is_in_a_local: true });
    }

    #[test]
    fn what_is_left_of_variables_that_were_given_back_is_no_difference() {
        assert_eq!(compared(&with(400, b"left"), &with(400, b"gone")), Ok(()));
        assert!(compared(&with(400, b"left"), &with(400, b"what")).is_err(), "something else is there now");
        assert!(compared(&with(404, b"left"), &with(404, b"gone")).is_err(), "it was not there");
    }

    #[test]
    fn locals_and_globals_are_compared_too() {
        let first = stopped(vec![0; 8]);
        for change in [
            |stopped: &mut Stopped| stopped.frames[0].locals = vec![NumberValue::I32(7)],
            |stopped: &mut Stopped| stopped.frames[0].function = 9,
            |stopped: &mut Stopped| stopped.frames[0].operands = vec![NumberValue::I64(1)],
            |stopped: &mut Stopped| stopped.globals = vec![Some(NumberValue::I32(5))],
            |stopped: &mut Stopped| stopped.frames.clear(),
            |stopped: &mut Stopped| stopped.memory.push(0),
        ] {
            let mut second = first.clone();
            change(&mut second);
            assert!(compared(&first, &second).is_err(), "{second:?}");
        }
        assert_eq!(compared(&first, &first.clone()), Ok(()));
    }
}
