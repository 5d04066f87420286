//! Which directory has the process, and what is removed at the start?
//!
//! The lock of the directory above guards the moment between making a directory and locking it, so that no other start takes it for
//! one that was left.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use crate::format::hex;
use crate::scratch::budget::ScratchBudget;
use crate::scratch::directory::ScratchDirectory;
use crate::scratch::limits::ScratchLimits;
use crate::scratch::tree;

/// How long another start may keep the lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Why there are no scratch directories.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// It cannot be made or read.
    #[error("cannot use the directory `{}`", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It belongs to another user.
    #[error("the directory `{}` belongs to another user, {owner}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// The ID of its owner.
        owner: u32,
    },
    /// Others than its owner may use it.
    #[error("others may use the directory `{}`: its mode is {mode:03o}", path.display())]
    Shared {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// The directory of this process, and the room that all requests have together.
#[derive(Debug)]
pub struct ScratchSpace {
    own: PathBuf,
    budget: Arc<ScratchBudget>,
    next: AtomicU64,
    _lock: File,
}

impl ScratchSpace {
    /// Makes the directory of this process below `above`, with room for `total` bytes. Removes what processes have left there that
    /// do not run any more.
    pub fn open(above: &Path, total: u64) -> Result<Arc<Self>, ScratchError> {
        let unusable = |source| ScratchError::Unusable { path: above.to_owned(), source };
        DirBuilder::new().mode(0o700).recursive(true).create(above).map_err(unusable)?;
        let directory = open_directory(above).map_err(unusable)?;
        check(above, &directory)?;
        lock(&directory).map_err(unusable)?;
        sweep(above).map_err(unusable)?;
        let own = above.join(random_name().map_err(unusable)?);
        let made = DirBuilder::new().mode(0o700).create(&own).and_then(|()| {
            let own_directory = open_directory(&own)?;
            lock(&own_directory)?;
            Ok(own_directory)
        });
        let _lock = made.map_err(unusable)?;
        Ok(Arc::new(Self { own, budget: Arc::new(ScratchBudget::new(total)), next: AtomicU64::new(0), _lock }))
    }

    /// Makes an empty directory, which stands for one in which nothing was created yet.
    pub fn placeholder(&self) -> io::Result<PathBuf> {
        let path = self.own.join(format!("empty-{}", self.next.fetch_add(1, Ordering::Relaxed)));
        DirBuilder::new().mode(0o500).create(&path)?;
        Ok(path)
    }

    /// Makes a directory for a request.
    pub fn directory(&self, limits: ScratchLimits) -> io::Result<ScratchDirectory> {
        let path = self.own.join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        DirBuilder::new().mode(0o700).create(&path)?;
        let root = open_directory(&path)?;
        Ok(ScratchDirectory::new(self.budget.clone(), path, root, limits))
    }
}

impl Drop for ScratchSpace {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next start.
        let _ = open_directory(&self.own).and_then(tree::clear).and_then(|()| fs::remove_dir(&self.own));
    }
}

fn open_directory(path: &Path) -> io::Result<File> {
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn check(path: &Path, directory: &File) -> Result<(), ScratchError> {
    let found = directory.metadata().map_err(|source| ScratchError::Unusable { path: path.to_owned(), source })?;
    let (owner, mode) = (found.uid(), found.mode() & 0o777);
    if owner != rustix::process::geteuid().as_raw() {
        return Err(ScratchError::Foreign { path: path.to_owned(), owner });
    }
    if mode & 0o077 != 0 {
        return Err(ScratchError::Shared { path: path.to_owned(), mode });
    }
    Ok(())
}

fn lock(directory: &File) -> io::Result<()> {
    let begun = Instant::now();
    loop {
        match directory.try_lock() {
            Ok(()) => return Ok(()),
            Err(fs::TryLockError::WouldBlock) if begun.elapsed() < LOCK_TIMEOUT => thread::sleep(RETRY_INTERVAL),
            Err(fs::TryLockError::WouldBlock) => return Err(io::ErrorKind::TimedOut.into()),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Removes the directories that no process has locked.
fn sweep(above: &Path) -> io::Result<()> {
    for entry in fs::read_dir(above)? {
        let path = entry?.path();
        // What is not a directory is not ours.
        let Ok(directory) = open_directory(&path) else { continue };
        if directory.try_lock().is_ok() {
            let removed = tree::clear(&directory).and_then(|()| fs::remove_dir(&path));
            if let Err(error) = removed {
                tracing::warn!(path = %path.display(), %error, "cannot remove what an earlier server has left");
            }
        }
    }
    Ok(())
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use crate::scratch::limits::ScratchUse;
    use crate::scratch::space::*;

    const LIMITS: ScratchLimits = ScratchLimits { bytes: 100, files: 3 };

    fn bytes(bytes: u64) -> ScratchUse {
        ScratchUse { bytes, files: 0 }
    }

    fn count(path: &Path) -> usize {
        fs::read_dir(path).expect("readable").count()
    }

    #[test]
    fn a_directory_holds_what_its_limits_allow_and_goes_with_its_request() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let above = temporary.path().join("scratch");
        let space = ScratchSpace::open(&above, 150).expect("a space");
        let mut directory = space.directory(LIMITS).expect("a directory");
        assert!(directory.reserve(bytes(100)));
        fs::write(directory.path().join("file"), [0; 100]).expect("writable");
        assert!(!directory.reserve(bytes(1)));
        fs::write(directory.path().join("file"), [0; 10]).expect("writable");
        directory.measure(bytes(1)).expect("readable");
        assert!(!directory.reserve(bytes(90)), "what is open counts");
        assert!(directory.reserve(bytes(89)));
        assert!(!directory.reserve(ScratchUse { bytes: 0, files: 3 }), "one is there");
        let mut other = space.directory(LIMITS).expect("a directory");
        assert!(!other.reserve(bytes(51)), "all together have 150");
        drop(directory);
        assert!(other.reserve(bytes(51)));
        assert_eq!(count(&space.own), 1);
        drop((other, space));
        assert_eq!(count(&above), 0);
    }

    #[test]
    fn a_start_removes_what_is_not_locked() {
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let above = temporary.path().join("scratch");
        let running = ScratchSpace::open(&above, 1).expect("a space");
        let left = above.join("left/deeper");
        fs::create_dir_all(&left).expect("writable");
        fs::write(left.join("file"), "x").expect("writable");
        let next = ScratchSpace::open(&above, 1).expect("a space");
        assert!(running.own.is_dir() && next.own.is_dir() && !above.join("left").exists());
    }

    #[test]
    fn a_directory_that_others_may_use_is_refused() {
        let above = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(above.path(), Permissions::from_mode(0o750)).expect("it is ours");
        assert!(matches!(ScratchSpace::open(above.path(), 1), Err(ScratchError::Shared { mode: 0o750, .. })));
        let link = above.path().join("link");
        std::os::unix::fs::symlink(above.path(), &link).expect("writable");
        assert!(matches!(ScratchSpace::open(&link, 1), Err(ScratchError::Unusable { .. })));
    }
}
