//! On which files does a rehearsal work that may change some?
//!
//! On copies, so that what it writes is never seen. They are small, or there is no rehearsal: it is not worth a disk. Those that a server has left that was killed are removed when the next ones are made.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cache::random_name;
use crate::scratch::{ScratchDirectory, ScratchLimits, ScratchSpace};

use crate::runtime::instance::grants::{Grants, Volumes};

/// The most bytes and files of all volumes that are copied.
const MAX_BYTES: u64 = 16 << 20;
const MAX_FILES: usize = 2000;

/// How many directories may be in each other.
const MAX_DEPTH: usize = 64;

/// Copies of the volumes that a guest may write to.
pub(in crate::runtime::warm_start) enum VolumeCopies {
    /// There are none.
    None,
    Some(CopiedVolumes),
}

/// Copies in a directory of their own.
pub(in crate::runtime::warm_start) struct CopiedVolumes {
    above: ScratchDirectory,
    space: Arc<ScratchSpace>,
    /// By the index of the volume.
    copies: BTreeMap<usize, PathBuf>,
}

/// What may still be copied, or compared.
struct Room {
    bytes: u64,
    files: usize,
}

impl Room {
    const ALL: Self = Self { bytes: MAX_BYTES, files: MAX_FILES };

    fn take_file(&mut self) -> io::Result<()> {
        self.files = self.files.checked_sub(1).ok_or_else(too_much)?;
        Ok(())
    }

    fn take_bytes(&mut self, bytes: u64) -> io::Result<()> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(too_much)?;
        Ok(())
    }
}

impl VolumeCopies {
    /// Copies the volumes that guests with these grants may write to.
    pub fn of(grants: &Grants) -> io::Result<Self> {
        let originals = grants.volumes.writable().into_iter();
        let paths = grants.volumes.paths();
        let originals = originals.filter_map(|index| Some((index, paths.get(index)?.1.clone())));
        let originals: BTreeMap<_, _> = originals.collect();
        if originals.is_empty() {
            return Ok(Self::None);
        }
        CopiedVolumes::of(space()?, &originals).map(Self::Some)
    }

    /// Copies them once more.
    pub fn again(&self) -> io::Result<Self> {
        match self {
            Self::None => Ok(Self::None),
            Self::Some(copied) => CopiedVolumes::of(copied.space.clone(), &copied.copies).map(Self::Some),
        }
    }

    /// The same grants, with the copies in place of the volumes.
    pub fn grants(&self, grants: &Grants) -> io::Result<Grants> {
        let Self::Some(copied) = self else { return Ok(grants.clone()) };
        let empty = copied.above.path().join("empty");
        fs::create_dir_all(&empty)?;
        let volumes: Volumes = grants.volumes.with_replaced(&copied.copies, &empty)?;
        Ok(Grants { volumes, ..grants.clone() })
    }

    /// Whether both hold the same. There may be so much now that they are not compared.
    pub fn are_same(&self, other: &Self) -> io::Result<bool> {
        match (self, other) {
            (Self::Some(one), Self::Some(other)) => {
                let mut room = Room::ALL;
                are_same(one.above.path(), other.above.path(), &mut room)
            }
            _ => Ok(true),
        }
    }
}

impl CopiedVolumes {
    fn of(space: Arc<ScratchSpace>, originals: &BTreeMap<usize, PathBuf>) -> io::Result<Self> {
        let above = space.directory(ScratchLimits { bytes: MAX_BYTES, files: MAX_FILES as u64 })?;
        let mut copied = Self { above, space, copies: BTreeMap::new() };
        let mut room = Room::ALL;
        for (index, original) in originals {
            let copy = copied.above.path().join(index.to_string());
            copy_directory(original, &copy, (&mut room, MAX_DEPTH))?;
            copied.copies.insert(*index, copy);
        }
        Ok(copied)
    }
}

