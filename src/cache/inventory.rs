//! What is in the caches?
//!
//! Nothing is changed, not even the times of the last use. For a fetched file this is the time of its last access. For all
//! other files it is the time of the last modification, which each use sets.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::Sha256;

use crate::cache::files::{FileInfo, directories_of, files_of, own_bytes, statistics_path};
use crate::cache::{
    ASSETS, CODE, COMPILED, Caches, INVOICES, PARTIAL, PARTIAL_CODE, RECORDS, ReferenceRecord, SIGNATURES, VIEWS,
};
use crate::regular_file;

/// The limit on the size of an invoice, in bytes. The name of a larger one is not shown.
const MAX_INVOICE_SIZE: u64 = 4 << 20;

/// How deep the files of bindles are looked for. Their names have no more parts.
const MAX_DEPTH: usize = 64;

/// The kind of an item of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A module or component.
    Module,
    /// The manifest or index of an artifact.
    Manifest,
    /// The record of what a reference stood for when it was last pulled.
    Tag,
    /// The signature of an artifact.
    Signature,
    /// The invoice of a bindle.
    Invoice,
    /// A file of a bindle.
    Asset,
    /// The files of one bindle under their names.
    Assets,
    /// The files that the guests of one entry of a bindle see.
    View,
    /// A file that is being written, or that was being written when its writer was killed.
    Partial,
    /// The machine code of a module.
    Compiled,
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Module => "module",
            Self::Manifest => "manifest",
            Self::Tag => "tag",
            Self::Signature => "signature",
            Self::Invoice => "invoice",
            Self::Asset => "asset",
            Self::Assets => "assets",
            Self::View => "view",
            Self::Partial => "partial",
            Self::Compiled => "compiled",
        })
    }
}

/// A file or directory in a cache.
#[derive(Clone, Debug)]
pub struct CacheEntry {
    /// What it is.
    pub kind: EntryKind,
    /// Where it is.
    pub path: PathBuf,
    /// Its name where it comes from, or, if that is not known, its name in the cache.
    pub name: String,
    /// Its size in bytes. A hard link to another entry counts as 0.
    pub bytes: u64,
    /// When it was written.
    pub written: SystemTime,
    /// When it was last used.
    pub used: SystemTime,
}

impl CacheEntry {
    fn new(kind: EntryKind, file: &FileInfo) -> Self {
        Self {
            kind,
            path: file.path.clone(),
            name: file.name.clone(),
            bytes: file.bytes,
            written: file.written,
            used: file.used,
        }
    }

    /// Sets the time of the last use to that of the last modification.
    fn used_when_written(self) -> Self {
        Self { used: self.written, ..self }
    }
}

/// Everything in the caches, sorted by kind and name. A cache that does not exist is empty.
pub fn list(caches: &Caches) -> io::Result<Vec<CacheEntry>> {
    let mut entries = Vec::new();
    if let Some(root) = &caches.modules {
        modules(root, &mut entries)?;
    }
    if let Some(root) = &caches.compiled {
        compiled(root, &mut entries)?;
    }
    entries.sort_by(|one, other| (one.kind, &one.name, &one.path).cmp(&(other.kind, &other.name, &other.path)));
    Ok(entries)
}

