//! Which module begins where a program has stopped?
//!
//! A plain module, for any engine: its memory and globals begin as they were, and its entry point goes on from the call in which the
//! program stopped, which it makes again. All functions of the original stay as they are. One is appended for each frame of the stack.
//!
//! | file | question |
//! | --- | --- |
//! | `layout` | what is in the module? |
//! | `call_site` | where in its function has a frame stopped? |
//! | `resume_function` | how does a function go on from there? |
//! | `copy` | how are operators copied into another block? |
//! | `image` | which segments of data fill the memory? |
//! | `slips` | which mistakes do tests make? |

mod call_site;
mod copy;
mod image;
mod layout;
mod resume_function;
mod slips;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use wasm_encoder::{
    CodeSection, ConstExpr, Encode, ExportKind, ExportSection, FunctionSection, GlobalSection, GlobalType,
    InstructionSink, MemorySection, MemoryType, Module, RawSection, TypeSection,
};
use wasmparser::{BinaryReader, ExportSectionReader, ExternalKind};

use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::resume::stopped::Stopped;
use crate::runtime::resume::transform::layout::{ModuleLayout, Section};
use crate::runtime::resume::transform::resume_function::InnerCall;

/// The module whose function `entry_point` goes on from where `module` has stopped.
pub(in crate::runtime) fn resume_module(
    module: &[u8],
    entry_point: &str,
    stopped: &Stopped,
) -> Result<Vec<u8>, ColdReason> {
    let wanted: BTreeSet<u32> = stopped.frames.iter().map(|frame| frame.function).collect();
    let layout = ModuleLayout::new(module, &wanted)?;
    layout.check_globals()?;
    layout.memory()?;
    let appended = Appended::new(&layout, stopped)?;
    let mut resumed = Module::new();
    for section in &layout.sections {
        write(&mut resumed, &layout, section, entry_point, stopped, &appended)?;
    }
    if !layout.sections.iter().any(|section| section.id == DATA) {
        resumed.section(&image::data_section(&stopped.memory));
    }
    Ok(resumed.finish())
}

/// Refuses a module whose snapshots could not hold all of its state, wherever it stops.
pub(in crate::runtime) fn check(module: &[u8]) -> Result<(), ColdReason> {
    let layout = ModuleLayout::new(module, &BTreeSet::new())?;
    layout.check_globals()?;
    layout.memory().map(drop)
}

/// The functions that go on from the frames, the innermost first.
struct Appended {
    bodies: Vec<Vec<u8>>,
    /// The function that goes on from the outermost frame.
    last: u32,
}

impl Appended {
    fn new(layout: &ModuleLayout<'_>, stopped: &Stopped) -> Result<Self, ColdReason> {
        let first = u32::try_from(layout.function_count()).map_err(|_| ColdReason::Module)?;
        let mut bodies = Vec::with_capacity(stopped.frames.len());
        let mut called = InnerCall::Import;
        for (frame, own) in stopped.frames.iter().zip(first..) {
            bodies.push(resume_function::body(layout, frame, called)?);
            called = InnerCall::Frame(own);
        }
        match called {
            InnerCall::Frame(last) => Ok(Self { bodies, last }),
            InnerCall::Import => Err(ColdReason::Stack("there is no frame")),
        }
    }
}

// The numbers of sections.
const TYPE: u8 = 1;
const FUNCTION: u8 = 3;
const MEMORY: u8 = 5;
const GLOBAL: u8 = 6;
const EXPORT: u8 = 7;
const START: u8 = 8;
const CODE: u8 = 10;
const DATA: u8 = 11;
const DATA_COUNT: u8 = 12;

fn write(
    resumed: &mut Module,
    layout: &ModuleLayout<'_>,
    section: &Section,
    entry_point: &str,
    stopped: &Stopped,
    appended: &Appended,
) -> Result<(), ColdReason> {
    let content = layout.bytes.get(section.content.clone()).ok_or(ColdReason::Module)?;
    let added = appended.bodies.len();
    match section.id {
        // The first has run. Nothing that needs the second is left.
        START | DATA_COUNT => {}
        TYPE => raw(resumed, TYPE, &longer(content, added, &types(layout, stopped)?)?),
        FUNCTION => raw(resumed, FUNCTION, &longer(content, added, &functions(layout, added)?)?),
        CODE => raw(resumed, CODE, &longer(content, added, &bodies(appended))?),
        MEMORY => drop(resumed.section(&memory(layout, stopped)?)),
        GLOBAL => drop(resumed.section(&globals(layout, stopped)?)),
        EXPORT => drop(resumed.section(&exports(content, entry_point, stopped, appended)?)),
        DATA => drop(resumed.section(&image::data_section(&stopped.memory))),
        id => raw(resumed, id, content),
    }
    Ok(())
}

