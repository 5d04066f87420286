//! What does an entry serve?
//!
//! One file, or a directory with the names that stand for directories and the file for paths that do not exist. All of them are
//! opened when the configuration is loaded.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::StaticContent;
use crate::route::ScriptRules;

use crate::static_files::root::{FileError, OpenFile, OpenTarget, Root};
use crate::static_files::scripts::sources;

/// Where the files of an entry are, for both kinds of look-ups.
pub(super) struct Trees {
    pub complete: Tree,
    /// For look-ups that never wait.
    pub cached: Option<Tree>,
}

/// Where the files of an entry are.
#[derive(Clone)]
pub(super) struct Tree {
    pub root: Root,
    pub kind: TreeKind,
    /// Which of them are scripts, which are never sent.
    pub scripts: Option<Arc<ScriptRules>>,
}

/// What is served of a directory.
#[derive(Clone)]
pub(super) enum TreeKind {
    /// One file.
    File(PathBuf),
    /// All files.
    Directory { index: Vec<String>, fallback: Option<NamedFile> },
}

/// A file that the configuration names: that of `file` or `fallback`.
#[derive(Clone)]
pub(super) struct NamedFile {
    pub parent: Root,
    pub name: PathBuf,
}

impl From<Tree> for Trees {
    fn from(complete: Tree) -> Self {
        let cached = complete.without_waiting();
        Self { complete, cached }
    }
}

impl Tree {
    /// The same files, for look-ups that never wait.
    fn without_waiting(&self) -> Option<Self> {
        let mut cached = Self { root: self.root.without_waiting()?, ..self.clone() };
        if let TreeKind::Directory { fallback: Some(fallback), .. } = &mut cached.kind {
            fallback.parent = fallback.parent.without_waiting()?;
        }
        Some(cached)
    }

    /// Opens the directory of an entry, and checks that the files that it names can be opened.
    pub fn open(content: &StaticContent) -> io::Result<Self> {
        Ok(match content {
            StaticContent::File(path) => {
                let NamedFile { parent, name } = NamedFile::open(path)?;
                Self { root: parent, kind: TreeKind::File(name), scripts: None }
            }
            StaticContent::Directory { path, index, fallback } => {
                let fallback = fallback.as_deref().map(NamedFile::open).transpose()?;
                let kind = TreeKind::Directory { index: index.clone(), fallback };
                Self { root: Root::open(path)?, kind, scripts: None }
            }
        })
    }

    /// Opens what is at `path` below `root`.
    pub fn open_below(&self, root: &Root, path: &Path) -> Result<OpenTarget, FileError> {
        match &self.scripts {
            None => root.open_below(path),
            Some(rules) => sources::open_other(root, rules, path),
        }
    }

    /// Opens the regular file at `path` below `root`.
    pub fn file(&self, root: &Root, path: &Path) -> Result<OpenFile, FileError> {
        self.open_below(root, path)?.file()
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
