//! Which files have changed, and which are still being written?
//!
//! A file is known by its [`Stamp`]: it is another one, or was written to, if that differs. The content is not read for it.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// What the system says about a file: device, inode, length, and the times of the last change of its content and of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    content: (i64, i64),
    anything: (i64, i64),
}

/// What is known about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Missing,
    As(Stamp),
    /// It may have changed since it was read.
    Uncertain,
    /// It has changed while it was read.
    Changed,
}

/// What is known about files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps(BTreeMap<PathBuf, Known>);

/// The resolution of the times of files: the system takes them from its last tick.
const TICK: Duration = Duration::from_millis(10);

/// How long the search for processes that write may take.
const SEARCH_TIME: Duration = Duration::from_millis(200);

impl Stamps {
    /// The stamps of files as they are now.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        Self(files.into_iter().map(|path| (path.clone(), Known::now(path))).collect())
    }

    /// The stamps of files that were read since `began`, when they were as in `before`.
    pub fn of_read<'a>(files: impl IntoIterator<Item = &'a PathBuf>, before: &Self, began: SystemTime) -> Self {
        let known = |path: &PathBuf| match before.0.get(path) {
            Some(known) if Known::now(path) == *known => *known,
            Some(_) => Known::Changed,
            None => Known::since(path, began),
        };
        Self(files.into_iter().map(|path| (path.clone(), known(path))).collect())
    }

    /// What is known after these files were `read`: what was read, which others may have seen otherwise before or since. Files
    /// of which that is uncertain are as they were seen, if they were there; otherwise they would be uncertain for ever where the
    /// clocks of file systems are ahead.
    pub fn with_read(&self, read: &Self) -> Self {
        let known = |(path, read): (&PathBuf, &Known)| match (read, self.0.get(path)) {
            (Known::Uncertain, Some(seen @ Known::As(_))) => (path.clone(), *seen),
            _ => (path.clone(), *read),
        };
        Self(read.0.iter().map(known).collect())
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.keys()
    }

    /// The files that are not as they were in `before`.
    pub fn changed_since(&self, before: &Self) -> Vec<PathBuf> {
        let changed = self.0.iter().filter(|(path, known)| before.0.get(*path) != Some(known));
        changed.map(|(path, _)| path.clone()).collect()
    }

    /// Whether a file that was there in `before` is missing, or may have been when it was read.
    pub fn misses_one_of(&self, before: &Self) -> bool {
        let is_gone = |(path, known): (&PathBuf, &Known)| {
            matches!(known, Known::Missing | Known::Changed)
                && before.0.get(path).is_some_and(|known| *known != Known::Missing)
        };
        self.0.iter().any(is_gone)
    }
}

impl Known {
    fn now(path: &Path) -> Self {
        let Ok(found) = fs::metadata(path) else { return Self::Missing };
        Self::As(Stamp {
            file: (found.dev(), found.ino()),
            length: found.len(),
            content: (found.mtime(), found.mtime_nsec()),
            anything: (found.ctime(), found.ctime_nsec()),
        })
    }

    fn since(path: &Path, began: SystemTime) -> Self {
        let now = Self::now(path);
        let Self::As(Stamp { anything: (seconds, nanoseconds), .. }) = now else { return now };
        let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(seconds), u32::try_from(nanoseconds)) else { return now };
        let changed = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        if changed + TICK >= began { Self::Uncertain } else { now }
    }
}

/// Those of `files` that another process has open for writing, as far as this one may know.
pub(super) fn open_for_writing(files: &[PathBuf]) -> Vec<PathBuf> {
    let wanted: HashSet<PathBuf> = files.iter().filter_map(|path| path.canonicalize().ok()).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let (began, own, mut found) = (Instant::now(), std::process::id().to_string(), HashSet::new());
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = process.file_name();
        let is_other = name != own.as_str() && name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
        if is_other && began.elapsed() < SEARCH_TIME {
            found.extend(written_by(&process.path(), &wanted));
        }
    }
    found.into_iter().collect()
}

