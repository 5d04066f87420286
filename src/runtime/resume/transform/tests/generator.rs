//! Which programs are there?
//!
//! Functions of all nestings of blocks, loops, conditions, branches and calls, with values of all types of numbers on the stack
//! between them. Each program ends, and depends in what it notes on all that it computes.

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, InstructionSink, MemArg, MemorySection, MemoryType,
    Module, RefType, TableSection, TableType, TypeSection, ValType,
};

const TYPES: [ValType; 5] = [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128];

// The imports and the globals, by index.
const STOP: u32 = 0;
const NOTE: u32 = 1;
const IMPORTS: u32 = 2;
const BUDGET: u32 = 0;

/// How often functions are entered in one run.
const ENTRIES: i32 = 40;

/// A source of random numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).expect("small")
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.roll(items.len())]
    }
}

/// A generated function. Its first parameter is how deep it may call.
#[derive(Clone)]
struct Signature {
    parameters: Vec<ValType>,
    results: Vec<ValType>,
}

/// The program of a seed.
pub(super) fn program(seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed);
    let count = 2 + dice.roll(4);
    let signatures: Vec<Signature> = (0..count).map(|_| signature(&mut dice)).collect();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([ValType::I64], []);
    for signature in &signatures {
        types.ty().function(signature.parameters.iter().copied(), signature.results.iter().copied());
    }
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    for index in 0..signatures.len() {
        functions.function(3 + u32::try_from(index).expect("small"));
        code.function(&Body::new(&mut dice, &signatures, signatures[index].clone()).function());
    }
    functions.function(0);
    code.function(&Body::new(&mut dice, &signatures, Signature { parameters: vec![], results: vec![] }).function());
    let mut module = Module::new();
    module.section(&types).section(&imports()).section(&functions).section(&table(count)).section(&memory());
    module.section(&globals()).section(&exports(count)).section(&elements(count)).section(&code);
    module.finish()
}

fn signature(dice: &mut Dice) -> Signature {
    let mut parameters = vec![ValType::I32];
    parameters.extend((0..dice.roll(3)).map(|_| dice.pick(&TYPES)).collect::<Vec<_>>());
    let results = (0..dice.pick(&[0, 1, 1, 1, 2])).map(|_| dice.pick(&TYPES)).collect();
    Signature { parameters, results }
}

fn imports() -> ImportSection {
    let mut imports = ImportSection::new();
    imports.import("host", "stop", EntityType::Function(1)).import("host", "note", EntityType::Function(2));
    imports
}

fn table(count: usize) -> TableSection {
    let size = count as u64;
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: size,
        maximum: Some(size),
        shared: false,
    });
    tables
}

fn memory() -> MemorySection {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: Some(3), memory64: false, shared: false, page_size_log2: None });
    memories
}

fn globals() -> GlobalSection {
    let mut globals = GlobalSection::new();
    let ty = |val_type, mutable| GlobalType { val_type, mutable, shared: false };
    globals.global(ty(ValType::I32, true), &ConstExpr::i32_const(ENTRIES));
    globals.global(ty(ValType::I32, true), &ConstExpr::i32_const(5));
    globals.global(ty(ValType::I64, true), &ConstExpr::i64_const(-6));
    globals.global(ty(ValType::F32, true), &ConstExpr::f32_const(1.5.into()));
    globals.global(ty(ValType::F64, true), &ConstExpr::f64_const((-0.0).into()));
    globals.global(ty(ValType::V128, true), &ConstExpr::v128_const(7));
    globals.global(ty(ValType::I32, false), &ConstExpr::i32_const(9));
    globals
}

fn exports(count: usize) -> ExportSection {
    let start = IMPORTS + u32::try_from(count).expect("small");
    let mut exports = ExportSection::new();
    exports.export("_start", ExportKind::Func, start).export("memory", ExportKind::Memory, 0);
    exports
}

fn elements(count: usize) -> ElementSection {
    let functions: Vec<u32> = (0..u32::try_from(count).expect("small")).map(|index| IMPORTS + index).collect();
    let mut elements = ElementSection::new();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(functions.into()));
    elements
}

/// What a branch to a block around it has to have on the stack.
#[derive(Clone, Copy, PartialEq)]
enum Label {
    Nothing,
    NumberValue(ValType),
    /// A branch would repeat it, or leave the function.
    Never,
}

/// The body of a function while it is made.
struct Body<'a> {
    dice: &'a mut Dice,
    signatures: &'a [Signature],
    own: Signature,
    locals: Vec<ValType>,
    labels: Vec<Label>,
    code: Vec<u8>,
    /// How many operators may still be made.
    room: usize,
}

