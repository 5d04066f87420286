//! Of which program are snapshots made?

use std::sync::Arc;

use crate::config::UnknownImports;

use crate::runtime::code::cache::CodeCache;
use crate::runtime::engines::Engines;
use crate::runtime::error::Error;
use crate::runtime::instance::grants::Grants;
use crate::runtime::resume::cold_reason::ColdReason;

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

/// The host cannot do its part.
pub(in crate::runtime::warm_start) fn failed(error: &Error) -> ColdReason {
    ColdReason::Failed(error.to_string())
}
