//! What does an entry serve?
//!
//! One file, or a directory with the names that stand for directories and the file for paths that do not exist. All of them are
//! opened when the configuration is loaded.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::StaticContent;
use crate::static_files::root::{FileError, Root};

/// Where the files of an entry are.
pub(super) struct Tree {
    pub root: Root,
    pub kind: TreeKind,
}

/// What is served of a directory.
pub(super) enum TreeKind {
    /// One file.
    File(PathBuf),
    /// All files.
    Directory { index: Vec<String>, fallback: Option<NamedFile> },
}

/// A file that the configuration names: that of `file` or `fallback`.
pub(super) struct NamedFile {
    pub parent: Root,
    pub name: PathBuf,
}

impl Tree {
    /// Opens the directory of an entry, and checks that the files that it names can be opened.
    pub fn open(content: &StaticContent) -> io::Result<Self> {
        Ok(match content {
            StaticContent::File(path) => {
                let NamedFile { parent, name } = NamedFile::open(path)?;
                Self { root: parent, kind: TreeKind::File(name) }
            }
            StaticContent::Directory { path, index, fallback } => {
                let fallback = fallback.as_deref().map(NamedFile::open).transpose()?;
                Self { root: Root::open(path)?, kind: TreeKind::Directory { index: index.clone(), fallback } }
            }
        })
    }
}

impl NamedFile {
    fn open(path: &Path) -> io::Result<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = Root::open(parent.unwrap_or(Path::new(".")))?;
        let name = PathBuf::from(path.file_name().ok_or(io::ErrorKind::NotFound)?);
        parent.file(&name).map_err(|error| match error {
            FileError::Missing => io::ErrorKind::NotFound.into(),
            error => io::Error::other(error.to_string()),
        })?;
        Ok(Self { parent, name })
    }
}