impl<'a> Body<'a> {
    fn new(dice: &'a mut Dice, signatures: &'a [Signature], own: Signature) -> Self {
        let mut locals = own.parameters.clone();
        locals.extend(TYPES);
        let labels = vec![Label::Never];
        Self { dice, signatures, own, locals, labels, code: Vec::new(), room: 150 }
    }

    fn function(mut self) -> Function {
        if !self.own.parameters.is_empty() {
            self.return_when_used_up();
        }
        for _ in 0..3 {
            self.statement(4);
        }
        self.note_all();
        for ty in self.own.results.clone() {
            self.expression(ty, 3);
        }
        self.sink().end();
        let declared = self.locals.split_off(self.own.parameters.len());
        let mut function = Function::new_with_locals_types(declared);
        function.raw(self.code);
        function
    }

    fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    fn return_when_used_up(&mut self) {
        self.sink().global_get(BUDGET).i32_const(1).i32_sub().global_set(BUDGET);
        self.sink().global_get(BUDGET).i32_const(0).i32_lt_s().local_get(0).i32_eqz().i32_or();
        self.sink().if_(BlockType::Empty);
        for ty in self.own.results.clone() {
            self.constant(ty);
        }
        self.sink().return_().end();
    }

    /// Notes the globals and the locals.
    fn note_all(&mut self) {
        for (index, ty) in (0u32..).zip([ValType::I32].into_iter().chain(TYPES)) {
            self.sink().global_get(index);
            self.push_as_i64(ty);
            self.sink().call(NOTE);
        }
        for (index, ty) in (0u32..).zip(self.locals.clone()) {
            self.sink().local_get(index);
            self.push_as_i64(ty);
            self.sink().call(NOTE);
        }
    }

    fn push_as_i64(&mut self, ty: ValType) {
        let mut sink = self.sink();
        match ty {
            ValType::I32 => sink.i64_extend_i32_s(),
            ValType::F32 => sink.i32_reinterpret_f32().i64_extend_i32_s(),
            ValType::F64 => sink.i64_reinterpret_f64(),
            ValType::V128 => sink.i64x2_extract_lane(1),
            _ => return,
        };
    }

    fn constant(&mut self, ty: ValType) {
        let number = i32::try_from(self.dice.roll(1000)).expect("small") - 300;
        let mut sink = self.sink();
        match ty {
            ValType::I32 => sink.i32_const(number),
            ValType::I64 => sink.i64_const(i64::from(number) << 30),
            ValType::F32 => sink.f32_const((number as f32 / 8.0).into()),
            ValType::F64 => sink.f64_const((f64::from(number) / 16.0).into()),
            _ => sink.v128_const((i128::from(number) << 64) | 3),
        };
    }

    fn local_of(&mut self, ty: ValType) -> u32 {
        // Behind the first parameter and before the counters of loops, which stay what they are.
        let last = self.own.parameters.len() + TYPES.len();
        let own = usize::from(!self.own.parameters.is_empty())..last;
        let fitting: Vec<usize> = own.filter(|index| self.locals[*index] == ty).collect();
        u32::try_from(self.dice.pick(&fitting)).expect("small")
    }

    fn address(&mut self, depth: usize) {
        self.expression(ValType::I32, depth);
        self.sink().i32_const(0xfff0).i32_and();
    }

    fn is_done(&mut self, depth: usize) -> bool {
        self.room = self.room.saturating_sub(1);
        depth == 0 || self.room == 0
    }

    /// Leaves a value of a type on the stack.
    fn expression(&mut self, ty: ValType, depth: usize) {
        if self.is_done(depth) {
            if self.dice.roll(2) == 0 {
                return self.constant(ty);
            }
            let local = self.local_of(ty);
            self.sink().local_get(local);
            return;
        }
        match self.dice.roll(12) {
            0 | 1 => self.operation(ty, depth - 1),
            2 => self.value_block(ty, depth - 1),
            3 => self.value_condition(ty, depth - 1),
            4 => self.value_loop(ty, depth - 1),
            5 => self.value_table(ty, depth - 1),
            6 | 7 => self.value_call(ty, depth - 1),
            8 | 9 if ty == ValType::I32 => {
                self.expression(ValType::I32, depth - 1);
                self.sink().call(STOP);
            }
            8 | 9 => self.converted(ty, depth - 1),
            10 => {
                self.address(depth - 1);
                self.load(ty);
            }
            _ => {
                let local = self.local_of(ty);
                self.expression(ty, depth - 1);
                self.sink().local_tee(local);
            }
        }
    }

