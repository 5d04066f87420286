//! Are the files that a program has seen before its checkpoint still the same?

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// More files than interpreters look for when they start.
const MAX_FILES: usize = 10_000;

/// A file that was changed less than this before it was read may change once more without another time of change.
const UNCERTAIN: Duration = Duration::from_secs(1);

/// The files and directories that a program has opened or looked for, with what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime) struct SeenFiles(BTreeMap<PathBuf, Option<FileIdentity>>);

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
    fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|found| Self::new(&found))
    }

    fn new(found: &Metadata) -> Self {
        // An access or a new name changes neither of the times of a file.
        Self {
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    fn is_older_than(&self, time: SystemTime) -> bool {
        let time = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        self.changed.0 < seconds && self.modified.0 < seconds
    }
}

impl SeenFiles {
    /// Notes a path of the host that the program opens or looks for. False if there are too many.
    pub fn add(&mut self, path: PathBuf) -> bool {
        if self.0.len() >= MAX_FILES {
            return false;
        }
        self.0.entry(path).or_insert_with_key(|path| FileIdentity::of(path));
        true
    }

    /// Whether all are as they were. Asks the system about each of them.
    pub fn are_unchanged(&self) -> bool {
        self.0.iter().all(|(path, found)| FileIdentity::of(path) == *found)
    }

    /// Whether each was changed so long before `time` that a later change cannot be missed.
    pub fn are_certain(&self, time: SystemTime) -> bool {
        let before = time.checked_sub(UNCERTAIN).unwrap_or(SystemTime::UNIX_EPOCH);
        self.0.values().flatten().all(|found| found.is_older_than(before))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}
