//! Of which program are snapshots made?

use std::sync::Arc;

use crate::config::UnknownImports;

use crate::runtime::code::cache::CodeCache;
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
    /// The functions to call, the entry point last.
    pub functions: Vec<String>,
}

impl Program {
    /// The indices of the volumes that are empty directories of this process: the scratch directories, and the one for the checkpoint.
    pub fn empty_volumes(&self) -> Vec<usize> {
        let volumes = &self.grants.volumes;
        let (paths, scratch) = (volumes.paths(), volumes.scratch_indices());
        let last = paths.len().checked_sub(1);
        let is_checkpoint = |index: &usize| {
            paths.get(*index).is_some_and(|(guest, _)| CHECKPOINT.strip_prefix(guest.as_str()) == Some("/checkpoint"))
        };
        scratch.into_iter().chain(last.filter(is_checkpoint)).collect()
    }
}

/// The host cannot do its part.
pub(in crate::runtime::warm_start) fn failed(error: &Error) -> ColdReason {
    ColdReason::Failed(error.to_string())
}
