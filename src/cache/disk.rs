//! How do bytes get to the disk completely, privately and with their digest?

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256 as Hasher};

use crate::cache::random_name;
use crate::config::Sha256;
use crate::format::hex;

/// A file that is being written. It is removed when it is dropped, unless it was persisted.
pub(crate) struct PartialFile {
    pub file: File,
    pub path: PathBuf,
}

impl PartialFile {
    /// Creates a file in `directory`.
    pub fn create(directory: &Path) -> io::Result<Self> {
        loop {
            let path = directory.join(random_name()?);
            match private_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(|file| Self { file, path }),
            }
        }
    }

    /// Renames the file to `path`, in place of what is there. The bytes are on the disk before the name is.
    pub fn persist(self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(directory) = path.parent() {
            crate::cache::create(directory)?;
        }
        fs::rename(&self.path, path)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // After a rename there is usually nothing to remove. If both names were links to one file, a rename leaves both.
        let _ = fs::remove_file(&self.path);
    }
}

/// The side of a copy that failed.
pub(crate) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// Copies until the end, or one byte more than `limit`. Returns the digest and number of the bytes.
pub(crate) fn copy_and_digest(from: &mut dyn Read, to: &mut dyn Write, limit: u64) -> Result<(String, u64), CopyError> {
    let mut from = from.take(limit.saturating_add(1));
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok((hex(&hasher.finalize()), bytes)),
            Ok(read) => buffer.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        hasher.update(read);
        to.write_all(read).map_err(CopyError::Write)?;
        bytes += read.len() as u64;
    }
}

/// The SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(Hasher::digest(bytes).into())
}

/// Creates a temporary directory for its owner alone.
pub(crate) fn temporary_directory() -> io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("wagi-{}", random_name()?));
    DirBuilder::new().mode(0o700).create(&path).map(|()| path)
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().mode(0o600).write(true).create_new(true).open(path)
}

/// Whether two paths are hard links to one file.
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// How long ago a file was written or linked to. A link does not change the time of modification.
pub(crate) fn age(file: &fs::Metadata) -> Option<Duration> {
    let changed =
        std::time::SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(file.ctime()).ok()?))?;
    changed.elapsed().ok()
}
