//! How are fetched bytes kept so that they can be trusted?
//!
//! A store is a directory of files that are named after their SHA-256. A file gets its name when it is complete, checked
//! and on the disk, and is checked again whenever it is asked for, so that a killed process, a full disk or a stranger's hand
//! leaves nothing behind that is served. Several servers may share one, and somebody may prune it meanwhile: `crate::cache`
//! knows the names of its parts. Used by `bindle`, `module` and `oci`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::cache;
use crate::cache::{Hold, PARTIAL};
use crate::config::{Diagnostic, Sha256};

use crate::cache::disk;
use crate::cache::disk::{Partial, Stopped, copy_and_digest, fresh_directory, is_same_file};

/// A file that nobody has touched for so long is left over from a process that was killed.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// A directory of fetched files.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    is_temporary: bool,
    /// Keeps other processes from pruning anything.
    startup: Option<Hold>,
    /// Keep other processes from pruning what is used.
    held: Mutex<Vec<Hold>>,
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

/// Why bytes are not in the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// They cannot be had.
    #[error(transparent)]
    Fetch(io::Error),
    /// They cannot be kept.
    #[error("cannot write to `{}`", path.display())]
    Keep { path: PathBuf, source: io::Error },
    /// They are others than they should be.
    #[error("its SHA-256 is `{found}`, but the invoice says `{expected}`")]
    Digest { found: String, expected: Sha256 },
    /// They are more or fewer than they should be.
    #[error("it has {found} bytes, but the invoice says {expected}")]
    Size { found: u64, expected: u64 },
    /// They do not end where they should.
    #[error("it has more than the {0} bytes that the invoice says")]
    Endless(u64),
}

impl Store {
    /// The store in `directory`, or a new one that is removed when it is dropped.
    pub(crate) fn open(directory: Option<&Path>) -> Result<Self, OpenError> {
        match directory {
            Some(path) => Self::open_in(path.to_owned(), false)
                .map_err(|source| OpenError::Directory { path: path.to_owned(), source }),
            None => fresh_directory().and_then(|path| Self::open_in(path, true)).map_err(OpenError::Temporary),
        }
    }

    fn open_in(root: PathBuf, is_temporary: bool) -> io::Result<Self> {
        cache::create(&root)?;
        let startup = Hold::shared(&root);
        let store = Self { root, is_temporary, startup, held: Mutex::default() };
        cache::create(&store.root.join(PARTIAL))?;
        store.sweep();
        Ok(store)
    }

    /// Takes the lock that keeps other processes from pruning anything. After it is dropped, they may prune what is not held.
    pub(crate) fn take_startup_lock(&mut self) -> Option<Hold> {
        self.startup.take()
    }

    /// Keeps a file or directory of the store from being pruned as long as the store is in use.
    pub(crate) fn hold(&self, path: &Path) {
        if let Some(hold) = Hold::shared(path) {
            self.held.lock().unwrap_or_else(PoisonError::into_inner).push(hold);
        }
    }

    /// Where something is or will be.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// The file with a digest and size, if it is in the store undamaged.
    pub(crate) fn find(&self, sha256: &Sha256, size: u64) -> Option<PathBuf> {
        let path = self.path(sha256.as_str());
        // A link would lead to bytes that others may change.
        fs::symlink_metadata(&path).ok().filter(|found| found.is_file() && found.len() == size)?;
        let mut file = File::open(&path).ok()?;
        let found = copy_and_digest(&mut file, &mut io::sink(), size);
        let is_right = matches!(found, Ok((digest, found)) if digest == sha256.as_str() && found == size);
        is_right.then(|| {
            cache::touch(&file);
            path
        })
    }

    /// Takes in what `from` yields, if it has this digest and size, in place of what is there.
    pub(crate) fn take_in(&self, sha256: &Sha256, size: u64, from: &mut dyn Read) -> Result<PathBuf, StoreError> {
        let path = self.path(sha256.as_str());
        let keep = |source| StoreError::Keep { path: path.clone(), source };
        let mut partial = Partial::begin(&self.path(PARTIAL)).map_err(keep)?;
        let (found, bytes) = copy_and_digest(from, &mut partial.file, size).map_err(|error| match error {
            Stopped::Reading(error) => StoreError::Fetch(error),
            Stopped::Writing(error) => keep(error),
        })?;
        if bytes > size {
            return Err(StoreError::Endless(size));
        }
        if found != sha256.as_str() {
            return Err(StoreError::Digest { found, expected: sha256.clone() });
        }
        if bytes != size {
            return Err(StoreError::Size { found: bytes, expected: size });
        }
        partial.finish(&path).map_err(keep)?;
        Ok(path)
    }

    /// Takes in what `open` leads to. What breaks off on its way is worth another attempt.
    pub(crate) fn take_in_from<'r>(
        &self,
        sha256: &Sha256,
        size: u64,
        open: impl Fn() -> io::Result<Box<dyn Read + 'r>>,
    ) -> Result<PathBuf, StoreError> {
        let attempt = || {
            let mut bytes = open().map_err(StoreError::Fetch)?;
            Ok(self.take_in(sha256, size, &mut *bytes))
        };
        match attempt()? {
            Err(StoreError::Fetch(_)) => attempt()?,
            done => done,
        }
    }

    /// Writes a file under a name of its own.
    pub(crate) fn write(&self, relative: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut partial = Partial::begin(&self.path(PARTIAL))?;
        partial.file.write_all(bytes)?;
        partial.finish(&self.path(relative))
    }

    /// Shows a file of the store under another name as well: as a link, so that it needs no room and no second check, or
    /// where there are no links as a copy.
    pub(crate) fn show(&self, content: &Path, relative: &Path) -> io::Result<()> {
        let shown = self.path(relative);
        if is_same_file(content, &shown) {
            return Ok(());
        }
        let mut partial = Partial::begin(&self.path(PARTIAL))?;
        fs::remove_file(&partial.path)?;
        if fs::hard_link(content, &partial.path).is_err() {
            partial = Partial::begin(&self.path(PARTIAL))?;
            io::copy(&mut File::open(content)?, &mut partial.file)?;
        }
        partial.finish(&shown)
    }

    /// Removes what killed processes have left, as far as that is possible: it is only in the way of other files.
    fn sweep(&self) {
        for entry in fs::read_dir(self.path(PARTIAL)).into_iter().flatten().flatten() {
            if entry.metadata().ok().and_then(|file| disk::age(&file)).is_some_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.is_temporary
            && let Err(error) = fs::remove_dir_all(&self.root)
        {
            tracing::warn!(directory = %self.root.display(), %error, "cannot remove the temporary directory");
        }
    }
}
