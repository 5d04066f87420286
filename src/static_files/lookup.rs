//! Which file is it?
//!
//! The file at the path; the index of a directory; a compressed file beside either, if the client takes it; or the fallback. If the
//! system has all that it needs in memory, the file is found at once. Otherwise all of it is one operation on a thread that may block.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::content::coding::{AcceptedCodings, ContentCoding};
use crate::static_files::blocking;
use crate::static_files::path::FilePath;
use crate::static_files::root::{FileError, OpenFile, OpenTarget, Root};
use crate::static_files::tree::{Tree, TreeKind, Trees};

/// What is looked for.
pub(super) struct FileLookup {
    pub trees: Arc<Trees>,
    /// `None` if no file can have the name.
    pub path: Option<FilePath>,
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
        let Some(file) = &self.path else { return Err(FileError::Missing) };
        let (root, path) = (&tree.root, file.path());
        if !file.is_directory() {
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{FileExt, symlink};
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

    use crate::config::StaticContent;
    use crate::static_files::lookup::*;

    /// How often each of the two attacks is tried.
    const TRIES: usize = 50_000;

    /// Pieces of paths that lead out where paths are put together carelessly.
    const PIECES: [&str; 24] = [
        "/",
        "/",
        "/",
        "..",
        "%2e%2e",
        ".%2e",
        "%2f",
        "%2F",
        "\\",
        "%5c",
        "%00",
        ".",
        "sub",
        "up",
        "outside",
        "absolute",
        "deep",
        "secret",
        "etc",
        "passwd",
        "..;",
        "%252e%252e",
        "%c0%ae",
        ".hidden",
    ];

    /// Numbers that look random and are the same in every run (Knuth's 64-bit multiplier).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % limit
        }
    }

    /// A directory in which all files are `public`, beside one with a `secret`, and with symlinks between both.
    fn site() -> tempfile::TempDir {
        let site = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| site.path().join(name);
        fs::create_dir_all(path("public/sub/deep")).expect("writable");
        for name in ["public/sub/secret", "public/sub/deep/secret", "public/index.html", "public/etc"] {
            fs::write(path(name), "public").expect("writable");
        }
        for name in ["secret", "public/.hidden"] {
            fs::write(path(name), "secret").expect("writable");
        }
        for (target, link) in [
            ("../secret", "public/outside"),
            ("..", "public/up"),
            ("../..", "public/sub/up"),
            ("/etc/passwd", "public/absolute"),
            ("up/secret", "public/passwd"),
            ("sub/deep", "public/deep"),
        ] {
            symlink(target, path(link)).expect("a symlink");
        }
        site
    }

    fn trees(site: &Path) -> Arc<Trees> {
        let content =
            StaticContent::Directory { path: site.join("public"), index: vec!["index.html".into()], fallback: None };
        Arc::new(Tree::open(&content).expect("a directory").into())
    }

    /// The contents of what both kinds of look-ups find.
    fn contents(trees: &Arc<Trees>, path: &str) -> Vec<String> {
        let Ok(path) = FilePath::parse(path) else { return Vec::new() };
        let lookup = FileLookup { trees: trees.clone(), path: Some(path), codings: AcceptedCodings::default() };
        let content = |tree: &Tree| match lookup.find(tree) {
            Ok(FoundTarget::File(found)) => {
                let mut content = [0; 64];
                let read = found.opened.file.read_at(&mut content, 0).expect("readable");
                Some(String::from_utf8_lossy(&content[..read]).into_owned())
            }
            _ => None,
        };
        [Some(&trees.complete), trees.cached.as_ref()].into_iter().flatten().filter_map(content).collect()
    }

    #[test]
    fn no_path_leads_out_of_the_directory() {
        let (site, mut dice, mut found) = (site(), Dice(7), 0);
        let trees = trees(site.path());
        for _ in 0..TRIES {
            let path: String = (0..=dice.below(9)).map(|_| PIECES[dice.below(PIECES.len())]).collect();
            let contents = contents(&trees, &format!("/{path}"));
            assert!(contents.iter().all(|content| content == "public"), "/{path}: {contents:?}");
            found += contents.len();
        }
        assert!(found > TRIES / 100, "{found}");
    }

    #[test]
    fn a_directory_that_becomes_a_symlink_again_and_again_never_leads_out() {
        let (site, mut dice, is_over) = (site(), Dice(8), AtomicBool::new(false));
        let path = |name: &str| site.path().join("public").join(name);
        symlink("../..", path("sub/link")).expect("a symlink");
        let trees = trees(site.path());
        let steps =
            [("sub/deep", "sub/aside"), ("sub/link", "sub/deep"), ("sub/deep", "sub/link"), ("sub/aside", "sub/deep")];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    for (from, to) in steps {
                        fs::rename(path(from), path(to)).expect("it can be renamed");
                    }
                }
            });
            let names =
                ["/sub/deep/secret", "/deep/secret", "/sub/link/secret", "/sub/aside/../secret", "/deep/../secret"];
            let escaped = (0..TRIES).find_map(|_| {
                let name = names[dice.below(names.len())];
                contents(&trees, name).into_iter().find(|content| content != "public").map(|content| (name, content))
            });
            is_over.store(true, Relaxed);
            assert_eq!(escaped, None);
        });
    }

    #[tokio::test]
    async fn what_is_in_memory_is_found_without_another_thread() {
        let site = site();
        let trees = trees(site.path());
        let cached = trees.cached.as_ref().expect("temporary files are on a disk or in memory");
        let lookup = |path: &str| FileLookup {
            trees: trees.clone(),
            path: Some(FilePath::parse(path).expect("a path")),
            codings: AcceptedCodings::default(),
        };
        for path in ["/sub/secret", "/", "/deep/secret"] {
            assert!(matches!(lookup(path).run().await, Ok(FoundTarget::File(_))), "{path}");
            assert!(matches!(lookup(path).find(cached), Ok(FoundTarget::File(_))), "{path}");
        }
        assert!(matches!(lookup("/sub").find(cached), Ok(FoundTarget::Directory)));
        assert!(matches!(lookup("/outside").find(cached), Err(FileError::WouldWait)));
        assert!(matches!(lookup("/outside").run().await, Err(FileError::Refused(_))));
        assert!(matches!(lookup("/sub/missing").run().await, Err(FileError::Missing)));
    }
}
