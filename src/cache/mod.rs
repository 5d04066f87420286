//! What is kept between two starts, and what of it can go?
//!
//! Two directories: fetched files, each under its SHA-256, and compiled code, ours or the engine's own. This room knows
//! how they are laid out and to whom they have to belong; `fetch` fills the one, `wasm` the other.
//!
//! | file | question |
//! | --- | --- |
//! | `directory` | how is a directory for its owner alone made, and is it still? |
//! | `lock` | which processes use a cache now? |
//! | `store` | how are fetched bytes kept so that they can be trusted? |
//! | `disk` | how do bytes get to the disk? |
//! | `fetched` | what is known of a module that was fetched? |
//! | `note` | what is remembered of a reference? |
//! | `inventory` | what is in the caches? |
//! | `prune` | what of it can go? |

mod directory;
pub(crate) mod disk;
pub(crate) mod fetched;
mod inventory;
mod lock;
mod note;
mod prune;
pub(crate) mod store;
#[cfg(test)]
mod tests;

pub use crate::cache::directory::Exposure;
pub(crate) use crate::cache::directory::{create, exposure, exposure_of, only_ours_to_write, random_name};
pub use crate::cache::inventory::{Entry, Kind, list};
pub(crate) use crate::cache::lock::{Hold, renew, touch};
pub(crate) use crate::cache::note::Note;
pub(crate) use crate::cache::prune::sweep_compiled;
pub use crate::cache::prune::{PruneError, Pruned, prune};

use std::path::{Path, PathBuf};

/// Notes of what references were, named after the SHA-256 of the reference.
pub(crate) const NOTES: &str = "_OCI";
/// Invoices, named after the SHA-256 of the bindle's id.
pub(crate) const INVOICES: &str = "_INVOICES";
/// All files of a bindle in one directory.
pub(crate) const ASSETS: &str = "_ASSETS";
/// The files that one script sees.
pub(crate) const VIEWS: &str = "_VIEWS";
/// Files that are being written.
pub(crate) const PARTIAL: &str = "_PARTIAL";

/// How files of compiled code end, and those that are being written.
pub(crate) const CODE: &str = ".cwasm";
pub(crate) const PARTIAL_CODE: &str = ".partial";

/// Where the engine's own cache is below the directory it is given.
const COMPILED: &str = "modules";

/// The directories of the caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caches {
    /// Fetched files; `None` where none are kept.
    pub modules: Option<PathBuf>,
    /// Compiled code; `None` where none is kept.
    pub compiled: Option<PathBuf>,
}

/// The usual place for modules in the user's directory for caches of wagi.
pub fn default_module_cache(user_cache: &Path) -> PathBuf {
    user_cache.join("modules")
}
