//! What is in the caches?
//!
//! Nothing is changed, not even the times that say when something was last used: of a fetched file that is the time of its last
//! access, of everything else the time it was written, which whoever uses it renews.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, DirEntry, File, FileTimes, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::Sha256;

use crate::cache::{ASSETS, CODE, COMPILED, Caches, INVOICES, NOTES, Note, PARTIAL, PARTIAL_CODE, VIEWS};

/// No invoice is larger; of one that is the name is not shown.
const MAX_INVOICE_SIZE: u64 = 4 << 20;

/// How deep a directory of shown files is looked into. Names of files have no more parts.
const DEEPEST: usize = 64;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A module or component.
    Module,
    /// The manifest or index of an artifact.
    Manifest,
    /// What a reference stood for when it was last pulled.
    Tag,
    /// The invoice of a bindle.
    Invoice,
    /// A file of a bindle.
    Asset,
    /// The files of one bindle under their names.
    Assets,
    /// The files that one script of a bindle sees.
    View,
    /// Something that is being written, or was when its writer was killed.
    Partial,
    /// The machine code of a module.
    Compiled,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Module => "module",
            Self::Manifest => "manifest",
            Self::Tag => "tag",
            Self::Invoice => "invoice",
            Self::Asset => "asset",
            Self::Assets => "assets",
            Self::View => "view",
            Self::Partial => "partial",
            Self::Compiled => "compiled",
        })
    }
}

/// One thing in a cache.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Where it is.
    pub path: PathBuf,
    /// What it is called where it comes from, as far as that is known, else its name here.
    pub name: String,
    /// How many bytes go with it. What is shown under another name takes none of its own.
    pub bytes: u64,
    /// When it was written.
    pub written: SystemTime,
    /// When it was last used.
    pub used: SystemTime,
}

/// Everything in the caches, sorted by kind and name. A cache that is not there is empty.
pub fn list(caches: &Caches) -> io::Result<Vec<Entry>> {
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

/// The entries of a directory; none if it is not there.
pub(super) fn entries_of(path: &Path) -> io::Result<Vec<DirEntry>> {
    match fs::read_dir(path) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn modules(root: &Path, entries: &mut Vec<Entry>) -> io::Result<()> {
    let mut names = Names::default();
    for file in files_of(&root.join(NOTES))? {
        let note = Note::read(&file.path);
        let name = note.as_ref().map_or_else(|| file.name.clone(), |note| note.reference.clone());
        if let Some(note) = note {
            names.add(&note);
        }
        entries.push(Entry { kind: Kind::Tag, name, used: file.written, ..file.entry() });
    }
    for file in files_of(&root.join(INVOICES))? {
        let id = bindle_id(&file.path);
        let name = id.unwrap_or_else(|| file.name.clone());
        names.bindles.insert(file.name.clone(), (name.clone(), file.written));
        entries.push(Entry { kind: Kind::Invoice, name, used: file.written, ..file.entry() });
    }
    entries
        .extend(files_of(&root.join(PARTIAL))?.into_iter().map(|file| Entry { kind: Kind::Partial, ..file.entry() }));
    for (directory, kind) in [(ASSETS, Kind::Assets), (VIEWS, Kind::View)] {
        for shown in directories_of(&root.join(directory))? {
            let (name, used) = names.bindles.get(&shown.name).cloned().unwrap_or((shown.name.clone(), shown.written));
            let bytes = own_bytes(&shown.path, DEEPEST);
            entries.push(Entry { kind, name, bytes, used, ..shown.entry() });
        }
    }
    for file in files_of(root)? {
        if file.name.parse::<Sha256>().is_ok() {
            let (kind, name) = names.of(&file);
            entries.push(Entry { kind, name, ..file.entry() });
        }
    }
    Ok(())
}

/// What we keep, a file for each module and engine, written when it was last used. What the engine keeps: below a directory
/// for each version, a file for each module and one beside it with statistics, which is written whenever the other is used.
fn compiled(root: &Path, entries: &mut Vec<Entry>) -> io::Result<()> {
    for file in files_of(root)? {
        if file.name.ends_with(CODE) {
            entries.push(Entry { kind: Kind::Compiled, used: file.written, ..file.entry() });
        } else if file.name.ends_with(PARTIAL_CODE) {
            entries.push(Entry { kind: Kind::Partial, ..file.entry() });
        }
    }
    for version in directories_of(&root.join(COMPILED))? {
        for file in files_of(&version.path)? {
            if file.name.ends_with(".stats") {
                continue;
            }
            let kind = if file.name.contains('.') { Kind::Partial } else { Kind::Compiled };
            let statistics = fs::metadata(statistics_of(&file.path)).and_then(|found| found.modified());
            let used = statistics.map_or(file.used, |used| used.max(file.used));
            let name = format!("{}/{}", version.name, file.name);
            entries.push(Entry { kind, name, used, ..file.entry() });
        }
    }
    Ok(())
}

/// The file of statistics beside one of compiled code.
pub(super) fn statistics_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".stats");
    path.with_file_name(name)
}

