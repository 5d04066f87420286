//! What does the file system say about the files of a cache?

use std::fs::{self, DirEntry, FileTimes, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::regular_file;

/// The entries of a directory. There are none if it does not exist.
pub(super) fn entries_of(path: &Path) -> io::Result<Vec<DirEntry>> {
    match fs::read_dir(path) {
        Ok(entries) => entries.collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The path of the statistics beside a file of compiled code.
pub(super) fn statistics_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".stats");
    path.with_file_name(name)
}

/// A file or directory, and its metadata.
pub(super) struct FileInfo {
    pub path: PathBuf,
    pub name: String,
    pub bytes: u64,
    /// When it was modified.
    pub written: SystemTime,
    /// When it was accessed or modified, whichever is later.
    pub used: SystemTime,
}

impl FileInfo {
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

    /// Reads the first bytes of the file, which does not count as a use.
    pub fn first_bytes(&self) -> [u8; 4] {
        let mut bytes = [0; 4];
        if let Ok(mut file) = regular_file::open(&self.path) {
            let accessed = file.metadata().and_then(|found| found.accessed());
            let _ = file.read_exact(&mut bytes);
            if let Ok(accessed) = accessed {
                let _ = file.set_times(FileTimes::new().set_accessed(accessed));
            }
        }
        bytes
    }
}

/// The files of a directory.
pub(super) fn files_of(path: &Path) -> io::Result<Vec<FileInfo>> {
    infos_of(path, Metadata::is_file)
}

/// The directories of a directory.
pub(super) fn directories_of(path: &Path) -> io::Result<Vec<FileInfo>> {
    infos_of(path, Metadata::is_dir)
}

/// What is gone by now is skipped: other processes use the cache as well.
fn infos_of(path: &Path, is_wanted: fn(&Metadata) -> bool) -> io::Result<Vec<FileInfo>> {
    let entries = entries_of(path)?.into_iter();
    let found = entries.filter_map(|entry| entry.metadata().ok().map(|found| (entry, found)));
    Ok(found.filter(|(_, found)| is_wanted(found)).map(|(entry, found)| FileInfo::new(&entry, &found)).collect())
}

/// The bytes of files that have no other name. All others are counted under the other name.
pub(super) fn own_bytes(directory: &Path, depth: usize) -> u64 {
    let Some(depth) = depth.checked_sub(1) else { return 0 };
    let sizes = entries_of(directory).unwrap_or_default().into_iter().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => own_bytes(&entry.path(), depth),
        Ok(found) if found.nlink() == 1 => found.len(),
        _ => 0,
    });
    sizes.sum()
}
