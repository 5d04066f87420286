//! Where in its function has a frame stopped?
//!
//! In a call, inside of blocks, loops and arms of conditions, which are called levels. The body of the function is the outermost level.
//! Each level has left operands on the stack when the next one began.

use wasmparser::{BlockType, FuncValidator, FunctionBody, Operator, ValType, ValidatorResources};

use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::transform::layout::ModuleLayout;

/// An operator, and its place in the module.
pub(super) struct Located<'a> {
    pub start: usize,
    pub end: usize,
    pub operator: Operator<'a>,
}

/// The place where a function has stopped.
pub(super) struct CallSite<'a> {
    pub operators: Vec<Located<'a>>,
    /// The types of the parameters and locals.
    pub locals: Vec<ValType>,
    /// The blocks around the call, the outermost first.
    pub levels: Vec<BlockLevel>,
    /// Which of the operators is the call.
    pub call: usize,
    /// The operands that the innermost level has on the stack, the arguments of the call included.
    pub operands: Vec<ValType>,
    /// What is called.
    pub callee: Callee,
}

/// What a call calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callee {
    /// The function with this index.
    Function(u32),
    /// A function of a table, with this type.
    Indirect { ty: u32 },
}

/// A block, a loop or a condition around the call.
#[derive(Debug)]
pub(super) struct BlockLevel {
    /// Which of the operators opens it.
    pub opener: usize,
    pub kind: BlockKind,
    /// The operands that the level around it has on the stack, a condition included.
    pub operands: Vec<ValType>,
}

/// Which way leads into a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// A block or a loop.
    Plain,
    /// The first arm of a condition.
    Then,
    /// The second arm of a condition, behind the operator with this index.
    Else(usize),
}

/// A level while operators are read, with the height of the stack at its beginning.
struct OpenBlock {
    level: BlockLevel,
    base: usize,
    has_parameters: bool,
}

impl<'a> CallSite<'a> {
    /// Finds the call that ends at `after_call`.
    pub fn find(layout: &ModuleLayout<'a>, function: u32, after_call: usize) -> Result<Self, ColdReason> {
        let body = layout.body(function)?;
        let operators = operators(&body.code)?;
        let call = operators.iter().position(|located| located.end == after_call);
        let call = call.ok_or(ColdReason::Stack("a frame is at no operator"))?;
        let mut validator = body.validator().into_validator(wasmparser::FuncValidatorAllocations::default());
        validator.read_locals(&mut body.code.get_binary_reader()).map_err(|_| ColdReason::Module)?;
        let mut open: Vec<OpenBlock> = Vec::new();
        for (index, located) in operators.iter().enumerate() {
            if index == call {
                break;
            }
            follow(layout, &validator, &mut open, index, &located.operator)?;
            validator.op(located.start, &located.operator).map_err(|_| ColdReason::Module)?;
        }
        let callee = match operators.get(call).map(|located| &located.operator) {
            Some(Operator::Call { function_index }) => Callee::Function(*function_index),
            Some(Operator::CallIndirect { type_index, .. }) => Callee::Indirect { ty: *type_index },
            Some(Operator::CallRef { .. }) => return Err(ColdReason::ReferenceCalls),
            _ => return Err(ColdReason::Stack("a frame is at no call")),
        };
        if open.iter().any(|open| open.has_parameters) {
            return Err(ColdReason::BlockParameters);
        }
        let operands = operands(&validator, base(&open))?;
        let locals = (0..validator.len_locals()).map_while(|index| validator.get_local_type(index)).collect();
        let levels = open.into_iter().map(|open| open.level).collect();
        Ok(Self { operators, locals, levels, call, operands, callee })
    }
}

fn operators<'a>(code: &FunctionBody<'a>) -> Result<Vec<Located<'a>>, ColdReason> {
    let mut reader = code.get_operators_reader().map_err(|_| ColdReason::Module)?;
    let mut operators = Vec::new();
    while !reader.eof() {
        let start = reader.original_position();
        let operator = reader.read().map_err(|_| ColdReason::Module)?;
        operators.push(Located { start, end: reader.original_position(), operator });
    }
    Ok(operators)
}

/// Notes which levels are open behind an operator.
fn follow(
    layout: &ModuleLayout<'_>,
    validator: &FuncValidator<ValidatorResources>,
    open: &mut Vec<OpenBlock>,
    index: usize,
    operator: &Operator<'_>,
) -> Result<(), ColdReason> {
    match operator {
        Operator::Block { blockty } | Operator::Loop { blockty } | Operator::If { blockty } => {
            let is_condition = matches!(operator, Operator::If { .. });
            // In code that cannot be reached there are fewer operands, and no call has stopped there.
            let height = validator.operand_stack_height() as usize;
            let operands = operands(validator, base(open)).unwrap_or_default();
            let parameters = parameters(layout, *blockty)?;
            let base = height.saturating_sub(usize::from(is_condition) + parameters);
            let kind = if is_condition { BlockKind::Then } else { BlockKind::Plain };
            let level = BlockLevel { opener: index, kind, operands };
            open.push(OpenBlock { level, base, has_parameters: parameters > 0 });
        }
        Operator::Else => {
            if let Some(innermost) = open.last_mut() {
                innermost.level.kind = BlockKind::Else(index);
            }
        }
        Operator::End => {
            open.pop();
        }
        _ => {}
    }
    Ok(())
}

fn parameters(layout: &ModuleLayout<'_>, ty: BlockType) -> Result<usize, ColdReason> {
    match ty {
        BlockType::Empty | BlockType::Type(_) => Ok(0),
        BlockType::FuncType(index) => Ok(layout.type_at(index)?.params().len()),
    }
}

fn base(open: &[OpenBlock]) -> usize {
    open.last().map_or(0, |innermost| innermost.base)
}

/// The types of the operands above `base`, the lowest first.
fn operands(validator: &FuncValidator<ValidatorResources>, base: usize) -> Result<Vec<ValType>, ColdReason> {
    let height = validator.operand_stack_height() as usize;
    let unknown = ColdReason::Stack("the type of an operand is unknown");
    let depths = (0..height.saturating_sub(base)).rev();
    depths.map(|depth| validator.get_operand_type(depth).flatten().ok_or_else(|| unknown.clone())).collect()
}
