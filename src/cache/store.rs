//! How are fetched bytes stored so that they can be trusted?
//!
//! A store is a directory of files that are named after their SHA-256. A file gets its name when it is complete, checked and on
//! the disk. It is checked again each time that it is looked up. So nothing is served that a killed process, a full disk or
//! another program has left there. Several servers may share a store, and it may be pruned while they run.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::cache;
use crate::cache::{CacheLock, PARTIAL};
use crate::config::{Diagnostic, Sha256};
use crate::format::counted;
use crate::regular_file;

use crate::cache::disk;
use crate::cache::disk::{CopyError, PartialFile, copy_and_digest, is_same_file, temporary_directory};

/// A partial file of this age is left over from a process that was killed.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// A directory of fetched files.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Removes the directory with the store, unless it was taken.
    temporary: Option<TemporaryDirectory>,
    /// Keeps other processes from pruning anything.
    startup: Option<CacheLock>,
    /// Keep other processes from pruning what is used.
    pins: Mutex<Vec<CacheLock>>,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The directory cannot be used.
    #[error("cannot use the module cache `{}`", path.display())]
    Directory { path: PathBuf, source: io::Error },
    /// There is no directory for a temporary store.
    #[error("cannot make a temporary directory for parcels")]
    Temporary(#[source] io::Error),
}

impl From<OpenError> for Box<Diagnostic> {
    fn from(error: OpenError) -> Self {
        let (OpenError::Directory { source, .. } | OpenError::Temporary(source)) = &error;
        Box::new(Diagnostic::error(error.to_string()).caused_by(source))
    }
}

/// Why bytes were not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// They cannot be fetched.
    #[error(transparent)]
    Fetch(io::Error),
    /// They cannot be written.
    #[error("cannot write to `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// They have another digest.
    #[error("its SHA-256 is `{found}`, but `{expected}` is expected")]
    Digest { found: String, expected: Sha256 },
    /// They have another size.
    #[error("it has {}, but {expected} are expected", counted(*found, "byte", "bytes"))]
    Size { found: u64, expected: u64 },
    /// They are more than expected. How many is unknown.
    #[error("it has more than the {0} bytes that are expected")]
    TooLarge(u64),
}

impl StoreError {
    /// Whether another try may succeed: the bytes broke off, and not because they took too long.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Fetch(error) if error.kind() != io::ErrorKind::TimedOut)
    }
}

impl Store {
    /// Opens the store in `directory`, or a new one that is removed when it is dropped.
    pub(crate) fn open(directory: Option<&Path>) -> Result<Self, OpenError> {
        match directory {
            Some(path) => Self::open_in(path.to_owned(), false)
                .map_err(|source| OpenError::Directory { path: path.to_owned(), source }),
            None => temporary_directory().and_then(|path| Self::open_in(path, true)).map_err(OpenError::Temporary),
        }
    }

    fn open_in(root: PathBuf, is_temporary: bool) -> io::Result<Self> {
        cache::create(&root)?;
        let startup = CacheLock::shared(&root);
        let temporary = is_temporary.then(|| TemporaryDirectory(root.clone()));
        let store = Self { root, temporary, startup, pins: Mutex::default() };
        cache::create(&store.root.join(PARTIAL))?;
        store.sweep();
        Ok(store)
    }

    /// Takes the lock that keeps other processes from pruning anything. After it is dropped, they may prune what is not
    /// pinned.
    pub(crate) fn take_startup_lock(&mut self) -> Option<CacheLock> {
        self.startup.take()
    }

    /// Takes the right to remove the directory, if it is a temporary one: it stays until what is returned is dropped.
    pub(crate) fn take_temporary_directory(&mut self) -> Option<TemporaryDirectory> {
        self.temporary.take()
    }

    /// Keeps a file or directory of the store from being pruned as long as the store is in use.
    pub(crate) fn pin(&self, path: &Path) {
        if let Some(lock) = CacheLock::shared(path) {
            self.pins.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
        }
    }

    /// The path of something in the store.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Returns the file with a digest and size, if it is in the store undamaged.
    pub(crate) fn find(&self, sha256: &Sha256, size: u64) -> Option<PathBuf> {
        let path = self.path(sha256.as_str());
        // A link would lead to bytes that others may change.
        fs::symlink_metadata(&path).ok().filter(|found| found.is_file() && found.len() == size)?;
        let mut file = regular_file::open(&path).ok()?;
        let found = copy_and_digest(&mut file, &mut io::sink(), size);
        let is_right = matches!(found, Ok((digest, found)) if digest == sha256.as_str() && found == size);
        is_right.then(|| {
            cache::mark_accessed(&file);
            path
        })
    }

    /// Stores the bytes of `from`, if they have this digest and size, in place of what is there.
    pub(crate) fn insert(&self, sha256: &Sha256, size: u64, from: &mut dyn Read) -> Result<PathBuf, StoreError> {
        let path = self.path(sha256.as_str());
        let write_error = |source| StoreError::Write { path: path.clone(), source };
        let mut partial = PartialFile::create(&self.path(PARTIAL)).map_err(write_error)?;
        let (found, bytes) = copy_and_digest(from, &mut partial.file, size).map_err(|error| match error {
            CopyError::Read(error) => StoreError::Fetch(error),
            CopyError::Write(error) => write_error(error),
        })?;
        if bytes > size {
            return Err(StoreError::TooLarge(size));
        }
        if found != sha256.as_str() {
            return Err(StoreError::Digest { found, expected: sha256.clone() });
        }
        if bytes != size {
            return Err(StoreError::Size { found: bytes, expected: size });
        }
        partial.persist(&path).map_err(write_error)?;
        Ok(path)
    }

    /// Stores the bytes of what `open` returns. If they break off, it is opened once more.
    pub(crate) fn insert_from<'r>(
        &self,
        sha256: &Sha256,
        size: u64,
        open: impl Fn() -> io::Result<Box<dyn Read + 'r>>,
    ) -> Result<PathBuf, StoreError> {
        let attempt = || {
            let mut bytes = open().map_err(StoreError::Fetch)?;
            Ok(self.insert(sha256, size, &mut *bytes))
        };
        match attempt()? {
            Err(error) if error.is_transient() => attempt()?,
            done => done,
        }
    }

    /// Writes a file that is not named after its digest.
    pub(crate) fn write(&self, relative: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut partial = PartialFile::create(&self.path(PARTIAL))?;
        partial.file.write_all(bytes)?;
        partial.persist(&self.path(relative))
    }

    /// Gives a file of the store another name as well: as a hard link, so that it needs no space and no second check,
    /// or as a copy if the file system has no links.
    pub(crate) fn link(&self, content: &Path, relative: &Path) -> io::Result<()> {
        let link = self.path(relative);
        if is_same_file(content, &link) {
            return Ok(());
        }
        let mut partial = PartialFile::create(&self.path(PARTIAL))?;
        fs::remove_file(&partial.path)?;
        if fs::hard_link(content, &partial.path).is_err() {
            partial = PartialFile::create(&self.path(PARTIAL))?;
            io::copy(&mut regular_file::open(content)?, &mut partial.file)?;
        }
        partial.persist(&link)
    }

    /// Removes what killed processes have left, as far as that is possible: it only takes space.
    fn sweep(&self) {
        for entry in fs::read_dir(self.path(PARTIAL)).into_iter().flatten().flatten() {
            if entry.metadata().ok().and_then(|file| disk::age(&file)).is_some_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The directory of a temporary store, which is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(directory = %self.0.display(), %error, "cannot remove the temporary directory");
        }
    }
}
