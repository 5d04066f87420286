//! Caches with a little of everything: what is listed of them, and what pruning leaves.

use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::config::Sha256;

use crate::cache::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Site {
    root: tempfile::TempDir,
}

fn digest(digit: &str) -> String {
    digit.repeat(64)
}

fn sha256(digit: &str) -> Sha256 {
    digest(digit).parse().expect("a digest")
}

impl Site {
    fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a temporary directory") }
    }

    fn caches(&self) -> Caches {
        Caches { modules: Some(self.root.path().join("m")), compiled: Some(self.root.path().join("c")) }
    }

    fn modules(&self) -> PathBuf {
        self.root.path().join("m")
    }

    /// A file that was written and last used this number of days ago.
    fn file(&self, path: impl AsRef<Path>, content: &[u8], days: u32) -> PathBuf {
        let path = self.root.path().join(path);
        create(path.parent().expect("a parent")).expect("writable");
        fs::write(&path, content).expect("writable");
        age(&path, days);
        path
    }

    fn record(&self, reference: &str, module: &str, manifest: &str, days: u32) {
        let manifests = vec![sha256(manifest)];
        let record = ReferenceRecord { module: sha256(module), size: 4, reference: reference.to_owned(), manifests };
        self.file(format!("m/{RECORDS}/{reference}"), record.to_string().as_bytes(), days);
    }

    fn listed(&self) -> Vec<(EntryKind, String, u64)> {
        let entries = list(&self.caches()).expect("readable");
        entries.into_iter().map(|entry| (entry.kind, entry.name, entry.bytes)).collect()
    }

    fn pruned(&self, days: u32) -> (Vec<String>, Vec<String>) {
        let pruned = prune(&self.caches(), DAY * days).expect("no other process fills it");
        assert!(pruned.failed.is_empty(), "{:?}", pruned.failed);
        let names =
            |entries: Vec<CacheEntry>| entries.into_iter().map(|entry| format!("{} {}", entry.kind, entry.name));
        (names(pruned.removed).collect(), names(pruned.in_use).collect())
    }
}

fn age(path: &Path, days: u32) {
    let time = SystemTime::now() - DAY * days;
    let times = FileTimes::new().set_accessed(time).set_modified(time);
    File::open(path).and_then(|file| file.set_times(times)).expect("it is ours");
}

#[test]
fn what_is_not_there_is_empty() {
    let site = Site::new();
    assert_eq!(site.listed(), []);
    assert_eq!(site.pruned(0), (vec![], vec![]));
    assert!(!site.modules().exists());
    assert!(list(&Caches::default()).expect("nothing to read").is_empty());
}

#[test]
fn everything_is_listed_as_what_it_is() {
    let site = Site::new();
    site.record("tag", "a", "b", 1);
    for (name, content) in [
        (digest("a"), &b"\0asm"[..]),
        (digest("b"), b"{}"),
        (digest("c"), b"(module)"),
        (digest("d"), b"{\"index\":1}"),
        (digest("e"), b"text"),
        ("README".to_owned(), b"not ours"),
    ] {
        site.file(format!("m/{name}"), content, 1);
    }
    site.file(format!("m/{INVOICES}/i"), b"[bindle]\nname='a/b'\nversion='1.0.0'", 1);
    site.file(format!("m/{ASSETS}/i/dir/own"), b"12345", 1);
    site.file(format!("m/{VIEWS}/v/own"), b"123", 1);
    fs::hard_link(site.modules().join(digest("e")), site.modules().join(VIEWS).join("v/shown"))
        .expect("same file system");
    site.file(format!("m/{PARTIAL}/p"), b"12", 1);
    site.file("c/modules/engine/code", b"123456", 1);
    site.file("c/modules/engine/code.stats", b"x", 1);
    site.file("c/modules/engine/code.wip-x", b"1", 1);
    site.file("c/ours.cwasm", b"1234567", 1);
    site.file("c/ours.partial", b"12", 1);
    site.file("c/README", b"not ours", 1);
    let expected = [
        (EntryKind::Module, "tag".to_owned(), 4),
        (EntryKind::Module, digest("c"), 8),
        (EntryKind::Manifest, "tag".to_owned(), 2),
        (EntryKind::Manifest, digest("d"), 11),
        (EntryKind::Tag, "tag".to_owned(), 150),
        (EntryKind::Invoice, "a/b/1.0.0".to_owned(), 35),
        (EntryKind::Asset, digest("e"), 4),
        (EntryKind::Assets, "a/b/1.0.0".to_owned(), 5),
        (EntryKind::View, "v".to_owned(), 3),
        (EntryKind::Partial, "engine/code.wip-x".to_owned(), 1),
        (EntryKind::Partial, "ours.partial".to_owned(), 2),
        (EntryKind::Partial, "p".to_owned(), 2),
        (EntryKind::Compiled, "engine/code".to_owned(), 6),
        (EntryKind::Compiled, "ours.cwasm".to_owned(), 7),
    ];
    let mut expected = Vec::from(expected);
    let mut listed = site.listed();
    expected.sort();
    listed.sort();
    assert_eq!(listed, expected);
}

