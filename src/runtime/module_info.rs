//! What does a module or component import and export, and how much memory does it need?
//!
//! Its outer sections are read; nothing is compiled or run. What is nested in a component is not listed. For `startup::inspect`.

use wasmparser::{
    ComponentExternalKind, ComponentTypeRef, ExternalKind, FuncType, MemoryType, Parser, Payload, TypeRef,
};

use crate::wasm_bytes::{MAGIC, NotWasm, to_binary};

/// The size of a page of linear memory, unless the module says otherwise.
pub(in crate::runtime) const PAGE_SIZE: u64 = 65_536;

/// Why bytes cannot be read as a module or component.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// They are neither a binary nor a text that can be parsed.
    #[error("neither a module nor a component, binary or text")]
    Text(#[source] NotWasm),
    /// They begin like a binary, and a section is malformed.
    #[error("not a valid module or component")]
    Binary(#[from] wasmparser::BinaryReaderError),
}

/// A module or a component; named as in wasmparser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A core module.
    Module,
    /// A component.
    Component,
}

/// An import or export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extern {
    /// The module that an import of a module names; empty for exports and for components.
    pub module: String,
    /// Its name.
    pub name: String,
    /// What is imported or exported, such as `function`.
    pub kind: &'static str,
    /// Whether it is a function without parameters and results, which can be an entry point.
    pub is_entry_point: bool,
}

/// What the sections of a module or component say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleInfo {
    /// Whether it is a module or a component.
    pub encoding: Encoding,
    /// Whether it was given as text.
    pub is_text: bool,
    /// Its imports.
    pub imports: Vec<Extern>,
    /// Its exports.
    pub exports: Vec<Extern>,
    /// The minimum size of all memories of a module together, in bytes.
    pub minimum_memory: u64,
    /// Their maximum size together, if the module declares one for each.
    pub maximum_memory: Option<u64>,
}

impl ModuleInfo {
    /// Reads the outer sections of `bytes`, binary or text.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let is_text = !bytes.starts_with(MAGIC);
        let binary = to_binary(bytes).map_err(ParseError::Text)?;
        let mut sections = Sections::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(&binary) {
            match payload? {
                Payload::Version { encoding, .. } => {
                    depth += 1;
                    if depth == 1 {
                        sections.is_component = encoding == wasmparser::Encoding::Component;
                    }
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                payload if depth == 1 => sections.read(payload)?,
                _ => {}
            }
        }
        Ok(sections.into_info(is_text))
    }
}

/// The outer sections, as far as they have been read.
#[derive(Default)]
struct Sections {
    is_component: bool,
    types: Vec<Option<FuncType>>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    memories: Vec<MemoryType>,
    imports: Vec<Extern>,
    exports: Vec<Extern>,
}

impl Sections {
    fn read(&mut self, payload: Payload<'_>) -> Result<(), wasmparser::BinaryReaderError> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section {
                    let types = group?.into_types();
                    self.types.extend(types.map(|ty| match ty.composite_type.inner {
                        wasmparser::CompositeInnerType::Func(function) => Some(function),
                        _ => None,
                    }));
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    self.import(import.module, import.name, import.ty);
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memories.push(memory?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.export(export.name, export.kind, export.index);
                }
            }
            payload => self.read_of_component(payload)?,
        }
        Ok(())
    }

    fn read_of_component(&mut self, payload: Payload<'_>) -> Result<(), wasmparser::BinaryReaderError> {
        match payload {
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    let kind = kind_of_component_type(import.ty);
                    let (module, name) = (String::new(), import.name.name.to_owned());
                    self.imports.push(Extern { module, name, kind, is_entry_point: false });
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    let kind = kind_of_component_export(export.kind);
                    let (module, name) = (String::new(), export.name.name.to_owned());
                    self.exports.push(Extern { module, name, kind, is_entry_point: false });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, module: &str, name: &str, ty: TypeRef) {
        let kind = match ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.functions.push(ty);
                "function"
            }
            TypeRef::Memory(memory) => {
                self.memories.push(memory);
                "memory"
            }
            TypeRef::Table(_) => "table",
            TypeRef::Global(_) => "global",
            TypeRef::Tag(_) => "tag",
        };
        let (module, name) = (module.to_owned(), name.to_owned());
        self.imports.push(Extern { module, name, kind, is_entry_point: false });
    }

    fn export(&mut self, name: &str, kind: ExternalKind, index: u32) {
        let (kind, is_entry_point) = match kind {
            ExternalKind::Func | ExternalKind::FuncExact => ("function", self.is_entry_point(index)),
            ExternalKind::Table => ("table", false),
            ExternalKind::Memory => ("memory", false),
            ExternalKind::Global => ("global", false),
            ExternalKind::Tag => ("tag", false),
        };
        self.exports.push(Extern { module: String::new(), name: name.to_owned(), kind, is_entry_point });
    }

    fn is_entry_point(&self, function: u32) -> bool {
        let at = |index: u32| usize::try_from(index).unwrap_or(usize::MAX);
        let ty = self.functions.get(at(function)).and_then(|ty| self.types.get(at(*ty))).and_then(Option::as_ref);
        ty.is_some_and(|ty| ty.params().is_empty() && ty.results().is_empty())
    }

    fn into_info(self, is_text: bool) -> ModuleInfo {
        let bytes = |memory: &MemoryType, pages: u64| {
            let page = memory.page_size_log2.map_or(PAGE_SIZE, |log2| 1_u64.checked_shl(log2).unwrap_or(u64::MAX));
            pages.saturating_mul(page)
        };
        let minimum_memory =
            self.memories.iter().fold(0, |sum: u64, memory| sum.saturating_add(bytes(memory, memory.initial)));
        let mut maximums = self.memories.iter().map(|memory| memory.maximum.map(|pages| bytes(memory, pages)));
        let maximum_memory = maximums.try_fold(0, |sum: u64, bytes| Some(sum.saturating_add(bytes?)));
        let maximum_memory = maximum_memory.filter(|_| !self.memories.is_empty());
        let encoding = if self.is_component { Encoding::Component } else { Encoding::Module };
        ModuleInfo { encoding, is_text, imports: self.imports, exports: self.exports, minimum_memory, maximum_memory }
    }
}

