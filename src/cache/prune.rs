//! What of the caches can go?
//!
//! What nobody has used for long enough and nobody uses now. Nothing is lost by it: a module is fetched again, or compiled
//! again. Servers that start meanwhile wait for the moment it takes; those that run keep what they go on reading.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::config::Sha256;

use crate::cache::inventory::{entries_of, statistics_of};
use crate::cache::{COMPILED, Caches, Entry, Hold, Kind, NOTES, Note, list};

/// How long to wait for servers that start.
const PATIENCE: Duration = Duration::from_secs(10);

/// Compiled code is written in less time than that, unless its writer was killed.
const ABANDONED: Duration = Duration::from_secs(10 * 60);

/// As much is kept of compiled code from one start to the next.
const MOST_BYTES: u64 = 2 << 30;
const MOST_FILES: usize = 65_536;

/// Why nothing is removed.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// The caches cannot be looked at.
    #[error("cannot look into the caches")]
    Look(#[source] io::Error),
    /// Somebody is filling it.
    #[error("a server or command is filling the module cache `{}`", .0.display())]
    Busy(PathBuf),
}

/// What pruning has done.
#[derive(Debug, Default)]
pub struct Pruned {
    /// What is gone. The bytes of an entry are those that became free.
    pub removed: Vec<Entry>,
    /// What would be gone if servers did not use it.
    pub in_use: Vec<Entry>,
    /// What could not be removed, and why.
    pub failed: Vec<(Entry, io::Error)>,
}

/// Removes what was not used for `unused_for`.
pub fn prune(caches: &Caches, unused_for: Duration) -> Result<Pruned, PruneError> {
    let _alone = caches.modules.as_deref().map(alone).transpose()?.flatten();
    let mut pruning = Pruning {
        // What the clock cannot count back to is older than everything.
        before: SystemTime::now().checked_sub(unused_for).unwrap_or(SystemTime::UNIX_EPOCH),
        kept: HashSet::new(),
        shown: HashSet::new(),
        pruned: Pruned::default(),
    };
    let entries = list(caches).map_err(PruneError::Look)?;
    let of = |kinds: &'static [Kind]| entries.iter().filter(move |entry| kinds.contains(&entry.kind)).cloned();
    // Views first: what one of them still shows stays, and so does what leads to a module that stays.
    of(&[Kind::View]).for_each(|entry| pruning.view(entry));
    of(&[Kind::Module, Kind::Asset]).for_each(|entry| pruning.content(entry));
    if let Some(root) = &caches.modules {
        pruning.keep_what_leads_to_it(root);
    }
    of(&[Kind::Manifest, Kind::Tag]).for_each(|entry| pruning.leading(entry));
    of(&[Kind::Assets, Kind::Invoice, Kind::Compiled]).for_each(|entry| pruning.unless_recent(entry));
    of(&[Kind::Partial]).for_each(|entry| pruning.partial(entry, caches.compiled.as_deref()));
    if let Some(root) = &caches.compiled {
        remove_empty_versions(root);
    }
    Ok(pruning.pruned)
}

