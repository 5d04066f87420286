//! How do bytes get to the disk whole, private and with their digest? Used by `store`, and for digests.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256 as Hasher};

use crate::cache::random_name;
use crate::config::Sha256;
use crate::format::hex;

/// A file that is being written. It is removed if it is not finished.
pub(crate) struct Partial {
    pub file: File,
    pub path: PathBuf,
}

impl Partial {
    /// A new file in `directory`.
    pub fn begin(directory: &Path) -> io::Result<Self> {
        loop {
            let path = directory.join(random_name()?);
            match private_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(|file| Self { file, path }),
            }
        }
    }

    /// Gives it its name, in place of what has it. The bytes are on the disk before the name is.
    pub fn finish(self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        if let Some(directory) = path.parent() {
            crate::cache::create(directory)?;
        }
        fs::rename(&self.path, path)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After a rename there is nothing to remove, unless the names were links to one file: then both remain.
        let _ = fs::remove_file(&self.path);
    }
}

/// Which side of a copy failed.
pub(crate) enum Stopped {
    Reading(io::Error),
    Writing(io::Error),
}

/// Copies until the end, or one byte beyond `most`; the digest and number of the bytes.
pub(crate) fn copy_and_digest(from: &mut dyn Read, to: &mut dyn Write, most: u64) -> Result<(String, u64), Stopped> {
    let mut from = from.take(most.saturating_add(1));
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok((hex(&hasher.finalize()), bytes)),
            Ok(read) => buffer.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Stopped::Reading(error)),
        };
        hasher.update(read);
        to.write_all(read).map_err(Stopped::Writing)?;
        bytes += read.len() as u64;
    }
}

/// The SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(Hasher::digest(bytes).into())
}

/// A new directory that nobody else can look into.
pub(crate) fn fresh_directory() -> io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("wagi-{}", random_name()?));
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&path).map(|()| path)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.write(true).create_new(true).open(path)
}

/// Whether two names lead to one file, neither being a link to the other.
#[cfg(unix)]
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path| fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(not(unix))]
pub(crate) fn is_same_file(_: &Path, _: &Path) -> bool {
    false
}

/// How long ago a file was written, or linked to, which leaves the time of writing as it was.
#[cfg(unix)]
pub(crate) fn age(file: &fs::Metadata) -> Option<Duration> {
    use std::os::unix::fs::MetadataExt as _;
    let changed =
        std::time::SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(file.ctime()).ok()?))?;
    changed.elapsed().ok()
}

#[cfg(not(unix))]
pub(crate) fn age(file: &fs::Metadata) -> Option<Duration> {
    file.modified().ok()?.elapsed().ok()
}
