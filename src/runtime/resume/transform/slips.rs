//! Which mistakes does the transformation make on purpose?
//!
//! None, but in tests, which show that its tests would find each of them.

#[cfg(test)]
use std::cell::Cell;

/// A mistake.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime::resume) enum Slip {
    /// The last operand of a level is not spilled.
    SpillLeftOut,
    /// A branch leaves a block too few.
    DepthOffByOne,
    /// A skipped piece is skipped for ever.
    FlagKept,
    /// A local keeps its zero.
    LocalLeftOut,
}

#[cfg(test)]
thread_local! {
    static SLIP: Cell<Option<Slip>> = const { Cell::new(None) };
}

/// Makes a mistake while `call` runs.
#[cfg(test)]
pub(in crate::runtime::resume) fn with<T>(slip: Slip, call: impl FnOnce() -> T) -> T {
    SLIP.set(Some(slip));
    let result = call();
    SLIP.set(None);
    result
}

#[cfg(test)]
fn is_made(slip: Slip) -> bool {
    SLIP.get() == Some(slip)
}

/// How much deeper code is inside one block.
pub(super) fn one_block() -> u32 {
    #[cfg(test)]
    if is_made(Slip::DepthOffByOne) {
        return 0;
    }
    1
}

/// What the flag is set to when the program goes on.
pub(super) fn cleared_flag() -> i32 {
    #[cfg(test)]
    if is_made(Slip::FlagKept) {
        return 1;
    }
    0
}

/// How many of the spilled operands get their values.
pub(super) fn spilled(count: usize) -> usize {
    #[cfg(test)]
    if is_made(Slip::SpillLeftOut) {
        return count.saturating_sub(1);
    }
    count
}

/// How many locals get their values.
pub(super) fn restored(count: usize) -> usize {
    #[cfg(test)]
    if is_made(Slip::LocalLeftOut) {
        return count.saturating_sub(1);
    }
    count
}
