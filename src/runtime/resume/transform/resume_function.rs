//! How does a function go on from the call in which it has stopped?
//!
//! As a copy of it, without parameters, that begins with the captured values in its locals and skips what ran before the call. The
//! copy is entered once. Each level around the call becomes:
//!
//! ```text
//! if the flag is not set       the flag is set until the call is reached, so this is skipped once
//!   what the level does before the next level begins
//!   its operands go to locals of their own, the spills
//! end
//! the spills come back as operands
//! the next level begins
//! ```
//!
//! Loops and recursion need nothing else: the flag is cleared when the call is reached, and there is one copy for each frame.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};

use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::stopped::{NumberValue, StoppedFrame};
use crate::runtime::resume::transform::call_site::{BlockKind, CallSite, Callee};
use crate::runtime::resume::transform::layout::ModuleLayout;
use crate::runtime::resume::transform::{copy, slips};

/// What the call of a frame has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InnerCall {
    /// It is the call of the import. It is made again.
    Import,
    /// The function that it called goes on first, in the function with this index.
    Frame(u32),
}

/// The body of the function that goes on from `frame`.
pub(super) fn body(layout: &ModuleLayout<'_>, frame: &StoppedFrame, called: InnerCall) -> Result<Vec<u8>, ColdReason> {
    let site = CallSite::find(layout, frame.function, frame.after_call)?;
    let locals = site.locals.iter().map(|ty| encoded(*ty)).collect::<Result<Vec<_>, _>>()?;
    if locals.len() != frame.locals.len() {
        return Err(ColdReason::Stack("a frame has too few locals"));
    }
    let operands = all_operands(&site, frame)?;
    let mut writer = Writer { layout, site: &site, locals, code: Vec::new(), initial: Vec::new(), flag: 0, operands };
    for (index, value) in frame.locals.iter().enumerate().take(slips::restored(frame.locals.len())) {
        writer.set(index, *value)?;
    }
    writer.flag = writer.add_local(ValType::I32, NumberValue::I32(1))?;
    let from = writer.levels()?;
    writer.call(from, called)?;
    Ok(writer.finish())
}

/// The operands of the frame, with a place for the index of a `call_indirect`, which the engine does not keep. It is not used: the
/// call goes on, and is not made again.
fn all_operands(site: &CallSite<'_>, frame: &StoppedFrame) -> Result<Vec<NumberValue>, ColdReason> {
    let mut operands = frame.operands.clone();
    if matches!(site.callee, Callee::Indirect { .. }) {
        operands.push(NumberValue::I32(0));
    }
    let by_level = site.levels.iter().map(|level| level.operands.len() - usize::from(level.kind != BlockKind::Plain));
    if by_level.sum::<usize>() + site.operands.len() != operands.len() {
        return Err(ColdReason::Stack("a frame has another number of operands"));
    }
    Ok(operands)
}

/// A type of numbers, as it is written.
pub(super) fn encoded(ty: wasmparser::ValType) -> Result<ValType, ColdReason> {
    match ty {
        wasmparser::ValType::I32 => Ok(ValType::I32),
        wasmparser::ValType::I64 => Ok(ValType::I64),
        wasmparser::ValType::F32 => Ok(ValType::F32),
        wasmparser::ValType::F64 => Ok(ValType::F64),
        wasmparser::ValType::V128 => Ok(ValType::V128),
        wasmparser::ValType::Ref(_) => Err(ColdReason::ReferenceLocals),
    }
}

/// Appends a constant.
pub(super) fn constant(value: NumberValue, code: &mut InstructionSink<'_>) {
    match value {
        NumberValue::I32(number) => code.i32_const(number),
        NumberValue::I64(number) => code.i64_const(number),
        NumberValue::F32(bits) => code.f32_const(wasm_encoder::Ieee32::new(bits)),
        NumberValue::F64(bits) => code.f64_const(wasm_encoder::Ieee64::new(bits)),
        NumberValue::V128(bits) => code.v128_const(bits.cast_signed()),
    };
}

fn type_of(value: NumberValue) -> ValType {
    match value {
        NumberValue::I32(_) => ValType::I32,
        NumberValue::I64(_) => ValType::I64,
        NumberValue::F32(_) => ValType::F32,
        NumberValue::F64(_) => ValType::F64,
        NumberValue::V128(_) => ValType::V128,
    }
}

struct Writer<'a, 'm> {
    layout: &'a ModuleLayout<'m>,
    site: &'a CallSite<'m>,
    /// The types of the locals: those of the original, the flag, the spills.
    locals: Vec<ValType>,
    /// What sets the locals at the beginning.
    initial: Vec<u8>,
    code: Vec<u8>,
    flag: u32,
    /// The operands that are not spilled yet, the lowest first.
    operands: Vec<NumberValue>,
}

impl Writer<'_, '_> {
    fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    /// Lets a local begin with a value.
    fn set(&mut self, local: usize, value: NumberValue) -> Result<(), ColdReason> {
        if self.locals.get(local) != Some(&type_of(value)) {
            return Err(ColdReason::Stack("a value has another type"));
        }
        if !value.is_zero() {
            let mut initial = InstructionSink::new(&mut self.initial);
            constant(value, &mut initial);
            initial.local_set(u32::try_from(local).map_err(|_| ColdReason::Module)?);
        }
        Ok(())
    }

    fn add_local(&mut self, ty: ValType, value: NumberValue) -> Result<u32, ColdReason> {
        let local = self.locals.len();
        self.locals.push(ty);
        self.set(local, value)?;
        u32::try_from(local).map_err(|_| ColdReason::Module)
    }

