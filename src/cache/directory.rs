//! How is a directory made that only its owner may write to, and how is that checked again?
//!
//! The server runs compiled code without checking it, and a file may be replaced after it was checked. So a user who can write
//! to a cache can do everything that the server can do.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::format::hex;

/// Creates a directory and those above it for their owner alone, as far as they do not exist.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}

/// Why other users can change what is in a directory.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exposure {
    /// It belongs to another user.
    #[error("`{}` belongs to the user {owner}, and the server runs as {us}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner's user ID.
        owner: u32,
        /// The server's user ID.
        us: u32,
    },
    /// Other users than its owner may write to it.
    #[error("others may write to `{}`: its mode is {mode:03o}", path.display())]
    Writable {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl Exposure {
    /// What the operator can do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Foreign { path, us, .. } => format!("`chown {us} {}`, or name another directory", path.display()),
            Self::Writable { path, .. } => format!("`chmod go-w {}`", path.display()),
        }
    }
}

/// A random name for a file that is being written.
pub(crate) fn random_name() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(hex(&bytes))
}

/// Whether other users than the server's and root can change what is in a directory.
pub(crate) fn exposure(path: &Path) -> io::Result<Option<Exposure>> {
    fs::metadata(path).map(|found| exposure_of(path, &found))
}

/// The same of a directory whose metadata is known.
pub(crate) fn exposure_of(path: &Path, found: &Metadata) -> Option<Exposure> {
    let (owner, mode, us) = (found.uid(), found.mode() & 0o7777, rustix::process::geteuid().as_raw());
    match only_ours_to_write(found) {
        true => None,
        false if owner != us && owner != 0 => Some(Exposure::Foreign { path: path.to_owned(), owner, us }),
        false => Some(Exposure::Writable { path: path.to_owned(), mode }),
    }
}

/// Whether only the server's user and root can write to a file or directory.
pub(crate) fn only_ours_to_write(found: &Metadata) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    let (owner, us) = (found.uid(), rustix::process::geteuid().as_raw());
    (owner == us || owner == 0) && found.mode() & OTHERS_WRITE == 0
}

#[cfg(test)]
mod tests {
    use crate::cache::directory::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_directory_is_made_for_its_owner_alone_and_those_above_it_too() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path().join("a/b");
        create(&path).expect("it can be made");
        create(&path).expect("it may be there");
        for made in [path.as_path(), path.parent().expect("a parent")] {
            let mode = fs::metadata(made).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", made.display());
        }
        assert_eq!(exposure(&path).expect("there"), None);
    }

    #[test]
    fn a_directory_others_may_write_to_is_exposed() {
        let root = tempfile::tempdir().expect("a temporary directory");
        for (mode, exposed) in [(0o700, false), (0o755, false), (0o775, true), (0o702, true), (0o1777, true)] {
            fs::set_permissions(root.path(), fs::Permissions::from_mode(mode)).expect("it is ours");
            let found = exposure(root.path()).expect("there");
            assert_eq!(found.is_some(), exposed, "{mode:o}");
            if let Some(found) = found {
                assert!(found.help().contains("chmod go-w"), "{}", found.help());
            }
        }
        assert!(exposure(&root.path().join("missing")).is_err());
    }
}
