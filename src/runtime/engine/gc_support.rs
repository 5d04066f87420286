//! Does a program need an engine with a garbage collector?
//!
//! Types of garbage collection, `externref` and exceptions do. An engine with a collector compiles other code and makes dearer
//! stores, so that only such programs run in one. The program is validated with and without, once, when it is loaded.

use wasmparser::{Validator, WasmFeatures};

use crate::runtime::error::Error;
use crate::wasm_bytes::to_binary;

/// Whether an engine has a garbage collector, with which exceptions come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) enum GcSupport {
    Off,
    On,
}

/// The features of WebAssembly for which a program needs a collector. Without GC itself, some instructions would still be valid, such
/// as `ref.i31`.
pub(in crate::runtime) const COLLECTOR_FEATURES: WasmFeatures =
    WasmFeatures::GC.union(WasmFeatures::GC_TYPES).union(WasmFeatures::EXCEPTIONS);

/// What exceptions of the first proposal are called in the messages of the validator, and of the parser.
const LEGACY: [&str; 2] = ["legacy exceptions", "legacy_exceptions"];

impl GcSupport {
    /// What a module or component, binary or text, needs. For one that is not valid either way it is `Off`: the compiler says
    /// what is wrong.
    pub fn needed_by(bytes: &[u8]) -> Result<Self, Error> {
        let Ok(binary) = to_binary(bytes) else { return Ok(Self::Off) };
        let validate = |support: Self| Validator::new_with_features(support.features()).validate_all(&binary);
        if validate(Self::Off).is_ok() {
            return Ok(Self::Off);
        }
        match validate(Self::On) {
            Ok(_) => Ok(Self::On),
            Err(error) if LEGACY.iter().any(|name| error.message().contains(name)) => {
                Err(Error::LegacyExceptions(error.into()))
            }
            Err(_) => Ok(Self::Off),
        }
    }

    /// Whether an engine takes a binary module or component, as far as that is known without compiling it.
    pub fn is_valid(binary: &[u8]) -> bool {
        // What needs no collector is valid with one, too.
        Validator::new_with_features(Self::On.features()).validate_all(binary).is_ok()
    }

    /// The features of WebAssembly that the engines for modules and components have together.
    fn features(self) -> WasmFeatures {
        let modules = WasmFeatures::WASM3 & !WasmFeatures::THREADS;
        let all = modules | WasmFeatures::COMPONENT_MODEL | WasmFeatures::CM_ASYNC;
        match self {
            Self::On => all,
            Self::Off => all & !COLLECTOR_FEATURES,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::engine::gc_support::*;

    #[test]
    fn only_garbage_collection_and_exceptions_need_a_collector() {
        for (text, expected) in [
            ("(module (func (export \"_start\")))", GcSupport::Off),
            ("(module (memory i64 1) (memory 1) (func (v128.const i32x4 0 0 0 0) drop))", GcSupport::Off),
            ("(module (type $f (func)) (func (param (ref $f)) (return_call_ref $f (local.get 0))))", GcSupport::Off),
            ("(module (table 1 funcref))", GcSupport::Off),
            ("(module (func (param externref)))", GcSupport::On),
            ("(module (func (drop (ref.null any))))", GcSupport::On),
            ("(module (func (drop (ref.i31 (i32.const 1)))))", GcSupport::On),
            ("(module (type (struct (field i32))))", GcSupport::On),
            ("(module (type (array i8)))", GcSupport::On),
            ("(module (tag))", GcSupport::On),
            ("(module (func (block $b (try_table (catch_all $b)))))", GcSupport::On),
            ("(component (core module (func (param externref))))", GcSupport::On),
            ("(component (core module))", GcSupport::Off),
            ("(module (memory 1 1 shared) (tag))", GcSupport::Off),
            ("no module", GcSupport::Off),
        ] {
            assert_eq!(GcSupport::needed_by(text.as_bytes()).expect(text), expected, "{text}");
        }
    }

    #[test]
    fn exceptions_of_the_first_proposal_are_told_apart() {
        // `try catch_all end`, which text no longer expresses.
        let binary = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x08\x01\x06\0\x06\x40\x19\x0b\x0b";
        assert!(matches!(GcSupport::needed_by(binary), Err(Error::LegacyExceptions(_))));
    }
}
