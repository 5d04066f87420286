//! In which directories does a change of a file show?
//!
//! In the directory of the file, and in that of each symbolic link on the way to it. So a change shows if an editor renames a
//! file over this one, and if a link is replaced that leads to a directory, as Kubernetes does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The longest chain of links, as the system has it.
const MAX_LINKS: usize = 40;

/// The directories for `files`, as far as they are there.
pub(super) fn of<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> BTreeSet<PathBuf> {
    let mut directories = BTreeSet::new();
    for file in files {
        add(file, &mut directories);
    }
    directories
}

fn add(file: &Path, directories: &mut BTreeSet<PathBuf>) {
    let mut path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    for _ in 0..MAX_LINKS {
        let Some((link, rest)) = first_link(&path) else { break };
        let (Ok(target), Some(parent)) = (fs::read_link(&link), link.parent()) else { break };
        directories.insert(parent.to_owned());
        path = parent.join(target).join(rest);
    }
    // A directory that is not there yet shows in the nearest one that is.
    directories.extend(path.ancestors().skip(1).find(|above| above.is_dir()).map(Path::to_owned));
}

/// The first part of a path that is a symbolic link, and what follows it.
fn first_link(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut so_far = PathBuf::new();
    let mut components = path.components();
    while let Some(component) = components.next() {
        match component {
            Component::ParentDir => drop(so_far.pop()),
            _ => so_far.push(component),
        }
        if fs::symlink_metadata(&so_far).ok()?.is_symlink() {
            return Some((so_far, components.as_path().to_owned()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use crate::startup::reload::directories::*;

    #[test]
    fn links_to_files_and_to_directories_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let in_root = |name: &str| root.join(name);
        fs::create_dir(in_root("..1")).unwrap();
        fs::create_dir(in_root("elsewhere")).unwrap();
        fs::write(in_root("..1/modules.toml"), "").unwrap();
        symlink("..1", in_root("..data")).unwrap();
        symlink("..data/modules.toml", in_root("modules.toml")).unwrap();
        symlink("../modules.toml", in_root("elsewhere/link.toml")).unwrap();
        let found = |name: &str| -> Vec<PathBuf> {
            let with_root = of(&[in_root(name)]);
            with_root.into_iter().filter(|found| found.starts_with(&root)).collect()
        };
        assert_eq!(found("..1/modules.toml"), [in_root("..1")]);
        assert_eq!(found("modules.toml"), [root.clone(), in_root("..1")]);
        assert_eq!(found("elsewhere/link.toml"), [root.clone(), in_root("..1"), in_root("elsewhere")]);
        assert_eq!(found("not/there/yet.toml"), std::slice::from_ref(&root));
        assert_eq!(found("elsewhere/../other.toml"), [in_root("elsewhere/..")]);
        symlink("circle", in_root("circle")).unwrap();
        assert_eq!(found("circle"), std::slice::from_ref(&root));
    }
}