fn modules(root: &Path, entries: &mut Vec<CacheEntry>) -> io::Result<()> {
    let mut names = Names::default();
    for file in files_of(&root.join(RECORDS))? {
        let mut entry = CacheEntry::new(EntryKind::Tag, &file).used_when_written();
        if let Some(record) = ReferenceRecord::read(&file.path) {
            names.add(&record);
            entry.name = record.reference;
        }
        entries.push(entry);
    }
    for file in files_of(&root.join(INVOICES))? {
        let id = bindle_id(&file.path);
        let name = id.unwrap_or_else(|| file.name.clone());
        names.bindles.insert(file.name.clone(), (name.clone(), file.written));
        let entry = CacheEntry::new(EntryKind::Invoice, &file).used_when_written();
        entries.push(CacheEntry { name, ..entry });
    }
    for file in files_of(&root.join(SIGNATURES))? {
        let (_, name) = names.kind_and_name(&file);
        entries.push(CacheEntry { name, ..CacheEntry::new(EntryKind::Signature, &file) });
    }
    entries.extend(files_of(&root.join(PARTIAL))?.iter().map(|file| CacheEntry::new(EntryKind::Partial, file)));
    for (directory, kind) in [(ASSETS, EntryKind::Assets), (VIEWS, EntryKind::View)] {
        for found in directories_of(&root.join(directory))? {
            let (name, used) = names.bindles.get(&found.name).cloned().unwrap_or((found.name.clone(), found.written));
            let bytes = own_bytes(&found.path, MAX_DEPTH);
            entries.push(CacheEntry { name, bytes, used, ..CacheEntry::new(kind, &found) });
        }
    }
    for file in files_of(root)? {
        if file.name.parse::<Sha256>().is_ok() {
            let (kind, name) = names.kind_and_name(&file);
            entries.push(CacheEntry { name, ..CacheEntry::new(kind, &file) });
        }
    }
    Ok(())
}

/// In wagi's own format, there is one file for each module and engine. It was last modified when it was last used. The cache of
/// wasmtime has a directory for each version. In it, each module has a file with its code, and a file with statistics beside
/// it. Each use of the code writes the statistics.
fn compiled(root: &Path, entries: &mut Vec<CacheEntry>) -> io::Result<()> {
    for file in files_of(root)? {
        if file.name.ends_with(CODE) {
            entries.push(CacheEntry::new(EntryKind::Compiled, &file).used_when_written());
        } else if file.name.ends_with(PARTIAL_CODE) {
            entries.push(CacheEntry::new(EntryKind::Partial, &file));
        }
    }
    for version in directories_of(&root.join(COMPILED))? {
        for file in files_of(&version.path)? {
            if file.name.ends_with(".stats") {
                continue;
            }
            let kind = if file.name.contains('.') { EntryKind::Partial } else { EntryKind::Compiled };
            let statistics = fs::metadata(statistics_path(&file.path)).and_then(|found| found.modified());
            let used = statistics.map_or(file.used, |used| used.max(file.used));
            let name = format!("{}/{}", version.name, file.name);
            entries.push(CacheEntry { name, used, ..CacheEntry::new(kind, &file) });
        }
    }
    Ok(())
}

/// The names of files where they come from.
#[derive(Default)]
struct Names {
    by_digest: HashMap<String, (EntryKind, String)>,
    /// The ids of bindles, and when each was last used, by the SHA-256 of the id.
    bindles: HashMap<String, (String, SystemTime)>,
}

impl Names {
    fn add(&mut self, record: &ReferenceRecord) {
        let manifests = record.manifests.iter().map(|digest| (digest, EntryKind::Manifest));
        for (digest, kind) in manifests.chain([(&record.module, EntryKind::Module)]) {
            let (_, name) = self.by_digest.entry(digest.to_string()).or_insert_with(|| (kind, String::new()));
            *name = if name.is_empty() { record.reference.clone() } else { format!("{name}, {}", record.reference) };
        }
    }

    /// Without a record, the kind follows from the first bytes of the file.
    fn kind_and_name(&self, file: &FileInfo) -> (EntryKind, String) {
        if let Some((kind, name)) = self.by_digest.get(&file.name) {
            return (*kind, name.clone());
        }
        let kind = match &file.first_bytes() {
            b"\0asm" | [b'(', b'm', b'o', b'd'] | [b'(', b'c', b'o', b'm'] => EntryKind::Module,
            [b'{', ..] => EntryKind::Manifest,
            _ => EntryKind::Asset,
        };
        (kind, file.name.clone())
    }
}

/// The id in an invoice, `NAME/VERSION`.
fn bindle_id(path: &Path) -> Option<String> {
    let text = String::from_utf8(regular_file::read(path, MAX_INVOICE_SIZE).ok()?).ok()?;
    let root: toml::Table = text.parse().ok()?;
    let text = |key| root.get("bindle")?.get(key)?.as_str();
    Some(format!("{}/{}", text("name")?, text("version")?))
}
