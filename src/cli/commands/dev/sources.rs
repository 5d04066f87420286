//! What has changed: sources, the configuration, or files that are served? Called by the parent.
//!
//! The files are looked at again and again, and known by what the system says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wagi::config::{Config, ModuleBuild};

/// How often files are looked at. With many files it is less often.
const INTERVAL: Duration = Duration::from_millis(20);
const MAX_INTERVAL: Duration = Duration::from_millis(500);
const MAX_SHARE: u32 = 10;

/// The files of one group, and the depth of directories. More are not looked at.
const MAX_FILES: usize = 10_000;
const MAX_DEPTH: usize = 32;

/// Directories that are never looked into: what tools write there.
const OUTPUTS: [&str; 9] =
    ["target", "node_modules", "dist", "build", "out", "zig-out", "zig-cache", "vendor", "__pycache__"];

/// The endings of sources, for builds without `watch`.
const SOURCES: [&str; 22] = [
    "rs", "toml", "c", "h", "cc", "cpp", "hpp", "go", "mod", "zig", "zon", "ts", "js", "mjs", "json", "py", "php",
    "wat", "wit", "html", "css", "sh",
];

/// What has changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SourceChanges {
    /// The builds whose sources have changed.
    pub builds: BTreeSet<usize>,
    /// Whether files have changed that a reload reads.
    pub configuration: bool,
    /// Whether files have changed that are sent as they are.
    pub pages: bool,
}

impl SourceChanges {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a change of a group of files is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SourceKind {
    /// What is built from these files.
    Builds(BTreeSet<usize>),
    Configuration,
    Pages,
}

/// Files that are looked at together.
struct SourceGroup {
    kind: SourceKind,
    roots: Vec<PathBuf>,
    scope: SourceScope,
    /// The modules that builds write.
    built: Arc<BTreeSet<PathBuf>>,
    stamps: BTreeMap<PathBuf, FileStamp>,
}

/// Which files below a directory count. Hidden ones and the modules that builds write never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SourceScope {
    All,
    /// All but those in the directories of tools.
    Own,
    /// Of these only sources.
    Sources,
}

/// What the system says of a file: device, inode, length and the time of its last change.
type FileStamp = (u64, u64, u64, i64, i64);

/// The files of a configuration and of its builds.
pub(super) struct SourceWatch {
    groups: Vec<SourceGroup>,
}

impl SourceWatch {
    /// The files as they are now.
    pub fn new(config: &Config) -> Self {
        let built = Arc::new(written(&config.builds));
        let files = config.files.iter().filter(|file| !built.contains(&normal(file))).cloned().collect();
        let scripts = config.entries.iter().filter_map(|entry| Some(entry.scripts.as_ref()?.directory.clone()));
        let pages = config.static_files.iter().map(|entry| entry.content.path().clone()).chain(scripts);
        let mut groups = of_builds(&config.builds, &built);
        groups.push(SourceGroup::new(SourceKind::Configuration, files, SourceScope::Own, &built));
        groups.push(SourceGroup::new(SourceKind::Pages, pages.collect(), SourceScope::All, &built));
        let mut watch = Self { groups };
        watch.look();
        watch
    }

    /// Waits for changes.
    pub async fn changed(self) -> (Self, SourceChanges) {
        let mut watch = self;
        loop {
            let began = Instant::now();
            let looking = tokio::task::spawn_blocking(move || {
                let changes = watch.look();
                (watch, changes)
            });
            let Ok((looked, changes)) = looking.await else { return std::future::pending().await };
            watch = looked;
            if !changes.is_empty() {
                return (watch, changes);
            }
            tokio::time::sleep((began.elapsed() * MAX_SHARE).clamp(INTERVAL, MAX_INTERVAL)).await;
        }
    }

    /// What has changed since the last look.
    fn look(&mut self) -> SourceChanges {
        let mut changes = SourceChanges::default();
        for group in &mut self.groups {
            let now = group.now();
            if now == group.stamps {
                continue;
            }
            group.stamps = now;
            match &group.kind {
                SourceKind::Builds(builds) => changes.builds.extend(builds),
                SourceKind::Configuration => changes.configuration = true,
                SourceKind::Pages => changes.pages = true,
            }
        }
        changes
    }
}

/// The sources of builds. Those without `watch` are together built from the whole directory.
fn of_builds(builds: &[ModuleBuild], built: &Arc<BTreeSet<PathBuf>>) -> Vec<SourceGroup> {
    let (mut groups, mut others) = (Vec::new(), BTreeSet::new());
    for (index, build) in builds.iter().enumerate() {
        if build.sources.is_empty() {
            others.insert(index);
        } else {
            let kind = SourceKind::Builds(BTreeSet::from([index]));
            groups.push(SourceGroup::new(kind, build.sources.clone(), SourceScope::Own, built));
        }
    }
    if !others.is_empty() {
        let directory = vec![PathBuf::from(".")];
        groups.push(SourceGroup::new(SourceKind::Builds(others), directory, SourceScope::Sources, built));
    }
    groups
}