/// Those of `wanted` that the process with this directory below `/proc` has open for writing.
fn written_by(process: &Path, wanted: &HashSet<PathBuf>) -> impl Iterator<Item = PathBuf> {
    let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|descriptor| {
        let path = fs::read_link(descriptor.path()).ok().filter(|path| wanted.contains(path))?;
        let about = fs::read_to_string(process.join("fdinfo").join(descriptor.file_name())).ok()?;
        may_write(&about).then_some(path)
    })
}

/// Whether a descriptor with these lines in `/proc` is open for writing: the two lowest bits of its flags say it.
fn may_write(about: &str) -> bool {
    let flags = about.lines().find_map(|line| line.strip_prefix("flags:"));
    flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).is_some_and(|flags| flags & 0b11 != 0)
}

#[cfg(test)]
mod tests {
    use crate::startup::reload::files::*;

    #[test]
    fn a_change_of_a_file_changes_its_stamp() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["a", "b", "c"].map(|name| directory.path().join(name));
        fs::write(&files[0], "1").unwrap();
        fs::write(&files[1], "1").unwrap();
        let before = Stamps::of(&files);
        assert_eq!(Stamps::of(&files), before);
        fs::write(&files[0], "12").unwrap();
        fs::write(&files[2], "1").unwrap();
        let after = Stamps::of(&files);
        assert_eq!(after.changed_since(&before), [files[0].clone(), files[2].clone()]);
        assert!(!after.misses_one_of(&before));
        fs::remove_file(&files[1]).unwrap();
        assert!(Stamps::of(&files).misses_one_of(&before));
    }

    #[test]
    fn a_file_that_was_written_after_the_reading_began_may_have_changed() {
        let directory = tempfile::tempdir().unwrap();
        let files = [directory.path().join("a")];
        fs::write(&files[0], "1").unwrap();
        let (hour, now) = (Duration::from_secs(3600), SystemTime::now());
        assert_eq!(Stamps::of_read(&files, &Stamps::default(), now + hour), Stamps::of(&files));
        let uncertain = Stamps::of_read(&files, &Stamps::default(), now - hour);
        assert_ne!(uncertain, Stamps::of(&files));
        assert_eq!(Stamps::of(&files).changed_since(&uncertain), files);
    }

    #[test]
    fn a_file_that_comes_or_goes_while_it_is_read_has_changed() {
        let directory = tempfile::tempdir().unwrap();
        let files = ["a", "b"].map(|name| directory.path().join(name));
        fs::write(&files[0], "1").unwrap();
        let (before, began) = (Stamps::of(&files), SystemTime::now());
        assert_eq!(Stamps::of_read(&files, &before, began), before);
        fs::remove_file(&files[0]).unwrap();
        fs::write(&files[1], "1").unwrap();
        let read = Stamps::of_read(&files, &before, began);
        assert!(read.0.values().all(|known| *known == Known::Changed), "{read:?}");
        assert!(read.misses_one_of(&before));
        assert_eq!(Stamps::of(&files).changed_since(&read), files);
    }

    /// A file was missing when it was looked for, was there when it was read, and is missing again.
    #[test]
    fn what_was_read_counts_and_not_what_was_seen_before() {
        let directory = tempfile::tempdir().unwrap();
        let files = [directory.path().join("a")];
        let seen = Stamps::of(&files);
        fs::write(&files[0], "1").unwrap();
        let (read, uncertain) = (Stamps::of(&files), Stamps(BTreeMap::from([(files[0].clone(), Known::Uncertain)])));
        fs::remove_file(&files[0]).unwrap();
        for read in [&read, &uncertain] {
            assert_eq!(Stamps::of(&files).changed_since(&seen.with_read(read)), files, "{read:?}");
        }
        assert_eq!(read.with_read(&uncertain), read);
        assert_eq!(seen.with_read(&Stamps::default()), Stamps::default());
    }

    #[test]
    fn flags_say_who_may_write() {
        for (flags, writes) in [("0100000", false), ("0100001", true), ("0102002", true), ("02004000", false)] {
            assert_eq!(may_write(&format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t1\n")), writes, "{flags}");
        }
    }
}
