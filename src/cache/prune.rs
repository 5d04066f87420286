//! What can be removed from the caches?
//!
//! Files that were not used for some time, and that no server uses now. Nothing is lost: a module is fetched again, or compiled
//! again. A server that starts during this time waits until pruning is done. Running servers keep the files that they read.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::config::Sha256;

use crate::cache::files::{entries_of, statistics_path};
use crate::cache::sweep::ABANDONED_AFTER;
use crate::cache::{COMPILED, CacheEntry, CacheLock, Caches, EntryKind, RECORDS, ReferenceRecord, list};

/// How long to wait for servers that start.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Why nothing was removed.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The caches cannot be read.
    #[error("cannot look into the caches")]
    Read(#[source] io::Error),
    /// Another process is filling the module cache.
    #[error("a server or command is filling the module cache `{}`", .0.display())]
    Busy(PathBuf),
}

/// The result of [`prune`].
#[derive(Debug, Default)]
pub struct Pruned {
    /// What was removed. The bytes of an entry are those that became free.
    pub removed: Vec<CacheEntry>,
    /// What was not removed because servers use it.
    pub in_use: Vec<CacheEntry>,
    /// What could not be removed, and why.
    pub failed: Vec<(CacheEntry, io::Error)>,
}

/// Removes what was not used for `unused_for`.
pub fn prune(caches: &Caches, unused_for: Duration) -> Result<Pruned, PruneError> {
    let _lock = caches.modules.as_deref().map(lock_exclusively).transpose()?.flatten();
    let mut pruning = Pruning {
        // A time before all that the clock can express is before everything.
        before: SystemTime::now().checked_sub(unused_for).unwrap_or(SystemTime::UNIX_EPOCH),
        kept: HashSet::new(),
        linked: HashSet::new(),
        pruned: Pruned::default(),
    };
    let entries = list(caches).map_err(PruneError::Read)?;
    let of = |kinds: &'static [EntryKind]| entries.iter().filter(move |entry| kinds.contains(&entry.kind)).cloned();
    // Views come first: if a view is kept, its files are kept. The records that lead to a kept module are kept too.
    of(&[EntryKind::View]).for_each(|entry| pruning.prune_view(entry));
    of(&[EntryKind::Module, EntryKind::Asset]).for_each(|entry| pruning.prune_content(entry));
    if let Some(root) = &caches.modules {
        pruning.keep_manifests(root);
    }
    of(&[EntryKind::Manifest, EntryKind::Tag, EntryKind::Signature]).for_each(|entry| pruning.prune_reference(entry));
    of(&[EntryKind::Assets, EntryKind::Invoice, EntryKind::Compiled]).for_each(|entry| pruning.prune_unused(entry));
    of(&[EntryKind::Partial]).for_each(|entry| pruning.prune_partial(entry, caches.compiled.as_deref()));
    if let Some(root) = &caches.compiled {
        remove_empty_versions(root);
    }
    Ok(pruning.pruned)
}

/// Locks a module cache, so that no other process fills it meanwhile. `None` if it does not exist.
fn lock_exclusively(root: &Path) -> Result<Option<CacheLock>, PruneError> {
    let started = Instant::now();
    loop {
        match CacheLock::exclusive(root) {
            Ok(Some(lock)) => return Ok(Some(lock)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PruneError::Read(error)),
            Ok(None) if started.elapsed() > LOCK_TIMEOUT => return Err(PruneError::Busy(root.to_owned())),
            Ok(None) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

struct Pruning {
    before: SystemTime,
    /// The names of files that stay.
    kept: HashSet<String>,
    /// The files of views that stay.
    linked: HashSet<FileId>,
    pruned: Pruned,
}

impl Pruning {
    fn is_recent(&self, entry: &CacheEntry) -> bool {
        entry.used > self.before
    }

    fn prune_view(&mut self, entry: CacheEntry) {
        let mut files = HashSet::new();
        files_below(&entry.path, &mut files);
        if self.is_recent(&entry) || !self.remove_unless_locked(entry) {
            self.linked.extend(files);
        }
    }

    fn prune_content(&mut self, entry: CacheEntry) {
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_linked = fs::metadata(&entry.path).is_ok_and(|found| self.linked.contains(&file_id(&found)));
        if is_linked || self.is_recent(&entry) || !self.remove_unless_locked(entry) {
            self.kept.insert(name);
        }
    }

    /// Manifests and tags of modules that stay, so that those are found.
    fn keep_manifests(&mut self, root: &Path) {
        for file in entries_of(&root.join(RECORDS)).unwrap_or_default() {
            let record = ReferenceRecord::read(&file.path());
            if let Some(record) = record.filter(|record| self.kept.contains(record.module.as_str())) {
                self.kept.insert(file.file_name().to_string_lossy().into_owned());
                self.kept.extend(record.manifests.iter().map(Sha256::to_string));
            }
        }
    }

    fn prune_reference(&mut self, entry: CacheEntry) {
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
        if !self.kept.contains(name.as_ref()) {
            self.prune_unused(entry);
        }
    }

    fn prune_unused(&mut self, entry: CacheEntry) {
        if !self.is_recent(&entry) {
            self.remove(entry);
        }
    }

    /// A module cache is not filled while it is pruned, but compiled code may be written just now.
    fn prune_partial(&mut self, entry: CacheEntry, compiled: Option<&Path>) {
        let is_compiled = compiled.is_some_and(|root| entry.path.starts_with(root));
        let age = entry.written.elapsed().unwrap_or_default();
        if !is_compiled || age > ABANDONED_AFTER {
            self.prune_unused(entry);
        }
    }

    /// Removes an entry that no other process uses. Returns whether it is gone.
    fn remove_unless_locked(&mut self, entry: CacheEntry) -> bool {
        match CacheLock::exclusive(&entry.path) {
            Ok(Some(_lock)) => self.remove(entry),
            Ok(None) => {
                self.pruned.in_use.push(entry);
                false
            }
            Err(error) => {
                self.pruned.failed.push((entry, error));
                false
            }
        }
    }

    fn remove(&mut self, mut entry: CacheEntry) -> bool {
        let found = fs::symlink_metadata(&entry.path);
        if entry.kind == EntryKind::Compiled {
            let _ = fs::remove_file(statistics_path(&entry.path));
        }
        let removed = match &found {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&entry.path),
            _ => fs::remove_file(&entry.path),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.pruned.failed.push((entry, error));
                return false;
            }
            _ => {}
        }
        if found.is_ok_and(|found| found.is_file() && found.nlink() > 1) {
            entry.bytes = 0;
        }
        self.pruned.removed.push(entry);
        true
    }
}

/// The device and inode of a file, which are the same for all its names.
type FileId = (u64, u64);

fn file_id(found: &Metadata) -> FileId {
    (found.dev(), found.ino())
}

fn files_below(directory: &Path, files: &mut HashSet<FileId>) {
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in entries_of(&directory).unwrap_or_default() {
            match entry.metadata() {
                Ok(found) if found.is_dir() => open.push(entry.path()),
                Ok(found) => {
                    files.insert(file_id(&found));
                }
                Err(_) => {}
            }
        }
    }
}

/// Removes the directories of versions that are empty.
fn remove_empty_versions(root: &Path) {
    for version in entries_of(&root.join(COMPILED)).unwrap_or_default() {
        let _ = fs::remove_dir(version.path());
    }
}
