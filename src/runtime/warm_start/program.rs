//! Of which program are snapshots made?

use std::sync::Arc;

use crate::config::UnknownImports;
use crate::format;

use crate::runtime::code::cache::CodeCache;
use crate::runtime::code::compiler_process::CompilerProcess;
use crate::runtime::code::compiler_target::CompilerTarget;
use crate::runtime::engines::Engines;
use crate::runtime::error::Error;
use crate::runtime::instance::grants::Grants;
use crate::runtime::resume::cold_reason::ColdReason;
use crate::runtime::wasi::rehearsal::CHECKPOINT;

/// A program, and what its guests may use.
pub(in crate::runtime) struct Program {
    pub engines: Arc<Engines>,
    pub code_cache: Arc<CodeCache>,
    pub grants: Grants,
    pub unknown_imports: UnknownImports,
    /// Whether modules like it are compiled in another process.
    pub is_third_party: bool,
    /// What compiles its snapshots; `None` if this process does.
    pub compiler: Option<CompilerProcess>,
    /// The functions to call, the entry point last.
    pub functions: Vec<String>,
}

impl Program {
    /// The indices of the volumes that are empty directories of this process: the scratch directories, and the one for the checkpoint.
    pub fn empty_volumes(&self) -> Vec<usize> {
        self.grants.volumes.scratch_indices().into_iter().chain(self.checkpoint_directory()).collect()
    }

    /// The index of the directory in which it asks for its checkpoint, if there is one.
    pub fn checkpoint_directory(&self) -> Option<usize> {
        let paths = self.grants.volumes.paths();
        let last = paths.len().checked_sub(1)?;
        let (guest, _) = paths.get(last)?;
        (CHECKPOINT.strip_prefix(guest.as_str()) == Some("/checkpoint")).then_some(last)
    }

    /// What compiles it for an engine, if this process does not.
    pub fn compiler_for(&self, target: CompilerTarget) -> Option<CompilerProcess> {
        self.compiler.as_ref().map(|compiler| compiler.with_target(target))
    }

    /// Whether the volumes that it has open are those at their paths, by which its files are known.
    pub fn has_its_volumes(&self) -> bool {
        self.grants.volumes.are_in_place(&self.empty_volumes())
    }
}

/// The host cannot do its part.
pub(in crate::runtime::warm_start) fn failed(error: &Error) -> ColdReason {
    ColdReason::Failed(format::causes(error).collect::<Vec<_>>().join(": "))
}
