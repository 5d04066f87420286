//! What do the two caches hold, and what of it can be removed?
//!
//! One cache has fetched files, each under its SHA-256, the other compiled code, in wagi's format or in wasmtime's. This room
//! knows their layout and their owner; `fetch` fills the one, `runtime` the other.
//!
//! | file | question |
//! | --- | --- |
//! | `directory` | how is a directory made that only its owner may write to, and how is that checked again? |
//! | `store` | how are fetched bytes stored so that they can be trusted? |
//! | `disk` | how do bytes get to the disk? |
//! | `file_lock` | which files are used now? |
//! | `fetched` | what is known of a module that was fetched? |
//! | `record` | what is recorded of a reference? |
//! | `inventory`, `files` | what is in the caches? |
//! | `prune`, `sweep` | what of it can be removed? |

mod directory;
pub(crate) mod disk;
pub(crate) mod fetched;
mod file_lock;
mod files;
mod inventory;
mod prune;
mod record;
pub(crate) mod store;
mod sweep;
#[cfg(test)]
mod tests;

pub use crate::cache::directory::Exposure;
pub(crate) use crate::cache::directory::{create, exposure, exposure_of, only_ours_to_write, random_name};
pub(crate) use crate::cache::file_lock::{CacheLock, mark_accessed, mark_modified};
pub use crate::cache::inventory::{CacheEntry, EntryKind, list};
pub use crate::cache::prune::{PruneError, Pruned, prune};
pub(crate) use crate::cache::record::ReferenceRecord;
pub(crate) use crate::cache::sweep::sweep_compiled;

use std::path::{Path, PathBuf};

/// The records of references, named after the SHA-256 of the reference.
pub(crate) const RECORDS: &str = "_OCI";
/// Invoices, named after the SHA-256 of the bindle's id.
pub(crate) const INVOICES: &str = "_INVOICES";
/// All files of a bindle in one directory.
pub(crate) const ASSETS: &str = "_ASSETS";
/// The files that the guests of one entry see.
pub(crate) const VIEWS: &str = "_VIEWS";
/// Signatures of artifacts, named after the SHA-256 of the manifest.
pub(crate) const SIGNATURES: &str = "_SIGNATURES";
/// Files that are being written.
pub(crate) const PARTIAL: &str = "_PARTIAL";

/// The extensions of files of compiled code, and of those that are being written.
pub(crate) const CODE: &str = ".cwasm";
pub(crate) const PARTIAL_CODE: &str = ".partial";

/// The directory of wasmtime's cache.
const COMPILED: &str = "modules";

/// The directories of the caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caches {
    /// Fetched files; `None` for no such cache.
    pub modules: Option<PathBuf>,
    /// Compiled code; `None` for no such cache.
    pub compiled: Option<PathBuf>,
}

/// The default directory for modules, in the user's directory for caches of wagi.
pub fn default_module_cache(user_cache: &Path) -> PathBuf {
    user_cache.join("modules")
}
