//! Which guests begin warm, and what do they need for it?

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{EntryConfig, MAX_MODULE_SIZE, WarmStartConfig};
use crate::fetch::ModuleFile;
use crate::format::sha256_hex;
use crate::regular_file;
use crate::runtime::{RehearsalRequests, WarmStartSetup};
use crate::scratch::ScratchSpace;

use crate::startup::load::owner_of;

/// The directory in which guests that may begin warm ask for their checkpoint. They see it empty.
pub(super) const CHECKPOINT_DIRECTORY: &str = "/.wagi";

/// How the guests of an entry begin warm. `digest` is that of its module, as it was loaded.
pub(super) fn setup(
    entry: &EntryConfig,
    config: &WarmStartConfig,
    file: &ModuleFile,
    digest: &str,
    requests: RehearsalRequests,
) -> WarmStartSetup {
    let (path, expected) = (file.path().to_owned(), digest.to_owned());
    let module = move || {
        let bytes = regular_file::read(&path, MAX_MODULE_SIZE).ok()?;
        (format!("sha256:{}", sha256_hex(&bytes)) == expected).then_some(bytes)
    };
    WarmStartSetup {
        route: entry.route.to_string(),
        digest: digest.to_owned(),
        shared_random: config.shared_random,
        snapshots: config.snapshots,
        owner: owner_of(file),
        module: Arc::new(module),
        requests,
    }
}

/// The scripts for which there are snapshots before a request asks for them, as guests see them: the one that stands for the whole
/// directory. `None` stands for a guest without scripts.
pub(super) fn first_scripts(entry: &EntryConfig) -> Vec<Option<String>> {
    let Some(scripts) = &entry.scripts else { return vec![None] };
    let index = scripts.index.iter().find(|name| scripts.directory.join(name).is_file());
    index.map(|name| Some(format!("{}/{name}", scripts.mount))).into_iter().collect()
}

/// Says that the guests of an entry begin cold, since they have no directory in which they could ask for their checkpoint.
pub(super) fn log_without_directory(entry: &EntryConfig, error: &dyn std::error::Error) {
    let (route, error) = (entry.route.to_string(), error.to_string());
    tracing::warn!(route, error, "warm start: cannot make a directory: served cold");
}

/// An empty directory that is gone when this is dropped. Who has it open by then sees it empty for ever.
pub(super) struct EmptyDirectory(PathBuf);

impl EmptyDirectory {
    /// Makes one where the next start removes it, if this process is killed before.
    pub fn create(space: &ScratchSpace) -> io::Result<Self> {
        Ok(Self(space.placeholder()?))
    }

    /// Where it is.
    pub fn path(&self) -> &PathBuf {
        &self.0
    }
}

impl Drop for EmptyDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