/// The modules that builds write, as paths that begin in the working directory, and as whole ones.
fn written(builds: &[ModuleBuild]) -> BTreeSet<PathBuf> {
    let modules = builds.iter().map(|build| normal(&build.module));
    modules.flat_map(|module| [std::path::absolute(&module).unwrap_or_default(), module]).collect()
}

/// A path without `.` in it.
fn normal(path: &Path) -> PathBuf {
    path.components().filter(|part| !matches!(part, std::path::Component::CurDir)).collect()
}

impl SourceGroup {
    fn new(kind: SourceKind, roots: Vec<PathBuf>, scope: SourceScope, built: &Arc<BTreeSet<PathBuf>>) -> Self {
        Self { kind, roots, scope, built: built.clone(), stamps: BTreeMap::new() }
    }

    fn now(&self) -> BTreeMap<PathBuf, FileStamp> {
        let mut found = BTreeMap::new();
        for root in &self.roots {
            self.add(root, MAX_DEPTH, &mut found);
        }
        found
    }

    fn add(&self, path: &Path, depth: usize, found: &mut BTreeMap<PathBuf, FileStamp>) {
        let Ok(about) = fs::metadata(path) else { return };
        if about.is_dir() {
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            for entry in entries.filter(|_| depth > 0) {
                if found.len() < MAX_FILES && self.is_looked_at(&entry) {
                    self.add(&entry.path(), depth - 1, found);
                }
            }
        } else if about.is_file() {
            let stamp = (about.dev(), about.ino(), about.len(), about.mtime(), about.mtime_nsec());
            found.insert(path.to_owned(), stamp);
        }
    }

    /// Whether an entry of a directory counts.
    fn is_looked_at(&self, entry: &fs::DirEntry) -> bool {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Ok(kind) = entry.file_type() else { return false };
        // Editors write hidden files, and files that end in `~`, beside those that they change.
        if name.starts_with('.') || name.ends_with('~') {
            return false;
        }
        if kind.is_dir() {
            return self.scope == SourceScope::All || !OUTPUTS.contains(&&*name);
        }
        let path = entry.path();
        let is_source = || {
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            SOURCES.contains(&ending)
        };
        (self.scope != SourceScope::Sources || is_source()) && !self.built.contains(&normal(&path))
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::dev::sources::*;

    fn group(root: &Path, scope: SourceScope) -> SourceGroup {
        let built = Arc::new(BTreeSet::from([root.join("a.wat")]));
        SourceGroup::new(SourceKind::Builds(BTreeSet::from([0])), vec![root.to_owned()], scope, &built)
    }

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("it can be made");
        fs::write(path, text).expect("writable");
    }

    #[test]
    fn builds_without_sources_look_at_the_directory_together() {
        let build = |sources: &[&str]| ModuleBuild {
            command: "make".to_owned(),
            sources: sources.iter().map(PathBuf::from).collect(),
            module: "a.wasm".into(),
        };
        let groups = of_builds(&[build(&[]), build(&["src"]), build(&[])], &Arc::default());
        let kinds: Vec<&SourceKind> = groups.iter().map(|group| &group.kind).collect();
        let of = |builds: &[usize]| SourceKind::Builds(builds.iter().copied().collect());
        assert_eq!(kinds, [&of(&[1]), &of(&[0, 2])]);
    }

    #[test]
    fn sources_count_and_not_what_tools_and_editors_write() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let write = |name: &str, text: &str| write(directory.path(), name, text);
        write("src/main.rs", "1");
        let mut watch = SourceWatch { groups: vec![group(directory.path(), SourceScope::Sources)] };
        assert!(!watch.look().is_empty());
        for ignored in ["a.wat", "a.o", ".swp.rs", "main.rs~", "target/x.rs", ".git/x.rs"] {
            write(ignored, "1");
            assert!(watch.look().is_empty(), "{ignored}");
        }
        for counted in ["b.wat", "Cargo.toml", "src/main.rs", "src/deep/er/x.c"] {
            write(counted, "22");
            assert_eq!(watch.look().builds, BTreeSet::from([0]), "{counted}");
            assert!(watch.look().is_empty(), "{counted}");
        }
        fs::remove_file(directory.path().join("b.wat")).expect("it is there");
        assert!(!watch.look().is_empty());
    }

    #[test]
    fn a_directory_that_is_named_counts_without_the_module_that_is_built_in_it() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let of = |scope: SourceScope| SourceWatch { groups: vec![group(directory.path(), scope)] };
        let (mut named, mut pages) = (of(SourceScope::Own), of(SourceScope::All));
        for (name, is_named, is_page) in [
            ("a.wat", false, false),
            ("data.bin", true, true),
            ("build/x.js", false, true),
            (".hidden", false, false),
            ("sub/b.wat", true, true),
        ] {
            write(directory.path(), name, "1");
            assert_eq!((!named.look().is_empty(), !pages.look().is_empty()), (is_named, is_page), "{name}");
        }
    }

    #[test]
    fn a_module_that_is_built_is_known_by_each_way_to_it() {
        let build = ModuleBuild { command: "make".to_owned(), sources: Vec::new(), module: "./out/a.wasm".into() };
        let whole = std::env::current_dir().expect("a directory").join("out/a.wasm");
        assert_eq!(written(&[build]), BTreeSet::from(["out/a.wasm".into(), whole]));
    }
}
