//! What is in a module, as far as a resume module of it needs to know?

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use wasmparser::{
    CompositeInnerType, FuncToValidate, FuncType, FunctionBody, GlobalType, MemoryType, Operator, Parser, Payload,
    TypeRef, ValType, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use crate::runtime::engine::gc_support::COLLECTOR_FEATURES;
use crate::runtime::resume::cold_reason::ColdReason;

/// A module, taken apart.
pub(super) struct ModuleLayout<'a> {
    pub bytes: &'a [u8],
    pub sections: Vec<Section>,
    /// The types, in their order. `None` for what is no function.
    types: Vec<Option<FuncType>>,
    /// The type of each function, those of imports first.
    functions: Vec<u32>,
    pub imported_functions: u32,
    pub imported_globals: u32,
    pub globals: Vec<DefinedGlobal>,
    memories: Vec<MemoryType>,
    imports_memory: bool,
    /// The functions that were asked for.
    bodies: HashMap<u32, Body<'a>>,
}

/// A section, by its number and the place of its content.
pub(super) struct Section {
    pub id: u8,
    pub content: Range<usize>,
}

/// A global that is not imported.
pub(super) struct DefinedGlobal {
    pub ty: GlobalType,
    /// Where its type and its initializer are.
    pub entry: Range<usize>,
}

/// A function of the module.
pub(super) struct Body<'a> {
    pub code: FunctionBody<'a>,
    validator: FuncToValidate<ValidatorResources>,
}

impl Body<'_> {
    /// What checks the function, and knows the types of its operands.
    pub fn validator(&self) -> FuncToValidate<ValidatorResources> {
        let FuncToValidate { resources, index, ty, features } = &self.validator;
        FuncToValidate { resources: resources.clone(), index: *index, ty: *ty, features: *features }
    }
}

/// The features of WebAssembly that a program may have: all but those for which it needs a collector.
const FEATURES: WasmFeatures =
    WasmFeatures::all().difference(COLLECTOR_FEATURES).difference(WasmFeatures::LEGACY_EXCEPTIONS);

/// The name section, and hints about branches, stay true when functions are appended. What is known of offsets does not.
const KEPT_CUSTOM_SECTIONS: [&str; 2] = ["name", "metadata.code.branch_hint"];

impl<'a> ModuleLayout<'a> {
    /// Takes a module apart, and keeps the bodies of the functions `wanted`. Refuses a module whose state is in more places than a
    /// [`Stopped`](crate::runtime::resume::stopped::Stopped) has.
    pub fn new(bytes: &'a [u8], wanted: &BTreeSet<u32>) -> Result<Self, ColdReason> {
        let mut layout = Self {
            bytes,
            sections: Vec::new(),
            types: Vec::new(),
            functions: Vec::new(),
            imported_functions: 0,
            imported_globals: 0,
            globals: Vec::new(),
            memories: Vec::new(),
            imports_memory: false,
            bodies: HashMap::new(),
        };
        let mut validator = Validator::new_with_features(FEATURES);
        let mut next_body = None;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|_| ColdReason::Module)?;
            layout.add_section(&payload)?;
            if let ValidPayload::Func(validator, code) = validator.payload(&payload).map_err(|_| ColdReason::Module)? {
                let index = *next_body.get_or_insert(layout.imported_functions);
                next_body = index.checked_add(1);
                check_operators(&code)?;
                if wanted.contains(&index) {
                    layout.bodies.insert(index, Body { code, validator });
                }
            }
        }
        Ok(layout)
    }

    fn add_section(&mut self, payload: &Payload<'a>) -> Result<(), ColdReason> {
        self.read(payload).map_err(|_| ColdReason::Module)?;
        let is_kept = match payload {
            Payload::CustomSection(custom) => KEPT_CUSTOM_SECTIONS.contains(&custom.name()),
            _ => true,
        };
        if let Some((id, content)) = payload.as_section().filter(|_| is_kept) {
            self.sections.push(Section { id, content });
        }
        Ok(())
    }

    fn read(&mut self, payload: &Payload<'a>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types.clone() {
                    let types = group?.into_types().map(|ty| match ty.composite_type.inner {
                        CompositeInnerType::Func(function) => Some(function),
                        _ => None,
                    });
                    self.types.extend(types);
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    self.add_import(import?.ty);
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions.clone() {
                    self.functions.push(ty?);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories.clone() {
                    self.memories.push(memory?);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals.clone().into_iter_with_offsets() {
                    let (start, global) = global?;
                    let end = global.init_expr.get_binary_reader().range().end;
                    self.globals.push(DefinedGlobal { ty: global.ty, entry: start..end });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn add_import(&mut self, ty: TypeRef) {
        match ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.functions.push(ty);
                self.imported_functions += 1;
            }
            TypeRef::Global(_) => self.imported_globals += 1,
            TypeRef::Memory(_) => self.imports_memory = true,
            TypeRef::Table(_) | TypeRef::Tag(_) => {}
        }
    }

    /// The number of types.
    pub fn type_count(&self) -> usize {
        self.types.len()
    }

    /// The number of functions, imports included.
    pub fn function_count(&self) -> usize {
        self.functions.len()
    }

    /// The type of a function.
    pub fn function_type(&self, function: u32) -> Result<&FuncType, ColdReason> {
        self.functions.get(function as usize).ok_or(ColdReason::Module).and_then(|ty| self.type_at(*ty))
    }

    /// The type of functions with this index.
    pub fn type_at(&self, index: u32) -> Result<&FuncType, ColdReason> {
        self.types.get(index as usize).and_then(Option::as_ref).ok_or(ColdReason::Module)
    }

    /// A function that was asked for.
    pub fn body(&self, function: u32) -> Result<&Body<'a>, ColdReason> {
        self.bodies.get(&function).ok_or(ColdReason::Stack("a function has no body"))
    }

    /// Its memory, of which there has to be one.
    pub fn memory(&self) -> Result<MemoryType, ColdReason> {
        match *self.memories.as_slice() {
            [memory] if memory.shared => Err(ColdReason::Threads),
            [memory] if !memory.memory64 && memory.page_size_log2.is_none() && !self.imports_memory => Ok(memory),
            _ => Err(ColdReason::Memories),
        }
    }

    /// Whether all globals that can change are numbers.
    pub fn check_globals(&self) -> Result<(), ColdReason> {
        let is_reference = |global: &DefinedGlobal| matches!(global.ty.content_type, ValType::Ref(_));
        match self.globals.iter().any(|global| global.ty.mutable && is_reference(global)) {
            true => Err(ColdReason::ReferenceGlobals),
            false => Ok(()),
        }
    }
}

/// Refuses what changes a state that is not captured.
fn check_operators(code: &FunctionBody<'_>) -> Result<(), ColdReason> {
    let operators = code.get_operators_reader().map_err(|_| ColdReason::Module)?;
    for operator in operators {
        match operator.map_err(|_| ColdReason::Module)? {
            Operator::TableSet { .. }
            | Operator::TableGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. } => return Err(ColdReason::ChangedTables),
            Operator::MemoryInit { .. } | Operator::DataDrop { .. } => return Err(ColdReason::PassiveSegments),
            _ => {}
        }
    }
    Ok(())
}
