//! Which work can be done before a server starts?
//!
//! The compiler and the initializer of a module. `wagi compile` and `wagi preinit` write the results to files, made by an engine
//! with the settings of a server.

pub use crate::runtime::{COMPILER_COMMAND, CompilerTarget, CompilerTargetError, is_component, printed_causes};

use crate::format::sha256_hex;
use crate::runtime;
use crate::runtime::{EngineConfig, ModuleOwner, PreinitializeError, Preinitialized, Runtime};

/// As much memory as a 32-bit module can have. A command runs only one guest.
const MEMORY: usize = 4 << 30;

/// As many table elements as any module is likely to need.
const TABLE_ELEMENTS: usize = 1 << 20;

/// The ahead-of-time code of a module or component, binary or text, for servers of this version on this kind of machine.
pub fn compile(module: &[u8]) -> Result<Vec<u8>, runtime::Error> {
    CompilerTarget::Guests.compile(module)
}

/// A module, binary or text, after its initializer has run.
pub fn preinitialize(module: &[u8]) -> Result<Preinitialized, PreinitializeError> {
    Runtime::new(&EngineConfig::for_one(MEMORY, TABLE_ELEMENTS))?.preinitialize(
        module,
        &sha256_hex(module),
        ModuleOwner::Operator,
    )
}
