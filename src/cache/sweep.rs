//! What does each start remove from a cache of compiled code?

use std::cmp::Reverse;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::cache::{CacheEntry, Caches, EntryKind, list};

/// Compiled code is written in less time than this, unless its writer was killed.
pub(super) const ABANDONED_AFTER: Duration = Duration::from_secs(10 * 60);

/// How much of our own compiled code is kept from one start to the next.
const MAX_BYTES: u64 = 2 << 30;
const MAX_FILES: usize = 65_536;

/// Removes the partial files of killed processes from a cache of compiled code: they keep other processes from writing
/// the same. If our own files, which the engine does not look after, are too many, removes those that were not used for
/// longest, snapshots first: a route may have any number of them.
pub(crate) fn sweep_compiled(root: &Path) {
    let caches = Caches { modules: None, compiled: Some(root.to_owned()) };
    let entries = list(&caches).unwrap_or_default();
    for entry in entries.iter().filter(|entry| entry.kind == EntryKind::Partial) {
        if entry.written.elapsed().is_ok_and(|age| age > ABANDONED_AFTER) {
            let _ = fs::remove_file(&entry.path);
        }
    }
    let ours =
        entries.into_iter().filter(|entry| entry.kind == EntryKind::Compiled && entry.path.parent() == Some(root));
    for entry in surplus(ours.collect(), MAX_BYTES, MAX_FILES) {
        let _ = fs::remove_file(entry.path);
    }
}

/// Whether it is a program at its checkpoint.
fn is_snapshot(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"snapshot-"))
}

/// The entries that exceed the limits, if those that were used last are kept.
fn surplus(mut entries: Vec<CacheEntry>, max_bytes: u64, max_files: usize) -> impl Iterator<Item = CacheEntry> {
    entries.sort_by_key(|entry| (is_snapshot(&entry.path), Reverse(entry.used)));
    let (mut sum, mut number) = (0_u64, 0_usize);
    entries.into_iter().filter(move |entry| {
        (sum, number) = (sum.saturating_add(entry.bytes), number.saturating_add(1));
        sum > max_bytes || number > max_files
    })
}
