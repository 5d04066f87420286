//! Are two programs at their checkpoint the same?
//!
//! They were initialized with other variables and at other times. What differs would be wrong for a request, but for the places of the
//! variables, which each request gets anew, and for times, which stay what they were.

use std::collections::HashSet;
use std::ops::Range;

use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::stopped::{NumberValue, Stopped};

/// A program at its checkpoint.
pub(in crate::runtime::warm_start) struct AtCheckpoint<'a> {
    pub stopped: &'a Stopped,
    /// The times that it was told.
    pub times: &'a [u64],
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

/// The most places with times.
const MAX_TIMES: usize = 64;

/// Compares two programs. `variables` are the places of their variables in memory.
pub(in crate::runtime::warm_start) fn compare(
    first: &AtCheckpoint<'_>,
    second: &AtCheckpoint<'_>,
    variables: &[Range<usize>],
    clocks: Clocks,
) -> Result<(), ColdReason> {
    let times = Times::new(first.times, second.times);
    let (one, other) = (first.stopped, second.stopped);
    if one.memory.len() != other.memory.len() || one.frames.len() != other.frames.len() {
        return Err(ColdReason::Differs("its stack or the size of its memory".to_owned()));
    }
    for (one, other) in one.frames.iter().zip(&other.frames) {
        if (one.function, one.after_call) != (other.function, other.after_call) {
            return Err(ColdReason::Differs("where it is".to_owned()));
        }
        let same_locals = times.are_equal(&one.locals, &other.locals);
        if !same_locals || !times.are_equal(&one.operands, &other.operands) {
            return Err(ColdReason::Differs(format!("a local of function {}", one.function)));
        }
    }
    if one.globals != other.globals {
        return Err(ColdReason::Differs("a global".to_owned()));
    }
    let is_explained = |at: usize| {
        let is_variable = variables.iter().any(|range| range.contains(&at) || range.contains(&(at + 3)));
        is_variable || (is_left(first, at) && is_left(second, at))
    };
    let is_time = |at: usize| clocks == Clocks::Computed || times.explain_word(&one.memory, &other.memory, at);
    compare_memory(&one.memory, &other.memory, is_explained, is_time)
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
    is_time: impl Fn(usize) -> bool,
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

/// The values that stand for the same times in two programs.
struct Times(HashSet<(u64, u64)>);

impl Times {
    fn new(one: &[u64], other: &[u64]) -> Self {
        let pairs = one.iter().zip(other).flat_map(|(a, b)| forms(*a).into_iter().zip(forms(*b)));
        let words = pairs.clone().map(|(a, b)| (a & u64::from(u32::MAX), b & u64::from(u32::MAX)));
        Self(words.chain(pairs).collect())
    }

    fn explain(&self, a: u64, b: u64) -> bool {
        self.0.contains(&(a, b))
    }

    /// Whether the words of 4 or 8 bytes at a place are times.
    fn explain_word(&self, one: &[u8], other: &[u8], at: usize) -> bool {
        let wide = |memory: &[u8], at: usize| Some(u64::from_le_bytes(memory.get(at..at + 8)?.try_into().ok()?));
        let narrow = |memory: &[u8]| Some(u32::from_le_bytes(memory.get(at..at + 4)?.try_into().ok()?));
        let both = |a: Option<u64>, b: Option<u64>| a.zip(b).is_some_and(|(a, b)| self.explain(a, b));
        both(narrow(one).map(u64::from), narrow(other).map(u64::from))
            || both(wide(one, at), wide(other, at))
            || at.checked_sub(4).is_some_and(|at| both(wide(one, at), wide(other, at)))
    }

    fn are_equal(&self, one: &[NumberValue], other: &[NumberValue]) -> bool {
        let bits = |value: NumberValue| match value {
            NumberValue::I32(number) => Some(u64::from(number.cast_unsigned())),
            NumberValue::I64(number) => Some(number.cast_unsigned()),
            NumberValue::F64(bits) => Some(bits),
            NumberValue::F32(_) | NumberValue::V128(_) => None,
        };
        let is_time = |a, b| bits(a).zip(bits(b)).is_some_and(|(a, b)| self.explain(a, b));
        one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a == b || is_time(*a, *b))
    }
}

/// A time as programs keep it: in nanoseconds, microseconds, milliseconds, seconds, and what is left of a second.
#[expect(clippy::cast_precision_loss, reason = "programs lose it as well")]
fn forms(time: u64) -> [u64; 9] {
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
    ]
}

#[cfg(test)]
mod tests {
    use crate::runtime::resume::stopped::StoppedFrame;
    use crate::runtime::warm_start::making::comparison::*;

    fn stopped(memory: Vec<u8>) -> Stopped {
        let frame = StoppedFrame { function: 1, after_call: 2, locals: vec![NumberValue::I32(3)], operands: vec![] };
        Stopped { frames: vec![frame], globals: vec![Some(NumberValue::I32(4))], memory }
    }

    fn compared(first: &Stopped, second: &Stopped) -> Result<(), ColdReason> {
        compared_with(first, second, Clocks::Told)
    }

    fn compared_with(first: &Stopped, second: &Stopped, clocks: Clocks) -> Result<(), ColdReason> {
        let left = [(400, b"left here".to_vec())];
        let one = AtCheckpoint { stopped: first, times: &[5_000_000_123], left: &left };
        let left = [(400, b"gone from".to_vec())];
        let other = AtCheckpoint { stopped: second, times: &[9_000_000_456], left: &left };
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
        assert_eq!(compared_with(&with(300, b"GET"), &with(300, b"POST"), Clocks::Computed), Ok(()));
        let many = [1; 4 * (MAX_TIMES + 1)];
        assert!(compared_with(&with(300, &many), &with(300, &many.map(|byte| byte + 1)), Clocks::Computed).is_err());
        assert!(compared(&with(9_999, b"a"), &with(9_999, b"b")).is_err());
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
