//! On which files does a rehearsal work that may change some?
//!
//! On copies, so that what it writes is never seen. They are small, or there is no rehearsal: it is not worth a disk. Those that a server has left that was killed are removed when the next ones are made.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::scratch::{ScratchDirectory, ScratchLimits, ScratchSpace};

use crate::runtime::instance::grants::{Grants, Volumes};

/// The most bytes and files of all volumes that are copied.
const MAX_BYTES: u64 = 16 << 20;
const MAX_FILES: usize = 2000;

/// Copies of the volumes that a guest may write to.
pub(in crate::runtime::warm_start) struct VolumeCopies {
    above: ScratchDirectory,
    space: Arc<ScratchSpace>,
    /// By the index of the volume.
    copies: BTreeMap<usize, PathBuf>,
}

/// What may still be copied.
struct Room {
    bytes: u64,
    files: usize,
}

impl VolumeCopies {
    /// Copies the volumes that guests with these grants may write to.
    pub fn of(grants: &Grants) -> io::Result<Self> {
        let originals = grants.volumes.writable().into_iter();
        let paths = grants.volumes.paths();
        let originals = originals.filter_map(|index| Some((index, paths.get(index)?.1.clone())));
        let user = rustix::process::geteuid().as_raw();
        let space = ScratchSpace::open(&std::env::temp_dir().join(format!("wagi-rehearsals-{user}")), MAX_BYTES);
        Self::of_directories(space.map_err(io::Error::other)?, originals.collect())
    }

    /// Copies them once more.
    pub fn again(&self) -> io::Result<Self> {
        Self::of_directories(self.space.clone(), self.copies.clone())
    }

    fn of_directories(space: Arc<ScratchSpace>, originals: BTreeMap<usize, PathBuf>) -> io::Result<Self> {
        let above = space.directory(ScratchLimits { bytes: MAX_BYTES, files: MAX_FILES as u64 })?;
        let mut copied = Self { above, space, copies: BTreeMap::new() };
        let mut room = Room { bytes: MAX_BYTES, files: MAX_FILES };
        for (index, original) in originals {
            let copy = copied.above.path().join(index.to_string());
            copy_directory(&original, &copy, &mut room)?;
            copied.copies.insert(index, copy);
        }
        Ok(copied)
    }

    /// The same grants, with the copies in place of the volumes.
    pub fn grants(&self, grants: &Grants) -> io::Result<Grants> {
        let empty = self.above.path().join("empty");
        fs::create_dir_all(&empty)?;
        let volumes: Volumes = grants.volumes.with_replaced(&self.copies, &empty)?;
        Ok(Grants { volumes, ..grants.clone() })
    }

    /// Whether both hold the same.
    pub fn are_same(&self, other: &Self) -> io::Result<bool> {
        Ok(content(self.above.path())? == content(other.above.path())?)
    }
}

fn too_much() -> io::Error {
    io::Error::other("more than 16 MiB or 2000 files")
}

fn copy_directory(from: &Path, to: &Path, room: &mut Room) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        room.files = room.files.checked_sub(1).ok_or_else(too_much)?;
        let entry = entry?;
        match copy_entry(&entry, &to.join(entry.file_name()), room) {
            // Requests are served meanwhile, which may remove files.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => copied?,
        }
    }
    copy_times(&fs::metadata(from)?, to)
}

/// Guests see these times.
fn copy_times(original: &fs::Metadata, to: &Path) -> io::Result<()> {
    let times = fs::FileTimes::new().set_modified(original.modified()?).set_accessed(original.accessed()?);
    fs::File::open(to)?.set_times(times)
}

fn copy_entry(entry: &fs::DirEntry, to: &Path, room: &mut Room) -> io::Result<()> {
    let kind = entry.file_type()?;
    if kind.is_dir() {
        copy_directory(&entry.path(), to, room)
    } else if kind.is_symlink() {
        symlink(fs::read_link(entry.path())?, to)
    } else if kind.is_file() {
        let original = entry.metadata()?;
        room.bytes = room.bytes.checked_sub(original.len()).ok_or_else(too_much)?;
        fs::copy(entry.path(), to)?;
        copy_times(&original, to)
    } else {
        Err(io::Error::other("something that is no file"))
    }
}

/// All files below a directory, and what they hold.
fn content(directory: &Path) -> io::Result<BTreeMap<PathBuf, Option<Vec<u8>>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next)? {
            let entry = entry?;
            let name = entry.path().strip_prefix(directory).map(Path::to_owned).unwrap_or_default();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            }
            let bytes = if kind.is_file() { Some(fs::read(entry.path())?) } else { None };
            found.insert(name, bytes);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use crate::runtime::warm_start::making::copies::*;

    #[test]
    fn copies_hold_the_same_and_are_gone_afterwards() {
        let original = tempfile::tempdir().expect("a directory");
        fs::create_dir(original.path().join("a")).expect("writable");
        fs::write(original.path().join("a/b"), "c").expect("writable");
        let directories = || BTreeMap::from([(0, original.path().to_owned())]);
        let place = tempfile::tempdir().expect("a directory");
        let space = ScratchSpace::open(&place.path().join("copies"), MAX_BYTES).expect("a place for copies");
        let first = VolumeCopies::of_directories(space.clone(), directories()).expect("a copy");
        let second = first.again().expect("another copy");
        assert!(first.are_same(&second).expect("readable"));
        for name in ["a", "a/b"] {
            let modified =
                |path: &Path| fs::metadata(path.join(name)).and_then(|found| found.modified()).expect("a time");
            assert_eq!(modified(&second.copies[&0]), modified(original.path()), "{name}");
        }
        fs::write(second.copies[&0].join("a/b"), "d").expect("writable");
        assert!(!first.are_same(&second).expect("readable"));
        assert_eq!(fs::read(original.path().join("a/b")).expect("it is there"), b"c");
        let (one, two) = (first.above.path().to_owned(), second.above.path().to_owned());
        drop((first, second));
        assert!(!one.exists() && !two.exists());
        let file = fs::File::create(original.path().join("large")).expect("writable");
        file.set_len(MAX_BYTES).expect("writable");
        assert!(VolumeCopies::of_directories(space, directories()).is_err());
    }
}