    fn load(&mut self, ty: ValType) {
        let at = MemArg { offset: 0, align: 0, memory_index: 0 };
        let mut sink = self.sink();
        match ty {
            ValType::I32 => sink.i32_load(at),
            ValType::I64 => sink.i64_load(at),
            ValType::F32 => sink.f32_load(at).f32_const(1.0.into()).f32_add(),
            ValType::F64 => sink.f64_load(at).f64_const(1.0.into()).f64_add(),
            _ => sink.v128_load(at),
        };
    }

    fn operation(&mut self, ty: ValType, depth: usize) {
        self.expression(ty, depth);
        self.expression(ty, depth);
        let choice = self.dice.roll(3);
        let mut sink = self.sink();
        match (ty, choice) {
            (ValType::I32, 0) => sink.i32_add(),
            (ValType::I32, 1) => sink.i32_mul(),
            (ValType::I32, _) => sink.i32_lt_s(),
            (ValType::I64, 0) => sink.i64_sub(),
            (ValType::I64, _) => sink.i64_xor(),
            (ValType::F32, 0) => sink.f32_add(),
            (ValType::F32, _) => sink.f32_mul(),
            (ValType::F64, 0) => sink.f64_sub(),
            (ValType::F64, _) => sink.f64_min(),
            (_, 0) => sink.i32x4_add(),
            _ => sink.v128_xor(),
        };
    }

    /// A value made of one of another type, which is a call of the host's for one of them.
    fn converted(&mut self, ty: ValType, depth: usize) {
        self.expression(ValType::I32, depth);
        self.sink().call(STOP);
        let mut sink = self.sink();
        match ty {
            ValType::I64 => sink.i64_extend_i32_u(),
            ValType::F32 => sink.f32_convert_i32_s(),
            ValType::F64 => sink.f64_convert_i32_s(),
            _ => sink.i32x4_splat(),
        };
    }

    /// A block that is left with a value in its middle, or runs to its end.
    fn value_block(&mut self, ty: ValType, depth: usize) {
        self.sink().block(BlockType::Result(ty));
        self.labels.push(Label::NumberValue(ty));
        self.statement(depth);
        self.expression(ty, depth);
        self.expression(ValType::I32, depth);
        self.sink().br_if(0).drop();
        self.expression(ty, depth);
        self.labels.pop();
        self.sink().end();
    }

    fn value_condition(&mut self, ty: ValType, depth: usize) {
        self.expression(ValType::I32, depth);
        self.sink().if_(BlockType::Result(ty));
        self.labels.push(Label::NumberValue(ty));
        self.statement(depth);
        self.expression(ty, depth);
        self.sink().else_();
        self.expression(ty, depth);
        self.labels.pop();
        self.sink().end();
    }

    /// A loop with a counter of its own.
    fn repeated(&mut self, ty: BlockType, body: impl FnOnce(&mut Self), last: impl FnOnce(&mut Self)) {
        let counter = u32::try_from(self.locals.len()).expect("small");
        self.locals.push(ValType::I32);
        let rounds = i32::try_from(1 + self.dice.roll(3)).expect("small");
        self.sink().i32_const(rounds).local_set(counter).loop_(ty);
        self.labels.push(Label::Never);
        body(self);
        self.sink().local_get(counter).i32_const(1).i32_sub().local_tee(counter).br_if(0);
        last(self);
        self.labels.pop();
        self.sink().end();
    }

    fn value_loop(&mut self, ty: ValType, depth: usize) {
        self.repeated(BlockType::Result(ty), |body| body.statement(depth), |body| body.expression(ty, depth));
    }

    /// A table of branches that leads to one of two values.
    fn value_table(&mut self, ty: ValType, depth: usize) {
        self.sink().block(BlockType::Result(ty)).block(BlockType::Empty).block(BlockType::Empty);
        self.labels.extend([Label::NumberValue(ty), Label::Nothing, Label::Nothing]);
        self.expression(ValType::I32, depth);
        self.sink().br_table([0, 1, 0], 1);
        self.labels.pop();
        self.sink().end();
        self.expression(ty, depth);
        self.sink().br(1);
        self.labels.pop();
        self.sink().end();
        self.expression(ty, depth);
        self.labels.pop();
        self.sink().end();
    }

    /// A call of a function, of which the value stays that has the type.
    fn value_call(&mut self, ty: ValType, depth: usize) {
        let fits = |index: &usize| self.signatures[*index].results == [ty];
        let fitting: Vec<usize> = (0..self.signatures.len()).filter(fits).collect();
        if fitting.is_empty() {
            return self.operation(ty, depth);
        }
        let callee = self.dice.pick(&fitting);
        self.call(callee, depth);
    }

