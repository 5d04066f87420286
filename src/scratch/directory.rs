//! How much may be in the directory of a request, and when is it removed?
//!
//! What grows is reserved before, from the limits of the request and of all requests. What shrinks is noticed when a limit is reached:
//! then the directory is measured.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::scratch::budget::ScratchBudget;
use crate::scratch::limits::{ScratchLimits, ScratchUse};
use crate::scratch::tree;

/// A directory of one request. It is removed with all that is in it when it is dropped.
#[derive(Debug)]
pub struct ScratchDirectory {
    budget: Arc<ScratchBudget>,
    path: PathBuf,
    root: File,
    limits: ScratchLimits,
    /// What was reserved: at least what is there.
    reserved: ScratchUse,
}

impl ScratchDirectory {
    pub(super) fn new(budget: Arc<ScratchBudget>, path: PathBuf, root: File, limits: ScratchLimits) -> Self {
        Self { budget, path, root, limits, reserved: ScratchUse::default() }
    }

    /// The directory itself.
    pub fn open(&self) -> io::Result<File> {
        self.root.try_clone()
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Measures the directory. `open` is what files take that are open and have no name any more.
    pub fn measure(&mut self, open: ScratchUse) -> io::Result<()> {
        let found = tree::measure(&self.root)?;
        let there = ScratchUse { bytes: found.bytes + open.bytes, files: found.files + open.files };
        self.budget.give_back(self.reserved.bytes.saturating_sub(there.bytes));
        self.reserved = ScratchUse { bytes: self.reserved.bytes.min(there.bytes), files: there.files };
        Ok(())
    }

    /// Reserves room for what is about to grow. What was removed since the directory was measured does not make room.
    pub fn reserve(&mut self, more: ScratchUse) -> bool {
        let (bytes, files) =
            (self.reserved.bytes.saturating_add(more.bytes), self.reserved.files.saturating_add(more.files));
        let is_reserved = bytes <= self.limits.bytes && files <= self.limits.files && self.budget.take(more.bytes);
        if is_reserved {
            self.reserved = ScratchUse { bytes, files };
        }
        is_reserved
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        let removed = tree::clear(&self.root).and_then(|()| std::fs::remove_dir(&self.path));
        if let Err(error) = removed {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a scratch directory: the next start tries again");
        }
        self.budget.give_back(self.reserved.bytes);
    }
}