/// The right to prune a module cache: nobody fills it meanwhile. `None` if it is not there.
fn alone(root: &Path) -> Result<Option<Hold>, PruneError> {
    let begun = Instant::now();
    loop {
        match Hold::exclusive(root) {
            Ok(Some(hold)) => return Ok(Some(hold)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PruneError::Look(error)),
            Ok(None) if begun.elapsed() > PATIENCE => return Err(PruneError::Busy(root.to_owned())),
            Ok(None) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

struct Pruning {
    before: SystemTime,
    /// The names of files that stay.
    kept: HashSet<String>,
    /// The files that views show which stay.
    shown: HashSet<FileId>,
    pruned: Pruned,
}

impl Pruning {
    fn is_recent(&self, entry: &Entry) -> bool {
        entry.used > self.before
    }

    fn view(&mut self, entry: Entry) {
        let mut shown = HashSet::new();
        files_below(&entry.path, &mut shown);
        if self.is_recent(&entry) || !self.remove_unless_held(entry) {
            self.shown.extend(shown);
        }
    }

    fn content(&mut self, entry: Entry) {
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_shown = fs::metadata(&entry.path).is_ok_and(|found| self.shown.contains(&file_id(&found)));
        if is_shown || self.is_recent(&entry) || !self.remove_unless_held(entry) {
            self.kept.insert(name);
        }
    }

    /// Manifests and tags of modules that stay, so that those are found.
    fn keep_what_leads_to_it(&mut self, root: &Path) {
        for file in entries_of(&root.join(NOTES)).unwrap_or_default() {
            if let Some(note) = Note::read(&file.path()).filter(|note| self.kept.contains(note.module.as_str())) {
                self.kept.insert(file.file_name().to_string_lossy().into_owned());
                self.kept.extend(note.manifests.iter().map(Sha256::to_string));
            }
        }
    }

    fn leading(&mut self, entry: Entry) {
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
        if !self.kept.contains(name.as_ref()) {
            self.unless_recent(entry);
        }
    }

    fn unless_recent(&mut self, entry: Entry) {
        if !self.is_recent(&entry) {
            self.remove(entry);
        }
    }

    /// Nobody fills a module cache while it is pruned; compiled code may just be written.
    fn partial(&mut self, entry: Entry, compiled: Option<&Path>) {
        let is_compiled = compiled.is_some_and(|root| entry.path.starts_with(root));
        let age = entry.written.elapsed().unwrap_or_default();
        if !is_compiled || age > ABANDONED {
            self.unless_recent(entry);
        }
    }

    /// Whether it is gone.
    fn remove_unless_held(&mut self, entry: Entry) -> bool {
        match Hold::exclusive(&entry.path) {
            Ok(Some(_hold)) => self.remove(entry),
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

    fn remove(&mut self, mut entry: Entry) -> bool {
        let found = fs::symlink_metadata(&entry.path);
        if entry.kind == Kind::Compiled {
            let _ = fs::remove_file(statistics_of(&entry.path));
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
        if found.is_ok_and(|found| found.is_file() && links(&found) > 1) {
            entry.bytes = 0;
        }
        self.pruned.removed.push(entry);
        true
    }
}

/// Which file it is, whatever its name.
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(found: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt as _;
    (found.dev(), found.ino())
}

#[cfg(unix)]
fn links(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(found)
}

/// Where files cannot be told apart, what is shown is a copy.
#[cfg(not(unix))]
fn file_id(_: &Metadata) -> FileId {
    (0, 0)
}

#[cfg(not(unix))]
fn links(_: &Metadata) -> u64 {
    1
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

/// A directory that is not empty stays.
fn remove_empty_versions(root: &Path) {
    for version in entries_of(&root.join(COMPILED)).unwrap_or_default() {
        let _ = fs::remove_dir(version.path());
    }
}

/// Removes what killed processes have left half written in a cache of compiled code: it keeps others from writing the same.
/// Of our own files, which nobody else looks after, those go that were not used for longest, as far as they are too many.
pub(crate) fn sweep_compiled(root: &Path) {
    let caches = Caches { modules: None, compiled: Some(root.to_owned()) };
    let entries = list(&caches).unwrap_or_default();
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Partial) {
        if entry.written.elapsed().is_ok_and(|age| age > ABANDONED) {
            let _ = fs::remove_file(&entry.path);
        }
    }
    let ours = entries.into_iter().filter(|entry| entry.kind == Kind::Compiled && entry.path.parent() == Some(root));
    for entry in surplus(ours.collect(), (MOST_BYTES, MOST_FILES)) {
        let _ = fs::remove_file(entry.path);
    }
}

/// What is beyond so many bytes and files, if what was used last may stay.
fn surplus(mut entries: Vec<Entry>, (bytes, files): (u64, usize)) -> impl Iterator<Item = Entry> {
    entries.sort_by_key(|entry| Reverse(entry.used));
    let (mut sum, mut number) = (0_u64, 0_usize);
    entries.into_iter().filter(move |entry| {
        (sum, number) = (sum.saturating_add(entry.bytes), number.saturating_add(1));
        sum > bytes || number > files
    })
}