    fn call(&mut self, callee: usize, depth: usize) {
        match self.own.parameters.is_empty() {
            true => self.sink().i32_const(4),
            false => self.sink().local_get(0).i32_const(1).i32_sub(),
        };
        for ty in self.signatures[callee].parameters.clone().into_iter().skip(1) {
            self.expression(ty, depth);
        }
        let index = u32::try_from(callee).expect("small");
        if self.dice.roll(2) == 0 {
            self.sink().call(IMPORTS + index);
        } else {
            self.sink().i32_const(index.cast_signed()).call_indirect(0, 3 + index);
        }
    }

    /// Leaves the stack as it is.
    fn statement(&mut self, depth: usize) {
        if self.is_done(depth) {
            return;
        }
        match self.dice.roll(11) {
            0 | 1 => {
                let ty = self.dice.pick(&TYPES);
                let local = self.local_of(ty);
                self.expression(ty, depth - 1);
                self.sink().local_set(local);
            }
            2 => {
                let index = self.dice.roll(TYPES.len());
                self.expression(TYPES[index], depth - 1);
                self.sink().global_set(1 + u32::try_from(index).expect("small"));
            }
            3 => self.store(depth - 1),
            4 => {
                let ty = self.dice.pick(&TYPES);
                self.expression(ty, depth - 1);
                self.push_as_i64(ty);
                self.sink().call(NOTE);
            }
            5 => self.condition(depth - 1),
            6 => self.block(depth - 1),
            7 => self.repeated(
                BlockType::Empty,
                |body| {
                    body.statement(depth - 1);
                    body.statement(depth - 1);
                },
                |_| {},
            ),
            8 => self.branch(depth - 1),
            9 => self.dropped_call(depth - 1),
            _ => {
                self.sink().i32_const(1).memory_grow(0).i64_extend_i32_s().call(NOTE);
            }
        }
    }

    fn store(&mut self, depth: usize) {
        let ty = self.dice.pick(&TYPES);
        self.address(depth);
        self.expression(ty, depth);
        let at = MemArg { offset: 0, align: 0, memory_index: 0 };
        let mut sink = self.sink();
        match ty {
            ValType::I32 => sink.i32_store(at),
            ValType::I64 => sink.i64_store(at),
            ValType::F32 => sink.f32_store(at),
            ValType::F64 => sink.f64_store(at),
            _ => sink.v128_store(at),
        };
    }

    fn condition(&mut self, depth: usize) {
        self.expression(ValType::I32, depth);
        self.sink().if_(BlockType::Empty);
        self.labels.push(Label::Nothing);
        self.statement(depth);
        if self.dice.roll(2) == 0 {
            self.sink().else_();
            self.statement(depth);
            self.statement(depth);
        }
        self.labels.pop();
        self.sink().end();
    }

    fn block(&mut self, depth: usize) {
        self.sink().block(BlockType::Empty);
        self.labels.push(Label::Nothing);
        self.statement(depth);
        self.branch(depth);
        self.statement(depth);
        self.labels.pop();
        self.sink().end();
    }

    /// A branch that may leave some of the blocks around it.
    fn branch(&mut self, depth: usize) {
        let depths = (0u32..).zip(self.labels.iter().rev());
        let targets: Vec<(u32, Label)> =
            depths.filter(|(_, label)| **label != Label::Never).map(|(depth, label)| (depth, *label)).collect();
        if targets.is_empty() {
            return;
        }
        match self.dice.pick(&targets) {
            (target, Label::NumberValue(ty)) => {
                self.expression(ty, depth);
                self.expression(ValType::I32, depth);
                self.sink().br_if(target).drop();
            }
            (target, _) if self.dice.roll(2) == 0 => {
                self.expression(ValType::I32, depth);
                self.sink().br_if(target);
            }
            (target, _) => {
                // A table that stays, or leaves.
                self.sink().block(BlockType::Empty);
                self.labels.push(Label::Nothing);
                self.expression(ValType::I32, depth);
                self.sink().br_table([0, target + 1], 0);
                self.labels.pop();
                self.sink().end();
            }
        }
    }

    fn dropped_call(&mut self, depth: usize) {
        let callee = self.dice.roll(self.signatures.len());
        self.call(callee, depth);
        for _ in 0..self.signatures[callee].results.len() {
            self.sink().drop();
        }
    }
}