#[test]
fn looking_is_no_use() {
    let site = Site::new();
    let unknown = site.file(format!("m/{}", digest("c")), b"(module)", 40);
    for _ in 0..2 {
        let entries = list(&site.caches()).expect("readable");
        assert!(entries.iter().all(|entry| entry.used.elapsed().is_ok_and(|age| age > DAY * 39)), "{entries:?}");
    }
    mark_accessed(&File::open(&unknown).expect("there"));
    assert_eq!(site.pruned(30), (vec![], vec![]));
}

#[test]
fn what_was_not_used_is_pruned_and_what_was_used_stays_with_what_leads_to_it() {
    let site = Site::new();
    site.record("old", "a", "b", 40);
    site.record("used", "c", "d", 40);
    for (digit, days) in [("a", 40), ("b", 40), ("c", 3), ("d", 40)] {
        site.file(format!("m/{}", digest(digit)), b"\0asm", days);
    }
    site.file(format!("m/{INVOICES}/i"), b"", 40);
    site.file(format!("m/{ASSETS}/i/file"), b"12345", 2);
    site.file(format!("m/{PARTIAL}/p"), b"12", 40);
    site.file("c/modules/old/code", b"123456", 40);
    site.file("c/modules/old/code.stats", b"x", 40);
    site.file("c/modules/new/code", b"123456", 40);
    site.file("c/modules/new/code.stats", b"x", 1);
    for (name, days) in [("old.cwasm", 40), ("new.cwasm", 1), ("old.partial", 40)] {
        site.file(format!("c/{name}"), b"1234567", days);
    }
    let (mut removed, in_use) = site.pruned(30);
    removed.sort();
    assert_eq!(
        removed,
        [
            "assets i",
            "compiled old.cwasm",
            "compiled old/code",
            "invoice i",
            "manifest old",
            "module old",
            "partial old.partial",
            "partial p",
            "tag old"
        ]
    );
    assert!(in_use.is_empty());
    let left: Vec<String> = site.listed().into_iter().map(|(kind, name, _)| format!("{kind} {name}")).collect();
    assert_eq!(left, ["module used", "manifest used", "tag used", "compiled new.cwasm", "compiled new/code"]);
    assert!(!site.root.path().join("c/modules/old").exists());
    assert_eq!(site.pruned(0).0.len(), 5);
    assert_eq!(site.listed(), []);
}

#[test]
fn what_a_server_uses_stays_however_old() {
    let site = Site::new();
    site.record("served", "a", "b", 40);
    let module = site.file(format!("m/{}", digest("a")), b"\0asm", 40);
    site.file(format!("m/{}", digest("b")), b"{}", 40);
    let asset = site.file(format!("m/{}", digest("c")), b"shown", 40);
    let view = site.modules().join(VIEWS).join("v");
    create(&view).expect("writable");
    fs::hard_link(&asset, view.join("file")).expect("same file system");
    age(&asset, 40);
    age(&view, 40);
    let held = [CacheLock::shared(&module).expect("there"), CacheLock::shared(&view).expect("there")];
    let (removed, in_use) = site.pruned(0);
    assert_eq!(removed, [] as [String; 0]);
    assert_eq!(in_use, ["view v", "module served"]);
    drop(held);
    assert_eq!(site.pruned(0).0.len(), 5);
    assert_eq!(site.listed(), []);
}

#[test]
fn a_cache_that_is_being_filled_is_waited_for() {
    let site = Site::new();
    site.file(format!("m/{PARTIAL}/p"), b"12", 40);
    let filling = CacheLock::shared(&site.modules()).expect("there");
    std::thread::scope(|scope| {
        let pruning = scope.spawn(|| site.pruned(0));
        assert!(site.modules().join(PARTIAL).join("p").exists());
        drop(filling);
        assert_eq!(pruning.join().expect("no panic").0, ["partial p"]);
    });
}

#[test]
fn code_that_was_left_half_written_is_swept_when_its_writer_must_be_gone() {
    let site = Site::new();
    let old = site.file("c/modules/engine/a.wip-atomic-write-mod", b"x", 1);
    let new = site.file("c/modules/engine/b.wip-atomic-write-mod", b"x", 0);
    let code = site.file("c/modules/engine/c", b"x", 1);
    let old_of_ours = site.file("c/old.partial", b"x", 1);
    let ours = [site.file("c/new.partial", b"x", 0), site.file("c/ours.cwasm", b"x", 400)];
    sweep_compiled(&site.root.path().join("c"));
    assert_eq!([old, new, code, old_of_ours].map(|path| path.exists()), [false, true, true, false]);
    assert!(ours.iter().all(|path| path.exists()));
}

/// The file has holes and takes no room.
#[test]
fn of_our_code_the_oldest_goes_when_there_is_too_much() {
    let site = Site::new();
    let named = |name: &str, days| {
        let path = site.file(format!("c/{name}.cwasm"), b"", days);
        File::options().write(true).open(&path).and_then(|file| file.set_len(900 << 20)).expect("a file with holes");
        age(&path, days);
        path
    };
    let files = [named("c", 1), named("a", 3), named("b", 2)];
    sweep_compiled(&site.root.path().join("c"));
    assert_eq!(files.each_ref().map(|path| path.exists()), [true, false, true]);
    let snapshots = [named("snapshot-a", 0), named("snapshot-b", 0)];
    sweep_compiled(&site.root.path().join("c"));
    assert_eq!(files.map(|path| path.exists()), [true, false, true], "snapshots go first");
    assert_eq!(snapshots.map(|path| path.exists()), [false, false]);
}
