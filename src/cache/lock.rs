//! Who is using what just now?
//!
//! A server locks what it uses, so that nobody prunes it: the whole cache while it starts, and after that what it goes on
//! reading, as long as it runs. The locks are the system's (`flock`), shared among servers, and end with the process,
//! however it ends. Where the file system has none, age alone decides what is pruned.

use std::fs::{self, File, FileTimes, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Pruning takes less time than that. Who locks a cache for longer does something else.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a lock is tried that somebody else has.
const BETWEEN: Duration = Duration::from_millis(20);

/// A lock, until it is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    _file: File,
}

impl Hold {
    /// Waits until nobody prunes this file or directory, and keeps others from doing so. `None` if it is gone.
    pub fn shared(path: &Path) -> Option<Self> {
        let (file, begun) = (File::open(path).ok()?, Instant::now());
        loop {
            match file.try_lock_shared() {
                Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(BETWEEN),
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "cannot lock it");
                    break;
                }
                Ok(()) => break,
            }
        }
        // While it was waited for it may have been removed.
        is_still(&file, path).then_some(Self { _file: file })
    }

    /// The right to remove this file or directory; `None` if somebody uses it.
    pub fn exclusive(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        match file.try_lock() {
            // Without locks nobody holds any.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
        }
    }
}

#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    matches!((file.metadata().map(identity), fs::metadata(path).map(identity)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(not(unix))]
fn is_still(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Notes that a file or directory is used now: as the time of the last access, which programs that see the file under another
/// name take less notice of than of the time it was written.
pub(crate) fn touch(file: &File) {
    if let Err(error) = file.set_times(FileTimes::new().set_accessed(SystemTime::now())) {
        tracing::debug!(%error, "cannot note that a file of the cache is used");
    }
}

/// Notes that something is used now that is not read itself but leads to something else: as the time it was written.
pub(crate) fn renew(path: &Path) {
    if let Err(error) = File::open(path).and_then(|file| file.set_modified(SystemTime::now())) {
        tracing::debug!(path = %path.display(), %error, "cannot note that it is used");
    }
}
