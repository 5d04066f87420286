//! Which files of a cache are used now?
//!
//! A server locks the files that it uses, so that they are not pruned: the whole cache while it starts, and after that the files
//! that it reads while it runs. The locks are those of the system (`flock`). Several servers can share them, and they end with
//! the process. If the file system has no locks, only the age of files decides what is pruned.

use std::fs::{self, File, FileTimes, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::regular_file;

/// How long to wait for a lock. Pruning takes less time.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before a lock is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// A lock on a file or directory of a cache. It is released when it is dropped.
#[derive(Debug)]
pub(crate) struct CacheLock {
    _file: File,
}

impl CacheLock {
    /// Keeps other processes from removing this file or directory. Waits while it is being pruned. `None` if it is
    /// gone.
    pub fn shared(path: &Path) -> Option<Self> {
        let (file, begun) = (regular_file::open_anything(path).ok()?, Instant::now());
        loop {
            match file.try_lock_shared() {
                Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_TIMEOUT => thread::sleep(RETRY_INTERVAL),
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "cannot lock it");
                    break;
                }
                Ok(()) => break,
            }
        }
        // It may have been removed during the wait.
        is_same(&file, path).then_some(Self { _file: file })
    }

    /// Gives the right to remove this file or directory. `None` if another process uses it.
    pub fn exclusive(path: &Path) -> io::Result<Option<Self>> {
        let file = regular_file::open_anything(path)?;
        match file.try_lock() {
            // Where the system has no locks, no process holds one.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
        }
    }
}

/// Whether a path still leads to an open file.
fn is_same(file: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    matches!((file.metadata().map(identity), fs::metadata(path).map(identity)), (Ok(one), Ok(other)) if one == other)
}

/// Marks a file or directory as used now, by the time of its last access. Programs that read the file
/// through another link look at this time less often than at the time of its modification.
pub(crate) fn mark_accessed(file: &File) {
    if let Err(error) = file.set_times(FileTimes::new().set_accessed(SystemTime::now())) {
        tracing::debug!(%error, "cannot note that a file of the cache is used");
    }
}

/// Marks a file as used now that is not read itself but leads to another, by the time of its modification.
pub(crate) fn mark_modified(path: &Path) {
    if let Err(error) = regular_file::open_anything(path).and_then(|file| file.set_modified(SystemTime::now())) {
        tracing::debug!(path = %path.display(), %error, "cannot note that it is used");
    }
}