/// A place for copies. Its name is known to other users, who may have been faster: then it is another one.
fn space() -> io::Result<Arc<ScratchSpace>> {
    let place = |name: String| ScratchSpace::open(&std::env::temp_dir().join(name), MAX_BYTES);
    let name = format!("wagi-rehearsals-{}", rustix::process::geteuid().as_raw());
    place(name.clone()).or_else(|_| place(format!("{name}-{}", random_name()?)).map_err(io::Error::other))
}

fn too_much() -> io::Error {
    io::Error::other("more than 16 MiB, 2000 files, or 64 directories in each other")
}

fn copy_directory(from: &Path, to: &Path, (room, depth): (&mut Room, usize)) -> io::Result<()> {
    let depth = depth.checked_sub(1).ok_or_else(too_much)?;
    fs::create_dir(to)?;
    // All names first, so that no directory is open while those in it are copied.
    let mut entries = Vec::new();
    for entry in fs::read_dir(from)? {
        room.take_file()?;
        entries.push(entry?);
    }
    for entry in entries {
        match copy_entry(&entry, &to.join(entry.file_name()), (room, depth)) {
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

fn copy_entry(entry: &fs::DirEntry, to: &Path, (room, depth): (&mut Room, usize)) -> io::Result<()> {
    let kind = entry.file_type()?;
    if kind.is_dir() {
        copy_directory(&entry.path(), to, (room, depth))
    } else if kind.is_symlink() {
        symlink(fs::read_link(entry.path())?, to)
    } else if kind.is_file() {
        let original = entry.metadata()?;
        room.take_bytes(original.len())?;
        fs::copy(entry.path(), to)?;
        copy_times(&original, to)
    } else {
        Err(io::Error::other("something that is no file"))
    }
}

/// Whether two directories have the same files in them. A guest may have written any number of bytes: no file is read as a whole.
fn are_same(one: &Path, other: &Path, room: &mut Room) -> io::Result<bool> {
    let mut open = vec![PathBuf::new()];
    while let Some(next) = open.pop() {
        let entries = entries(&one.join(&next), room)?;
        if entries != self::entries(&other.join(&next), room)? {
            return Ok(false);
        }
        for (name, kind) in entries {
            let below = next.join(name);
            let paths = (&*one.join(&below), &*other.join(&below));
            match kind {
                CopiedKind::Directory => open.push(below),
                CopiedKind::Link if fs::read_link(paths.0)? != fs::read_link(paths.1)? => return Ok(false),
                CopiedKind::File if !are_same_files(paths, room)? => return Ok(false),
                _ => {}
            }
        }
    }
    Ok(true)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CopiedKind {
    Directory,
    Link,
    File,
}

/// What is in a directory, in the order of the names.
fn entries(directory: &Path, room: &mut Room) -> io::Result<BTreeMap<OsString, CopiedKind>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        // Those of both count.
        room.take_file()?;
        let entry = entry?;
        let kind = match entry.file_type()? {
            kind if kind.is_dir() => CopiedKind::Directory,
            kind if kind.is_symlink() => CopiedKind::Link,
            _ => CopiedKind::File,
        };
        found.insert(entry.file_name(), kind);
    }
    Ok(found)
}

fn are_same_files((one, other): (&Path, &Path), room: &mut Room) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    let length = one.metadata()?.len();
    if length != other.metadata()?.len() {
        return Ok(false);
    }
    room.take_bytes(length)?;
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    loop {
        let (a, b) = (one.fill_buf()?, other.fill_buf()?);
        let length = a.len().min(b.len());
        if a.get(..length) != b.get(..length) {
            return Ok(false);
        }
        if length == 0 {
            return Ok(a.len() == b.len());
        }
        one.consume(length);
        other.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::warm_start::making::copies::*;

    fn copied(copies: &VolumeCopies) -> &CopiedVolumes {
        match copies {
            VolumeCopies::Some(copied) => copied,
            VolumeCopies::None => panic!("there are copies"),
        }
    }

    fn place() -> (tempfile::TempDir, Arc<ScratchSpace>) {
        let place = tempfile::tempdir().expect("a directory");
        let space = ScratchSpace::open(&place.path().join("copies"), MAX_BYTES).expect("a place for copies");
        (place, space)
    }

    #[test]
    fn copies_hold_the_same_and_are_gone_afterwards() {
        let original = tempfile::tempdir().expect("a directory");
        fs::create_dir(original.path().join("a")).expect("writable");
        fs::write(original.path().join("a/b"), "c").expect("writable");
        symlink("nothing", original.path().join("link")).expect("writable");
        let directories = BTreeMap::from([(0, original.path().to_owned())]);
        let (_place, space) = place();
        let first = VolumeCopies::Some(CopiedVolumes::of(space.clone(), &directories).expect("a copy"));
        let second = first.again().expect("another copy");
        assert!(first.are_same(&second).expect("readable"));
        let copy = &copied(&second).copies[&0];
        for name in ["a", "a/b"] {
            let modified =
                |path: &Path| fs::metadata(path.join(name)).and_then(|found| found.modified()).expect("a time");
            assert_eq!(modified(copy), modified(original.path()), "{name}");
        }
        fs::write(copy.join("a/b"), "d").expect("writable");
        assert!(!first.are_same(&second).expect("readable"));
        assert_eq!(fs::read(original.path().join("a/b")).expect("it is there"), b"c");
        let [one, two] = [&first, &second].map(|copies| copied(copies).above.path().to_owned());
        drop((first, second));
        assert!(!one.exists() && !two.exists());
        let file = fs::File::create(original.path().join("large")).expect("writable");
        file.set_len(MAX_BYTES).expect("writable");
        assert!(CopiedVolumes::of(space, &directories).is_err());
    }

    #[test]
    fn what_a_guest_has_written_is_compared_and_never_read_as_a_whole() {
        let original = tempfile::tempdir().expect("a directory");
        fs::write(original.path().join("a"), vec![7; 100_000]).expect("writable");
        let directories = BTreeMap::from([(0, original.path().to_owned())]);
        let (_place, space) = place();
        let both = |change: &dyn Fn(&Path, usize)| {
            let copies =
                [0, 1].map(|_| VolumeCopies::Some(CopiedVolumes::of(space.clone(), &directories).expect("a copy")));
            for (number, copies) in copies.iter().enumerate() {
                change(&copied(copies).copies[&0], number);
            }
            copies[0].are_same(&copies[1])
        };
        assert!(both(&|_, _| {}).expect("readable"));
        let last = |path: &Path, number: usize| {
            let mut bytes = vec![7; 100_000];
            bytes[99_999] = u8::try_from(number).expect("it is small");
            fs::write(path.join("a"), bytes).expect("writable");
        };
        assert!(!both(&last).expect("readable"), "the last byte");
        let link = |path: &Path, number: usize| symlink(number.to_string(), path.join("b")).expect("writable");
        assert!(!both(&link).expect("readable"), "where a link leads");
        let more = |path: &Path, number: usize| fs::write(path.join(number.to_string()), "").expect("writable");
        assert!(!both(&more).expect("readable"), "the name of a file");
        // Eight gigabytes of zeros, which take no room on the disk.
        let large = |path: &Path, _: usize| {
            fs::File::create(path.join("large")).and_then(|file| file.set_len(8 << 30)).expect("writable");
        };
        assert!(both(&large).is_err());
    }

    #[test]
    fn directories_in_each_other_are_bounded() {
        let original = tempfile::tempdir().expect("a directory");
        let deep: PathBuf = std::iter::repeat_n("d", MAX_DEPTH).collect();
        fs::create_dir_all(original.path().join(&deep)).expect("writable");
        let (_place, space) = place();
        let directories = |path: &Path| BTreeMap::from([(0, path.to_owned())]);
        assert!(CopiedVolumes::of(space.clone(), &directories(&original.path().join("d"))).is_ok());
        assert!(CopiedVolumes::of(space, &directories(original.path())).is_err());
    }
}
