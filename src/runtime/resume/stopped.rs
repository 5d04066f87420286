//! What is a program that has stopped in a call?
//!
//! All that the engine knows of it: the functions on its stack, its globals and its memory. Tables are not here, since a program
//! that can change one is refused.

use wasmtime::Val;

use crate::runtime::resume::cold_reason::ColdReason;

/// A program that has stopped in a call of an import.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::runtime) struct Stopped {
    /// The functions on the stack, from the one that called the import to the entry point.
    pub frames: Vec<StoppedFrame>,
    /// The values of all globals. `None` for a reference.
    pub globals: Vec<Option<NumberValue>>,
    pub memory: Vec<u8>,
}

/// A function that waits for the return of a call.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::runtime) struct StoppedFrame {
    /// Its index, imports included.
    pub function: u32,
    /// The offset in the module of the operator behind the call.
    pub after_call: usize,
    pub locals: Vec<NumberValue>,
    /// The operands, the arguments of the call included, but not the index of a `call_indirect`.
    pub operands: Vec<NumberValue>,
}

/// A number in a program. Floats are their bits, so that each stays what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum NumberValue {
    I32(i32),
    I64(i64),
    F32(u32),
    F64(u64),
    V128(u128),
}

impl NumberValue {
    /// A value of the engine; `None` for a reference.
    pub fn new(value: &Val) -> Option<Self> {
        match value {
            Val::I32(number) => Some(Self::I32(*number)),
            Val::I64(number) => Some(Self::I64(*number)),
            Val::F32(bits) => Some(Self::F32(*bits)),
            Val::F64(bits) => Some(Self::F64(*bits)),
            Val::V128(bits) => Some(Self::V128(bits.as_u128())),
            _ => None,
        }
    }

    /// Whether it is what a local holds at first.
    pub fn is_zero(self) -> bool {
        matches!(self, Self::I32(0) | Self::I64(0) | Self::F32(0) | Self::F64(0) | Self::V128(0))
    }
}

/// The values of a frame, which may not be references.
pub(in crate::runtime) fn numbers(values: &[Val]) -> Result<Vec<NumberValue>, ColdReason> {
    values.iter().map(|value| NumberValue::new(value).ok_or(ColdReason::ReferenceLocals)).collect()
}