/// A file or directory, and what the system says of it.
struct Found {
    path: PathBuf,
    name: String,
    bytes: u64,
    written: SystemTime,
    used: SystemTime,
}

impl Found {
    fn new(entry: &DirEntry, found: &Metadata) -> Self {
        let written = found.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Self {
            path: entry.path(),
            name: entry.file_name().to_string_lossy().into_owned(),
            bytes: found.len(),
            written,
            used: found.accessed().map_or(written, |used| used.max(written)),
        }
    }

    fn entry(&self) -> Entry {
        Entry {
            kind: Kind::Asset,
            path: self.path.clone(),
            name: self.name.clone(),
            bytes: self.bytes,
            written: self.written,
            used: self.used,
        }
    }

    /// The first bytes of the file; reading them does not count as a use.
    fn begin(&self) -> [u8; 4] {
        let mut bytes = [0; 4];
        if let Ok(mut file) = File::open(&self.path) {
            let accessed = file.metadata().and_then(|found| found.accessed());
            let _ = file.read_exact(&mut bytes);
            if let Ok(accessed) = accessed {
                let _ = file.set_times(FileTimes::new().set_accessed(accessed));
            }
        }
        bytes
    }
}

fn files_of(path: &Path) -> io::Result<Vec<Found>> {
    found_in(path, Metadata::is_file)
}

fn directories_of(path: &Path) -> io::Result<Vec<Found>> {
    found_in(path, Metadata::is_dir)
}

/// What may be gone by now is passed over: others use the cache as well.
fn found_in(path: &Path, is_meant: fn(&Metadata) -> bool) -> io::Result<Vec<Found>> {
    let entries = entries_of(path)?.into_iter();
    let found = entries.filter_map(|entry| entry.metadata().ok().map(|found| (entry, found)));
    Ok(found.filter(|(_, found)| is_meant(found)).map(|(entry, found)| Found::new(&entry, &found)).collect())
}

/// The bytes of files that have no other name. All others are counted where they are kept.
fn own_bytes(directory: &Path, depth: usize) -> u64 {
    let Some(depth) = depth.checked_sub(1) else { return 0 };
    let sizes = entries_of(directory).unwrap_or_default().into_iter().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => own_bytes(&entry.path(), depth),
        Ok(found) if !has_other_names(&found) => found.len(),
        _ => 0,
    });
    sizes.sum()
}

#[cfg(unix)]
fn has_other_names(file: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(file) > 1
}

#[cfg(not(unix))]
fn has_other_names(_: &Metadata) -> bool {
    false
}

/// What files are called where they come from.
#[derive(Default)]
struct Names {
    by_digest: HashMap<String, (Kind, String)>,
    /// Their ids, and when each was last used, by the SHA-256 of the id.
    bindles: HashMap<String, (String, SystemTime)>,
}

impl Names {
    fn add(&mut self, note: &Note) {
        let manifests = note.manifests.iter().map(|digest| (digest, Kind::Manifest));
        for (digest, kind) in manifests.chain([(&note.module, Kind::Module)]) {
            let (_, name) = self.by_digest.entry(digest.to_string()).or_insert_with(|| (kind, String::new()));
            *name = if name.is_empty() { note.reference.clone() } else { format!("{name}, {}", note.reference) };
        }
    }

    /// Without a note, the first bytes tell what a file is.
    fn of(&self, file: &Found) -> (Kind, String) {
        if let Some((kind, name)) = self.by_digest.get(&file.name) {
            return (*kind, name.clone());
        }
        let kind = match &file.begin() {
            b"\0asm" | [b'(', b'm', b'o', b'd'] | [b'(', b'c', b'o', b'm'] => Kind::Module,
            [b'{', ..] => Kind::Manifest,
            _ => Kind::Asset,
        };
        (kind, file.name.clone())
    }
}

/// `NAME/VERSION`, as the invoice says.
fn bindle_id(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_INVOICE_SIZE).read_to_string(&mut text).ok()?;
    let root: toml::Table = text.parse().ok()?;
    let of = |key| root.get("bindle")?.get(key)?.as_str();
    Some(format!("{}/{}", of("name")?, of("version")?))
}