fn raw(resumed: &mut Module, id: u8, data: &[u8]) {
    resumed.section(&RawSection { id, data });
}

/// A section of the original with what is added behind it.
fn longer(content: &[u8], added: usize, tail: &[u8]) -> Result<Vec<u8>, ColdReason> {
    let mut reader = BinaryReader::new(content, 0);
    let count = reader.read_var_u32().map_err(|_| ColdReason::Module)?;
    let rest = content.get(reader.original_position()..).ok_or(ColdReason::Module)?;
    let mut data = Vec::with_capacity(content.len() + tail.len() + 5);
    (count as usize + added).encode(&mut data);
    data.extend_from_slice(rest);
    data.extend_from_slice(tail);
    Ok(data)
}

/// The types of the appended functions: no parameters, and the results of the original.
fn types(layout: &ModuleLayout<'_>, stopped: &Stopped) -> Result<Vec<u8>, ColdReason> {
    let mut types = TypeSection::new();
    for frame in &stopped.frames {
        let results = layout.function_type(frame.function)?.results();
        let results = results.iter().map(|ty| resume_function::encoded(*ty)).collect::<Result<Vec<_>, _>>()?;
        types.ty().function([], results);
    }
    Ok(without_count(&types))
}

fn functions(layout: &ModuleLayout<'_>, added: usize) -> Result<Vec<u8>, ColdReason> {
    let mut functions = FunctionSection::new();
    for index in 0..added {
        functions.function(u32::try_from(layout.type_count() + index).map_err(|_| ColdReason::Module)?);
    }
    Ok(without_count(&functions))
}

fn bodies(appended: &Appended) -> Vec<u8> {
    let mut code = CodeSection::new();
    for body in &appended.bodies {
        code.raw(body);
    }
    without_count(&code)
}

/// The content of a section behind its length and its count.
fn without_count(section: &impl Encode) -> Vec<u8> {
    let mut encoded = Vec::new();
    section.encode(&mut encoded);
    let mut reader = BinaryReader::new(&encoded, 0);
    // What an encoder has written can be read.
    let _ = reader.read_var_u32().and_then(|_| reader.read_var_u32());
    encoded.get(reader.original_position()..).unwrap_or_default().to_vec()
}

fn memory(layout: &ModuleLayout<'_>, stopped: &Stopped) -> Result<MemorySection, ColdReason> {
    const PAGE: usize = 1 << 16;
    let original = layout.memory()?;
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: (stopped.memory.len() / PAGE) as u64,
        maximum: original.maximum,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    Ok(memories)
}

fn globals(layout: &ModuleLayout<'_>, stopped: &Stopped) -> Result<GlobalSection, ColdReason> {
    let captured = stopped.globals.get(layout.imported_globals as usize..).unwrap_or_default();
    if captured.len() != layout.globals.len() {
        return Err(ColdReason::Stack("there is another number of globals"));
    }
    let mut globals = GlobalSection::new();
    for (global, value) in layout.globals.iter().zip(captured) {
        match value {
            Some(value) if global.ty.mutable => {
                let val_type = resume_function::encoded(global.ty.content_type)?;
                let ty = GlobalType { val_type, mutable: true, shared: false };
                let mut constant = Vec::new();
                resume_function::constant(*value, &mut InstructionSink::new(&mut constant));
                globals.global(ty, &ConstExpr::raw(constant));
            }
            _ => {
                globals.raw(layout.bytes.get(global.entry.clone()).ok_or(ColdReason::Module)?);
            }
        }
    }
    Ok(globals)
}

fn exports(
    content: &[u8],
    entry_point: &str,
    stopped: &Stopped,
    appended: &Appended,
) -> Result<ExportSection, ColdReason> {
    let reader = ExportSectionReader::new(BinaryReader::new(content, 0)).map_err(|_| ColdReason::Module)?;
    let outermost = stopped.frames.last().map(|frame| frame.function);
    let mut exports = ExportSection::new();
    let mut has_entry_point = false;
    for export in reader {
        let export = export.map_err(|_| ColdReason::Module)?;
        let is_entry_point = export.name == entry_point && export.kind == ExternalKind::Func;
        if is_entry_point && outermost != Some(export.index) {
            return Err(ColdReason::EntryPoint);
        }
        has_entry_point |= is_entry_point;
        let index = if is_entry_point { appended.last } else { export.index };
        exports.export(export.name, kind(export.kind), index);
    }
    if has_entry_point { Ok(exports) } else { Err(ColdReason::EntryPoint) }
}

fn kind(kind: ExternalKind) -> ExportKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => ExportKind::Func,
        ExternalKind::Table => ExportKind::Table,
        ExternalKind::Memory => ExportKind::Memory,
        ExternalKind::Global => ExportKind::Global,
        ExternalKind::Tag => ExportKind::Tag,
    }
}
