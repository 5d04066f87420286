//! Which file is it?
//!
//! The file at the path; the index of a directory; a compressed file beside either, if the client takes it; or the fallback. If the
//! system has all that it needs in memory, the file is found at once. Otherwise all of it is one operation on a thread that may block.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::content_coding::{AcceptedCodings, ContentCoding};
use crate::static_files::blocking;
use crate::static_files::path::FilePath;
use crate::static_files::root::{FileError, OpenFile, OpenTarget, Root};
use crate::static_files::tree::{Tree, TreeKind, Trees};

/// What is looked for.
pub(super) struct FileLookup {
    pub trees: Arc<Trees>,
    pub path: FilePath,
    pub codings: AcceptedCodings,
}

/// What was found.
pub(super) enum FoundTarget {
    File(FoundFile),
    /// A directory whose path has no slash at its end.
    Directory,
}

/// A file to be sent.
pub(super) struct FoundFile {
    pub opened: OpenFile,
    /// The path without the ending of a compressed file: it says the media type.
    pub path: PathBuf,
    pub coding: Option<ContentCoding>,
}

impl FileLookup {
    /// Looks for the file.
    pub async fn run(self) -> Result<FoundTarget, FileError> {
        if let Some(cached) = &self.trees.cached {
            match self.find(cached) {
                Err(FileError::WouldWait) => {}
                found => return found,
            }
        }
        // Boxed, so that files that are found at once do not carry its room.
        let looked_up = Box::pin(blocking::run(move || self.find(&self.trees.complete))).await;
        looked_up.unwrap_or(Err(FileError::TooSlow))
    }

    fn find(&self, tree: &Tree) -> Result<FoundTarget, FileError> {
        match &tree.kind {
            TreeKind::File(name) => self.variant(tree, &tree.root, name).map(FoundTarget::File),
            TreeKind::Directory { index, fallback } => match (self.in_directory(tree, index), fallback) {
                (Err(FileError::Missing), Some(fallback)) => {
                    self.variant(tree, &fallback.parent, &fallback.name).map(FoundTarget::File)
                }
                (found, _) => found,
            },
        }
    }

    fn in_directory(&self, tree: &Tree, index: &[String]) -> Result<FoundTarget, FileError> {
        let (root, path) = (&tree.root, self.path.path());
        if !self.path.is_directory() {
            return match tree.open_below(root, path)? {
                OpenTarget::File(opened) => self.compressed(tree, root, path, opened).map(FoundTarget::File),
                OpenTarget::Directory => Ok(FoundTarget::Directory),
            };
        }
        for name in index {
            match self.variant(tree, root, &path.join(name)) {
                Err(FileError::Missing) => {}
                found => return found.map(FoundTarget::File),
            }
        }
        Err(FileError::Missing)
    }

    fn variant(&self, tree: &Tree, root: &Root, path: &Path) -> Result<FoundFile, FileError> {
        let opened = tree.file(root, path)?;
        self.compressed(tree, root, path, opened)
    }

    /// The best compressed file beside the file at `path`, or the file itself.
    fn compressed(&self, tree: &Tree, root: &Root, path: &Path, opened: OpenFile) -> Result<FoundFile, FileError> {
        for coding in self.codings.iter() {
            let mut beside = OsString::from(path);
            beside.push(ending(coding));
            match tree.file(root, Path::new(&beside)) {
                Ok(opened) => return Ok(FoundFile { opened, path: path.to_owned(), coding: Some(coding) }),
                Err(FileError::WouldWait) => return Err(FileError::WouldWait),
                Err(_) => {}
            }
        }
        Ok(FoundFile { opened, path: path.to_owned(), coding: None })
    }
}

/// What the name of a compressed file ends in.
fn ending(coding: ContentCoding) -> &'static str {
    match coding {
        ContentCoding::Zstd => ".zst",
        ContentCoding::Brotli => ".br",
        ContentCoding::Gzip => ".gz",
    }
}
