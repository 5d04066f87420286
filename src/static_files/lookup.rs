//! Which file is it?
//!
//! The file at the path; the index of a directory; a compressed file beside either, if the client takes it; or the fallback. All
//! of it is one operation on a thread that may block.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::content_coding::{AcceptedCodings, ContentCoding};
use crate::static_files::blocking;
use crate::static_files::path::FilePath;
use crate::static_files::root::{FileError, OpenFile, OpenTarget, Root};
use crate::static_files::tree::{Tree, TreeKind};

/// What is looked for.
pub(super) struct FileLookup {
    pub tree: Arc<Tree>,
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
        let looked_up = blocking::run(move || self.find()).await;
        looked_up.unwrap_or(Err(FileError::TooSlow))
    }

    fn find(&self) -> Result<FoundTarget, FileError> {
        let Tree { root, kind, .. } = &*self.tree;
        match kind {
            TreeKind::File(name) => self.variant(root, name).map(FoundTarget::File),
            TreeKind::Directory { index, fallback } => match (self.in_directory(root, index), fallback) {
                (Err(FileError::Missing), Some(fallback)) => {
                    self.variant(&fallback.parent, &fallback.name).map(FoundTarget::File)
                }
                (found, _) => found,
            },
        }
    }

    fn in_directory(&self, root: &Root, index: &[String]) -> Result<FoundTarget, FileError> {
        let path = self.path.path();
        if !self.path.is_directory() {
            return match self.tree.open_below(root, path)? {
                OpenTarget::File(opened) => Ok(FoundTarget::File(self.compressed(root, path, opened))),
                OpenTarget::Directory => Ok(FoundTarget::Directory),
            };
        }
        for name in index {
            match self.variant(root, &path.join(name)) {
                Err(FileError::Missing) => {}
                found => return found.map(FoundTarget::File),
            }
        }
        Err(FileError::Missing)
    }

    fn variant(&self, root: &Root, path: &Path) -> Result<FoundFile, FileError> {
        self.tree.file(root, path).map(|opened| self.compressed(root, path, opened))
    }

    /// The best compressed file beside the file at `path`, or the file itself.
    fn compressed(&self, root: &Root, path: &Path, opened: OpenFile) -> FoundFile {
        for coding in self.codings.iter() {
            let mut beside = OsString::from(path);
            beside.push(ending(coding));
            if let Ok(opened) = self.tree.file(root, Path::new(&beside)) {
                return FoundFile { opened, path: path.to_owned(), coding: Some(coding) };
            }
        }
        FoundFile { opened, path: path.to_owned(), coding: None }
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
