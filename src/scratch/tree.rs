//! How is a directory measured and removed that a stranger has filled?
//!
//! It may be deeper than a path can be long, and deeper than a process may have open files. So it is walked with one open directory,
//! from each directory into those in it and back by `..`. Nothing else changes it meanwhile. Links are not followed.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat, unlinkat};

use crate::scratch::limits::ScratchUse;

/// Opens a directory in another one.
fn enter(directory: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(openat(directory, name, flags, Mode::empty())?)
}

/// What lies in the directory and below it. A file with two names counts once in length.
pub(super) fn measure(root: impl AsFd) -> io::Result<ScratchUse> {
    let (mut found, mut seen) = (ScratchUse::default(), HashSet::new());
    walk(
        root,
        Visit::Measure(&mut |inode, length| {
            found.files += 1;
            if seen.insert(inode) {
                found.bytes += length;
            }
        }),
    )?;
    Ok(found)
}

/// Removes all that lies in the directory and below it.
pub(super) fn clear(root: impl AsFd) -> io::Result<()> {
    walk(root, Visit::Remove)
}

/// What is done on the walk.
enum Visit<'a> {
    /// Everything is shown: inode and length.
    Measure(&'a mut dyn FnMut(u64, u64)),
    Remove,
}

/// A directory on the way down.
struct Level {
    /// Its name in the one above it; empty for the root.
    name: CString,
    /// The directories in it that are not walked yet.
    left: Vec<CString>,
}

fn walk(root: impl AsFd, mut visit: Visit<'_>) -> io::Result<()> {
    let mut current = enter(root, c".")?;
    let mut levels = vec![Level { name: CString::default(), left: visit_entries(&current, &mut visit)? }];
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.left.pop() {
            current = enter(&current, &name)?;
            let left = visit_entries(&current, &mut visit)?;
            levels.push(Level { name, left });
            continue;
        }
        let done = levels.pop();
        if levels.is_empty() {
            break;
        }
        current = enter(&current, c"..")?;
        if let (Visit::Remove, Some(Level { name, .. })) = (&visit, done) {
            unlinkat(&current, &name, AtFlags::REMOVEDIR)?;
        }
    }
    Ok(())
}

/// Visits what is right in a directory. Returns the directories in it.
fn visit_entries(directory: &OwnedFd, visit: &mut Visit<'_>) -> io::Result<Vec<CString>> {
    let mut directories = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let (is_directory, is_file) = (kind == FileType::Directory, kind == FileType::RegularFile);
        if is_directory {
            directories.push(name.to_owned());
        }
        match visit {
            // Only the length of files counts.
            Visit::Measure(show) => show(stat.st_ino, if is_file { stat.st_size.try_into().unwrap_or(0) } else { 0 }),
            Visit::Remove if !is_directory => unlinkat(directory, name, AtFlags::empty())?,
            Visit::Remove => {}
        }
    }
    Ok(directories)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use rustix::fs::mkdirat;

    use crate::scratch::tree::*;

    #[test]
    fn a_tree_is_measured_by_the_length_of_its_files_and_cleared() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path();
        fs::create_dir_all(path.join("a/b")).expect("writable");
        fs::write(path.join("a/one"), "12345").expect("writable");
        fs::hard_link(path.join("a/one"), path.join("two")).expect("writable");
        symlink("/", path.join("a/b/root")).expect("writable");
        File::create(path.join("sparse")).and_then(|file| file.set_len(1000)).expect("writable");
        let root = File::open(path).expect("readable");
        let found = measure(&root).expect("readable");
        assert_eq!((found.bytes, found.files), (1005, 6));
        clear(&root).expect("removable");
        assert_eq!(fs::read_dir(path).expect("still there").count(), 0);
    }

    #[test]
    fn a_tree_deeper_than_paths_and_open_files_is_no_obstacle() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = File::open(directory.path()).expect("readable");
        let mut deepest = OwnedFd::from(root.try_clone().expect("a descriptor"));
        for _ in 0..3000 {
            mkdirat(&deepest, c"directory", Mode::RWXU).expect("writable");
            deepest = enter(&deepest, c"directory").expect("readable");
        }
        assert_eq!(measure(&root).expect("readable").files, 3000);
        clear(&root).expect("removable");
        assert_eq!(fs::read_dir(directory.path()).expect("still there").count(), 0);
    }
}