fn kind_of_component_type(ty: ComponentTypeRef) -> &'static str {
    match ty {
        ComponentTypeRef::Module(_) => "module",
        ComponentTypeRef::Func(_) => "function",
        ComponentTypeRef::Value(_) => "value",
        ComponentTypeRef::Type(_) => "type",
        ComponentTypeRef::Instance(_) => "interface",
        ComponentTypeRef::Component(_) => "component",
    }
}

fn kind_of_component_export(kind: ComponentExternalKind) -> &'static str {
    match kind {
        ComponentExternalKind::Module => "module",
        ComponentExternalKind::Func => "function",
        ComponentExternalKind::Value => "value",
        ComponentExternalKind::Type => "type",
        ComponentExternalKind::Instance => "interface",
        ComponentExternalKind::Component => "component",
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::module_info::*;

    fn named(externs: &[Extern]) -> Vec<(&str, &str, &str, bool)> {
        externs.iter().map(|e| (e.module.as_str(), e.name.as_str(), e.kind, e.is_entry_point)).collect()
    }

    #[test]
    fn a_module_shows_what_it_needs_and_has() {
        let text = r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (import "env" "table" (table 1 funcref))
            (memory (export "memory") 2 4)
            (func (export "_start"))
            (func (export "add") (param i32) (result i32) (local.get 0)))"#;
        let binary = wat::parse_str(text).expect("a module");
        for (bytes, is_text) in [(text.as_bytes(), true), (binary.as_slice(), false)] {
            let found = ModuleInfo::parse(bytes).expect("a module");
            assert_eq!((found.encoding, found.is_text), (Encoding::Module, is_text));
            assert_eq!((found.minimum_memory, found.maximum_memory), (2 * PAGE_SIZE, Some(4 * PAGE_SIZE)));
            let imports =
                [("wasi_snapshot_preview1", "proc_exit", "function", false), ("env", "table", "table", false)];
            assert_eq!(named(&found.imports), imports);
            let exports =
                [("", "memory", "memory", false), ("", "_start", "function", true), ("", "add", "function", false)];
            assert_eq!(named(&found.exports), exports);
        }
        let none = ModuleInfo::parse(b"(module)").expect("a module");
        assert_eq!((none.minimum_memory, none.maximum_memory), (0, None));
    }

    #[test]
    fn a_component_shows_its_own_and_not_what_is_nested_in_it() {
        let text = r#"(component
            (import "wasi:cli/environment@0.2.0" (instance $i))
            (core module (import "a" "b" (func)) (func (export "inner")))
            (export "wasi:cli/run@0.2.0" (instance $i)))"#;
        let found = ModuleInfo::parse(text.as_bytes()).expect("a component");
        assert_eq!((found.encoding, found.minimum_memory), (Encoding::Component, 0));
        assert_eq!(named(&found.imports), [("", "wasi:cli/environment@0.2.0", "interface", false)]);
        assert_eq!(named(&found.exports), [("", "wasi:cli/run@0.2.0", "interface", false)]);
    }

    #[test]
    fn what_is_neither_is_refused_however_it_is_cut() {
        let binary = wat::parse_str("(module (func (export \"_start\")) (memory 1))").expect("a module");
        for bytes in [&b""[..], b"\0asm", b"hello", b"(module", b"\xff\xfe\0", b"\0asm\x07\0\0\0"] {
            assert!(ModuleInfo::parse(bytes).is_err(), "{bytes:?}");
        }
        for end in 1..binary.len() {
            let _ = ModuleInfo::parse(&binary[..end]);
        }
        let mut flipped = binary.clone();
        for index in 0..flipped.len() {
            for bit in 0..8 {
                flipped[index] ^= 1 << bit;
                let _ = ModuleInfo::parse(&flipped);
                flipped[index] ^= 1 << bit;
            }
        }
    }
}
