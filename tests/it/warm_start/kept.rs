//! Snapshots that the cache keeps: which of them the next start uses, and what becomes of the others.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::at_leisure;
use crate::support::process::{self, Wagi};
use crate::support::site::Site;

use crate::warm_start::{asked, guest, guest_at, variables};

/// A site whose snapshots are kept beside it.
struct Kept {
    site: Site,
    cache: TempDir,
}

impl Kept {
    fn new(site: Site) -> Self {
        site.write();
        Self { site, cache: tempfile::tempdir().expect("a temporary directory") }
    }

    fn start(&self) -> Wagi {
        let mut command = process::command(self.site.path());
        command.env("XDG_CACHE_HOME", self.cache.path()).args(["-l", "127.0.0.1:0", "-c", "modules.toml"]);
        Wagi::spawn(&mut command)
    }

    /// Starts a server, waits for a snapshot and kills the server. Returns whether the snapshot was in the cache.
    fn is_cached(&self) -> bool {
        let line = self.start().logged(&["warm start: ready", "no query"]);
        line.contains("code=\"cached\"")
    }

    fn directory(&self) -> PathBuf {
        self.cache.path().join("wagi/compiled")
    }

    fn snapshots(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory()).expect("there is a cache");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let is_snapshot = |path: &PathBuf| name(path).starts_with("snapshot-");
        paths.filter(is_snapshot).collect()
    }

    fn snapshot(&self) -> PathBuf {
        let found = self.snapshots();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

fn one_route(keys: &str) -> Site {
    let module = guest("(call $checkpoint)", "");
    Site::new().text_module("/a", &module, &format!("warm_start = true\n{keys}"))
}

#[test]
fn the_next_start_takes_its_snapshots_from_the_cache() {
    let kept = Kept::new(one_route(""));
    assert!(!kept.is_cached());
    let found = fs::metadata(kept.snapshot()).expect("it is kept");
    assert_eq!(found.mode() & 0o777, 0o600);
    assert!(kept.is_cached());
    let wagi = kept.start();
    wagi.logged(&["warm start: ready", "no query"]);
    let answer = asked(&wagi, "GET /a HTTP/1.1\r\nX-Own: one", "");
    assert_eq!(variables(&answer).get("HTTP_X_OWN").map(String::as_str), Some("one"));
    // The other kinds of queries are loaded as well, when there are snapshots for them.
    assert_eq!(asked(&wagi, "GET /a?b=1 HTTP/1.1", "").status, 200);
    wagi.logged(&["warm start: ready", "a query with"]);
    drop(wagi);
    let wagi = kept.start();
    let line = wagi.logged(&["warm start: ready", "a query with"]);
    assert!(line.contains("code=\"cached\""), "{line}");
    assert_eq!(kept.snapshots().len(), 2);
}

#[test]
fn a_snapshot_that_was_damaged_is_made_again() {
    let kept = Kept::new(one_route(""));
    assert!(!kept.is_cached());
    let path = kept.snapshot();
    let whole = fs::read(&path).expect("readable");
    let mut flipped = whole.clone();
    flipped[whole.len() / 3] ^= 4;
    for damaged in [flipped, whole[..whole.len() / 2].to_vec(), Vec::new(), b"not a snapshot".repeat(100)] {
        fs::write(&path, &damaged).expect("writable");
        let wagi = kept.start();
        wagi.logged(&["a snapshot is not used: making it again"]);
        let line = wagi.logged(&["warm start: ready", "no query"]);
        assert!(line.contains("code=\"compiled\""), "{line}");
        assert_eq!(asked(&wagi, "GET /a HTTP/1.1", "").status, 200);
    }
    assert!(kept.is_cached());
}

#[test]
fn a_snapshot_of_something_else_is_not_used() {
    let first = Kept::new(one_route("environment = { OWN = 'first' }"));
    assert!(!first.is_cached());
    let second = Kept::new(one_route("environment = { OWN = 'other' }"));
    assert!(!second.is_cached());
    let (own, foreign) = (second.snapshot(), first.snapshot());
    assert_ne!(name(&own), name(&foreign));
    fs::copy(foreign, &own).expect("writable");
    assert!(!second.is_cached(), "under the name of another");
    assert!(second.is_cached());
}

#[test]
fn files_that_were_open_are_kept_with_a_snapshot() {
    let read = "(call $read_on (i32.const 440))";
    let before = format!("(call $open_file (i32.const 440)) {read} (call $checkpoint)");
    let module = guest_at("4", &before, &format!("{read} (call $print (i32.const 400) (i32.const 6))"));
    let site = Site::new();
    site.file("data/file.txt", "first second third ");
    let volumes = "volumes = { '/data' = { path = 'data', read_only = true }, '/tmp' = { scratch = '1MiB' } }";
    // The directory of the checkpoint is the last one.
    let module = module.replace("(call $stat (i32.const 4)", "(call $stat (i32.const 5)");
    let kept = Kept::new(site.text_module("/a", &module, &format!("warm_start = true\n{volumes}")));
    assert!(!kept.is_cached());
    let wagi = kept.start();
    let line = wagi.logged(&["warm start: ready"]);
    assert!(line.contains("code=\"cached\"") && line.contains("open=1"), "{line}");
    assert!(asked(&wagi, "GET /a HTTP/1.1", "").text().starts_with("second"));
}

/// Its placeholder has another name in each process.
#[test]
fn a_program_that_looks_at_its_scratch_directory_is_kept_as_well() {
    let look = "(drop (call $list (i32.const 3) (i32.const 262144) (i32.const 4096) (i64.const 0) (i32.const 400)))";
    let module = guest_at("4", &format!("{look} (call $checkpoint)"), "");
    let volumes = "volumes = { '/tmp' = { scratch = '1MiB' } }";
    let kept = Kept::new(Site::new().text_module("/a", &module, &format!("warm_start = true\n{volumes}")));
    assert!(!kept.is_cached());
    assert!(kept.is_cached());
}

#[test]
fn what_a_snapshot_depends_on_may_change_between_two_starts() {
    let reading = guest_at("4", "(call $read_file) (call $checkpoint)", "(call $print (i32.const 400) (i32.const 5))");
    let volumes = "volumes = { '/data' = { path = 'data', read_only = true } }";
    let site = Site::new();
    site.file("data/file.txt", "first");
    let kept = Kept::new(site.text_module("/a", &reading, &format!("warm_start = true\n{volumes}")));
    assert!(!kept.is_cached());
    assert!(kept.is_cached());
    fs::write(kept.site.path().join("data/file.txt"), "other").expect("writable");
    let wagi = kept.start();
    let line = wagi.logged(&["warm start: ready"]);
    assert!(line.contains("code=\"compiled\""), "a file is another one: {line}");
    assert!(asked(&wagi, "GET /a HTTP/1.1", "").text().starts_with("other"));
    drop(wagi);
    assert_eq!(kept.snapshots().len(), 1, "the old one is replaced");
    for keys in ["limits = { memory = '64MiB' }", "environment = { A = '1' }", "snapshots = 3"] {
        let directory = kept.site.path().to_owned();
        let manifest = fs::read_to_string(directory.join("modules.toml")).expect("readable");
        let changed = manifest.replace("warm_start = true", &format!("warm_start = true\n{keys}"));
        fs::write(directory.join("modules.toml"), changed).expect("writable");
        // How many are kept changes none of them.
        assert_eq!(kept.is_cached(), keys.starts_with("snapshots"), "{keys}");
        fs::write(directory.join("modules.toml"), manifest).expect("writable");
    }
    // The program.
    let module = reading.replace("(memory (export \"memory\") 8)", "(memory (export \"memory\") 9)");
    kept.site.file("guest0.wat", module);
    assert!(!kept.is_cached());
}

/// A deployment that replaces a symbolic link, as many do.
#[test]
fn a_volume_that_was_replaced_while_it_was_open_is_in_no_snapshot() {
    let module = guest_at("4", "(call $read_file) (call $checkpoint)", "(call $print (i32.const 400) (i32.const 5))");
    let site = Site::new();
    site.file("r1/file.txt", "first");
    site.file("r2/file.txt", "other");
    let current = site.path().join("current");
    symlink("r1", &current).expect("writable");
    let volume = "volumes = { '/data' = { path = 'current', read_only = true } }";
    let kept = Kept::new(site.text_module("/a", &module, &format!("warm_start = true\n{volume}")));
    let wagi = kept.start();
    wagi.logged(&["warm start: ready"]);
    fs::remove_file(&current).expect("it is there");
    symlink("r2", &current).expect("writable");
    at_leisure(|| {
        let text = asked(&wagi, "GET /a HTTP/1.1", "").text();
        assert!(text.starts_with("first"), "of the directory that it has open: {text}");
        wagi.log().contains("reason=\"volume-replaced\"").then_some(())
    });
    drop(wagi);
    let wagi = kept.start();
    wagi.logged(&["warm start: ready"]);
    for _ in 0..3 {
        assert!(asked(&wagi, "GET /a HTTP/1.1", "").text().starts_with("other"));
    }
}

#[test]
fn a_server_that_is_killed_while_it_makes_a_snapshot_leaves_no_wrong_one() {
    let module = guest("(call $checkpoint)", "");
    let site = Site::new().text_module("/warm", &module, "warm_start = true").text_module("/cold", &module, "");
    let kept = Kept::new(site);
    // At 8 moments, or as many as `WAGI_KILLS` says.
    let kills: u64 = std::env::var("WAGI_KILLS").map_or(8, |kills| kills.parse().expect("a number"));
    for moment in 0..kills {
        let mut wagi = kept.start();
        // Moments from before it is begun until after it is kept, on most machines. Each is as good as another.
        thread::sleep(Duration::from_millis(250 * moment * moment / (kills * kills)));
        wagi.signal("KILL");
        wagi.ended();
        let wagi = kept.start();
        let answers = ["warm", "cold"].map(|route| asked(&wagi, &format!("GET /{route} HTTP/1.1"), ""));
        assert_eq!(variables(&answers[0]), variables(&answers[1]), "moment {moment}");
        wagi.logged(&["warm start: ready"]);
        let warm = asked(&wagi, "GET /warm HTTP/1.1", "");
        assert_eq!(variables(&warm), variables(&answers[1]), "moment {moment}");
        assert!(!wagi.log().contains("a snapshot is not used"), "{}", wagi.log());
        drop(wagi);
        for snapshot in kept.snapshots() {
            fs::remove_file(snapshot).expect("it is there");
        }
    }
}