    /// Writes the levels around the call, and returns with which operator the innermost one goes on.
    fn levels(&mut self) -> Result<usize, ColdReason> {
        let mut from = 0;
        for level in &self.site.levels {
            let condition = match level.kind {
                BlockKind::Plain => None,
                BlockKind::Then => Some(NumberValue::I32(1)),
                BlockKind::Else(_) => Some(NumberValue::I32(0)),
            };
            let spills = self.spills(&level.operands, condition)?;
            self.piece(from..level.opener, &spills)?;
            from = match level.kind {
                BlockKind::Plain | BlockKind::Then => level.opener + 1,
                BlockKind::Else(at) => at + 1,
            };
            self.verbatim(level.opener..from)?;
        }
        Ok(from)
    }

    /// Makes locals for the operands of a level. The last of them is the condition, if there is one.
    fn spills(
        &mut self,
        types: &[wasmparser::ValType],
        condition: Option<NumberValue>,
    ) -> Result<Vec<u32>, ColdReason> {
        let captured = types.len() - usize::from(condition.is_some());
        if captured > self.operands.len() {
            return Err(ColdReason::Stack("a frame has too few operands"));
        }
        let rest = self.operands.split_off(captured);
        let values = std::mem::replace(&mut self.operands, rest).into_iter().chain(condition);
        let kept = slips::spilled(types.len());
        let typed = types.iter().zip(values).enumerate();
        typed
            .map(|(index, (ty, value))| {
                let ty = encoded(*ty)?;
                let value = if index < kept || condition.is_some() { value } else { zero(ty)? };
                self.add_local(ty, value)
            })
            .collect()
    }

    /// Writes what a level does before the next one begins, and leaves its operands on the stack.
    fn piece(&mut self, range: std::ops::Range<usize>, spills: &[u32]) -> Result<(), ColdReason> {
        if range.is_empty() {
            return if spills.is_empty() { Ok(()) } else { Err(ColdReason::Stack("there are operands of nothing")) };
        }
        let flag = self.flag;
        self.sink().local_get(flag).i32_eqz().if_(BlockType::Empty);
        copy::one_block_deeper(self.layout.bytes, &self.site.operators, range, &mut self.code)?;
        for spill in spills.iter().rev() {
            self.sink().local_set(*spill);
        }
        self.sink().end();
        for spill in spills {
            self.sink().local_get(*spill);
        }
        Ok(())
    }

    fn call(&mut self, from: usize, called: InnerCall) -> Result<(), ColdReason> {
        let (site, flag) = (self.site, self.flag);
        let spills = self.spills(&site.operands, None)?;
        self.piece(from..site.call, &spills)?;
        let clear = slips::cleared_flag();
        let InnerCall::Frame(inner) = called else {
            let Callee::Function(function) = site.callee else { return Err(ColdReason::IndirectCheckpoint) };
            if function >= self.layout.imported_functions {
                return Err(ColdReason::Stack("the innermost frame has called no import"));
            }
            self.sink().i32_const(clear).local_set(flag);
            return self.verbatim(site.call..site.operators.len());
        };
        let ty = match site.callee {
            Callee::Function(function) => self.layout.function_type(function)?,
            Callee::Indirect { ty } => self.layout.type_at(ty)?,
        };
        let results = ty.results().iter().map(|ty| encoded(*ty).and_then(|ty| self.add_local(ty, zero(ty)?)));
        let results = results.collect::<Result<Vec<_>, _>>()?;
        let arguments = ty.params().len() + usize::from(matches!(site.callee, Callee::Indirect { .. }));
        let arguments = spills.len().checked_sub(arguments).and_then(|first| spills.get(first..));
        let arguments = arguments.ok_or(ColdReason::Stack("a call has too few arguments"))?;
        self.take(arguments);
        self.sink().local_get(flag).if_(BlockType::Empty).i32_const(clear).local_set(flag).call(inner);
        self.put(&results);
        self.sink().else_();
        self.give(arguments);
        self.verbatim(site.call..site.call + 1)?;
        self.put(&results);
        self.sink().end();
        self.give(&results);
        self.verbatim(site.call + 1..site.operators.len())
    }

    /// Takes operands from the stack that are in locals as well.
    fn take(&mut self, operands: &[u32]) {
        operands.iter().for_each(|_| {
            self.sink().drop();
        });
    }

    /// Puts the results of a call into locals.
    fn put(&mut self, locals: &[u32]) {
        locals.iter().rev().for_each(|local| {
            self.sink().local_set(*local);
        });
    }

    /// Puts locals on the stack.
    fn give(&mut self, locals: &[u32]) {
        locals.iter().for_each(|local| {
            self.sink().local_get(*local);
        });
    }

    /// Copies operators as they are.
    fn verbatim(&mut self, range: std::ops::Range<usize>) -> Result<(), ColdReason> {
        let operators = self.site.operators.get(range).unwrap_or_default();
        let (Some(first), Some(last)) = (operators.first(), operators.last()) else { return Ok(()) };
        copy::verbatim(self.layout.bytes, first.start..last.end, &mut self.code)
    }

    fn finish(self) -> Vec<u8> {
        let mut function = Function::new_with_locals_types(self.locals);
        function.raw(self.initial).raw(self.code);
        function.into_raw_body()
    }
}

fn zero(ty: ValType) -> Result<NumberValue, ColdReason> {
    match ty {
        ValType::I32 => Ok(NumberValue::I32(0)),
        ValType::I64 => Ok(NumberValue::I64(0)),
        ValType::F32 => Ok(NumberValue::F32(0)),
        ValType::F64 => Ok(NumberValue::F64(0)),
        ValType::V128 => Ok(NumberValue::V128(0)),
        ValType::Ref(_) => Err(ColdReason::ReferenceLocals),
    }
}
