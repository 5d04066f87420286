//! How are operators copied into a block that is not around them in the original?

use std::ops::Range;

use wasm_encoder::InstructionSink;
use wasmparser::Operator;

use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::transform::call_site::Located;
use crate::runtime::resume::transform::slips;

/// Copies the operators in `range` to the end of `code`, which has one block more around them than `module`. So each branch that
/// leaves them has to leave one block more. They are valid, and no exceptions are among them.
pub(super) fn one_block_deeper(
    module: &[u8],
    operators: &[Located<'_>],
    range: Range<usize>,
    code: &mut Vec<u8>,
) -> Result<(), ColdReason> {
    let mut nesting = 0u32;
    for located in operators.get(range).ok_or(ColdReason::Stack("a level has no operators"))? {
        let deeper = |depth: u32| if depth < nesting { depth } else { depth.saturating_add(slips::one_block()) };
        match &located.operator {
            Operator::Br { relative_depth } => {
                InstructionSink::new(code).br(deeper(*relative_depth));
                continue;
            }
            Operator::BrIf { relative_depth } => {
                InstructionSink::new(code).br_if(deeper(*relative_depth));
                continue;
            }
            Operator::BrTable { targets } => {
                let depths: Result<Vec<u32>, _> = targets.targets().map(|depth| depth.map(deeper)).collect();
                let depths = depths.map_err(|_| ColdReason::Module)?;
                InstructionSink::new(code).br_table(depths, deeper(targets.default()));
                continue;
            }
            Operator::BrOnNull { .. } | Operator::BrOnNonNull { .. } => return Err(ColdReason::ReferenceBranches),
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => nesting += 1,
            Operator::End => nesting = nesting.checked_sub(1).ok_or(ColdReason::Stack("a level ends too early"))?,
            _ => {}
        }
        verbatim(module, located.start..located.end, code)?;
    }
    Ok(())
}

/// Copies bytes of the module.
pub(super) fn verbatim(module: &[u8], range: Range<usize>, code: &mut Vec<u8>) -> Result<(), ColdReason> {
    code.extend_from_slice(module.get(range).ok_or(ColdReason::Module)?);
    Ok(())
}
