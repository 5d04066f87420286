//! Are the files that a program has seen before its checkpoint still the same?

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

/// More files than interpreters look for when they start.
const MAX_FILES: usize = 10_000;

/// A file that was changed less than this before it was read may change once more without another time of change.
const UNCERTAIN: Duration = Duration::from_secs(1);

/// How long the system may take to say what it knows of the files.
const PATIENCE: Duration = Duration::from_secs(10);

/// The files and directories that a program has opened or looked for, with what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime) struct SeenFiles(BTreeMap<PathBuf, SeenFile>);

/// What was found at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SeenFile {
    /// What it leads to; `None` for nothing.
    target: Option<FileIdentity>,
    /// The symbolic link itself, which may lead to nothing, or to something else with the next look.
    link: Option<FileIdentity>,
}

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runtime) struct FileIdentity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileIdentity {
    /// That of the file at a path; `None` if there is none.
    pub fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|found| Self::new(&found))
    }

    /// That of a file of which this is known.
    pub fn new(found: &Metadata) -> Self {
        // An access or a new name changes neither of the times of a file.
        Self {
            device: found.dev(),
            inode: found.ino(),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    /// As it is written down.
    pub fn numbers(&self) -> Value {
        let Self { device, inode, length, modified, changed } = self;
        json!([device, inode, length, modified.0, modified.1, changed.0, changed.1])
    }

    /// What was written down.
    pub fn of_numbers(numbers: &Value) -> Option<Self> {
        let unsigned = |index: usize| numbers.get(index)?.as_u64();
        let time = |index: usize| Some((numbers.get(index)?.as_i64()?, numbers.get(index + 1)?.as_i64()?));
        let (device, inode, length) = (unsigned(0)?, unsigned(1)?, unsigned(2)?);
        Some(Self { device, inode, length, modified: time(3)?, changed: time(5)? })
    }

    fn is_older_than(&self, time: SystemTime) -> bool {
        let time = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        // The time of modification may be set to any time, which is a change.
        self.changed.0 < seconds
    }
}

impl SeenFile {
    fn of(path: &Path) -> Self {
        match std::fs::symlink_metadata(path) {
            Ok(link) if link.is_symlink() => {
                Self { target: FileIdentity::of(path), link: Some(FileIdentity::new(&link)) }
            }
            found => Self { target: found.ok().map(|found| FileIdentity::new(&found)), link: None },
        }
    }

    fn is_older_than(&self, time: SystemTime) -> bool {
        self.target.iter().chain(&self.link).all(|found| found.is_older_than(time))
    }

    fn of_numbers(target: &Value, link: &Value) -> Option<Self> {
        let identity = |written: &Value| match written {
            Value::Null => Some(None),
            numbers => FileIdentity::of_numbers(numbers).map(Some),
        };
        Some(Self { target: identity(target)?, link: identity(link)? })
    }
}

impl SeenFiles {
    /// Notes a path of the host that the program opens or looks for. False if there are too many.
    pub fn add(&mut self, path: PathBuf) -> bool {
        if self.0.len() >= MAX_FILES {
            return false;
        }
        self.0.entry(path).or_insert_with_key(|path| SeenFile::of(path));
        true
    }

    /// Notes what another rehearsal has seen, unless it is known already.
    pub fn add_all(&mut self, other: &Self) {
        let room = MAX_FILES.saturating_sub(self.0.len());
        for (path, found) in other.0.iter().take(room) {
            self.0.entry(path.clone()).or_insert(*found);
        }
    }

    /// What was found at a path; `None` if there was no file, or it was not looked for.
    pub fn identity(&self, path: &Path) -> Option<FileIdentity> {
        self.0.get(path)?.target
    }

    /// Whether all are as they were. Asks the system about each of them.
    pub fn are_unchanged(&self) -> bool {
        self.0.iter().all(|(path, found)| SeenFile::of(path) == *found)
    }

    /// The same on a thread of its own, since a volume may hang. `None` if it does.
    pub fn are_unchanged_in_time(&self) -> Option<bool> {
        let (sender, answer) = channel();
        let files = self.clone();
        let ask = move || sender.send(files.are_unchanged());
        thread::Builder::new().name("wagi-warm-files".into()).spawn(ask).ok()?;
        answer.recv_timeout(PATIENCE).ok()
    }

    /// Whether each was changed so long before `time` that a later change cannot be missed.
    pub fn are_certain(&self, time: SystemTime) -> bool {
        let before = time.checked_sub(UNCERTAIN).unwrap_or(SystemTime::UNIX_EPOCH);
        self.0.values().all(|found| found.is_older_than(before))
    }

    /// As they are written down; `None` if a path is not text.
    pub fn written(&self) -> Option<Value> {
        let file = |(path, SeenFile { target, link }): (&PathBuf, &SeenFile)| {
            let [target, link] = [target, link].map(|found| found.as_ref().map(FileIdentity::numbers));
            Some(json!([path.to_str()?, target, link]))
        };
        self.0.iter().map(file).collect()
    }

    /// The files that were written down.
    pub fn read(written: &Value) -> Option<Self> {
        let file = |written: &Value| {
            let path = PathBuf::from(written.get(0)?.as_str()?);
            Some((path, SeenFile::of_numbers(written.get(1)?, written.get(2)?)?))
        };
        written.as_array()?.iter().map(file).collect::<Option<_>>().map(Self)
    }

    /// Whether both are of the same files, changed or not.
    pub fn have_the_paths_of(&self, other: &Self) -> bool {
        self.0.keys().eq(other.0.keys())
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

#[cfg(test)]
mod tests {
    use crate::runtime::resume::files::*;

    #[test]
    fn files_are_the_same_after_they_were_written_down() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a\"b");
        std::fs::write(&path, "a").expect("writable");
        let mut files = SeenFiles::default();
        assert!(files.add(path.clone()) && files.add(directory.path().join("missing")));
        let read = SeenFiles::read(&files.written().expect("the paths are text"));
        assert_eq!(read.as_ref(), Some(&files));
        assert!(files.are_unchanged() && files.are_unchanged_in_time() == Some(true));
        std::fs::write(&path, "ab").expect("writable");
        assert!(!read.expect("it was written").are_unchanged());
        let mut more = SeenFiles::default();
        assert!(more.add(path.clone()) && more.identity(&path) != files.identity(&path));
        more.add_all(&files);
        assert!(more.len() == 2 && more.identity(&path) != files.identity(&path), "what was seen first stays");
        for damaged in [json!([["a", null]]), json!(null), json!([["a"]]), json!([["a", [1, 2]]]), json!([[1, null]])] {
            assert_eq!(SeenFiles::read(&damaged), None, "{damaged}");
        }
    }

    #[test]
    fn a_symbolic_link_that_leads_elsewhere_is_a_change_even_if_it_leads_to_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("link");
        std::os::unix::fs::symlink("nothing", &path).expect("writable");
        let mut files = SeenFiles::default();
        assert!(files.add(path.clone()) && files.are_unchanged());
        let read = SeenFiles::read(&files.written().expect("the path is text"));
        assert_eq!(read.as_ref(), Some(&files));
        assert_eq!(files.identity(&path), None);
        std::fs::remove_file(&path).expect("it is there");
        std::os::unix::fs::symlink("nowhere", &path).expect("writable");
        assert!(!files.are_unchanged());
        let mut files = SeenFiles::default();
        assert!(files.add(path) && files.are_unchanged());
        std::fs::write(directory.path().join("nowhere"), "").expect("writable");
        assert!(!files.are_unchanged(), "it leads to something now");
    }
}
