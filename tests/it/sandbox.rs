//! Volumes against guests that try: every call that alters something, names that lead out, and links that move meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;

use crate::support::caller::Caller;
use crate::support::harness::Test;

/// The calls of WASI preview 1 on files, as they are imported.
const IMPORTS: [(&str, &str); 13] = [
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ("path_unlink_file", "i32 i32 i32"),
    ("path_create_directory", "i32 i32 i32"),
    ("path_remove_directory", "i32 i32 i32"),
    ("path_rename", "i32 i32 i32 i32 i32 i32"),
    ("path_symlink", "i32 i32 i32 i32 i32"),
    ("path_link", "i32 i32 i32 i32 i32 i32 i32"),
    ("path_filestat_set_times", "i32 i32 i32 i32 i64 i64 i32"),
    ("fd_filestat_set_times", "i32 i64 i64 i32"),
    ("fd_filestat_set_size", "i32 i64"),
    ("fd_allocate", "i32 i64 i64"),
    ("fd_pwrite", "i32 i32 i32 i64 i32"),
    ("fd_close", "i32"),
];

/// Not imported by the guests below themselves.
const READ: (&str, &str) = ("fd_read", "i32 i32 i32 i32");

fn with_imports(module: &str) -> String {
    let imports = IMPORTS.iter().chain([&READ]).map(|(name, parameters)| {
        format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {parameters}) (result i32)))\n")
    });
    module.replacen("(module", &format!("(module\n{}", imports.collect::<String>()), 1)
}

/// Where an opened descriptor is kept.
const OPENED: &str = "(i32.const 48)";
const CREATE: u32 = 1;
const CREATE_NEW: u32 = 5;
const TRUNCATE: u32 = 8;

/// Calls in the making, each printed as its errno.
struct Calls {
    caller: Caller,
    names: Vec<String>,
}

impl Calls {
    fn new() -> Self {
        Self { caller: Caller::new(), names: Vec::new() }
    }

    /// A call, in which every `'text'` becomes the two operands that name it, and every number an i32.
    fn call(mut self, call: &str) -> Self {
        let expression = self.expression(call);
        self.caller = self.caller.number(&expression);
        self.names.push(call.to_owned());
        self
    }

    /// An open of the name relative to a volume; the descriptor is at [`OPENED`].
    fn open(self, volume: u32, name: &str, how: u32) -> Self {
        self.call(&open(volume, name, how))
    }

    /// A call on the descriptor that was opened last, whose other operands are written out.
    fn on_opened(mut self, name: &str, operands: &str) -> Self {
        self.caller = self.caller.number(&format!("(call ${name} (i32.load {OPENED}) {operands})"));
        self.names.push(format!("{name} of what was opened"));
        self
    }

    fn expression(&mut self, call: &str) -> String {
        let mut words = call.split(' ');
        let mut expression = format!("(call ${}", words.next().expect("a name"));
        for word in words {
            let operand = match word.strip_prefix('\'').and_then(|word| word.strip_suffix('\'')) {
                Some(text) => self.caller.text(text),
                None if word.starts_with("i64:") => format!("(i64.const {})", &word[4..]),
                None => format!("(i32.const {word})"),
            };
            expression.push(' ');
            expression.push_str(&operand);
        }
        expression + ")"
    }

    /// What became of each call, in a guest with these volumes.
    async fn run(self, volumes: &str) -> Vec<(String, u32)> {
        let module = with_imports(&self.caller.module());
        let answer = Test::new().module("/", &module, &format!("volumes = {volumes}")).get("/").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let numbers: Vec<u32> = answer.text().lines().map(|line| line.parse().expect("an errno")).collect();
        assert_eq!(numbers.len(), self.names.len());
        self.names.into_iter().zip(numbers).collect()
    }
}

fn open(volume: u32, name: &str, how: u32) -> String {
    format!("path_open {volume} 1 '{name}' {how} i64:-1 i64:-1 0 48")
}

/// For everything, and for everything but writing.
const ALL: i64 = -1;
const NO_WRITING: i64 = !(1 << 6);

/// A descriptor for a file of the first volume.
fn file2(rights: i64) -> String {
    format!("path_open 3 1 'file2' 0 i64:{rights} i64:{rights} 0 48")
}

/// Every call that alters a volume, on the first of two. Those on a descriptor have one that was opened for `rights`.
fn altering(rights: i64) -> Calls {
    let slice = "(i32.const 0) (i32.const 1)";
    Calls::new()
        .open(3, "new1", CREATE)
        .open(3, "new2", CREATE_NEW)
        .open(3, "file1", TRUNCATE)
        .open(3, "file1", 0)
        .call("path_unlink_file 3 'file3'")
        .call("path_rename 3 'file4' 3 'renamed'")
        .call("path_rename 3 'file5' 4 'taken'")
        .call("path_rename 4 'mine1' 3 'planted1'")
        .call("path_create_directory 3 'directory'")
        .call("path_remove_directory 3 'empty'")
        .call("path_symlink 'file1' 3 'symbolic'")
        .call("path_link 3 0 'file6' 3 'alias'")
        .call("path_link 3 0 'file7' 4 'alias'")
        .call("path_link 4 0 'mine2' 3 'planted2'")
        .call("path_filestat_set_times 3 1 'file8' i64:1000000000 i64:1000000000 5")
        .call(&file2(rights))
        .on_opened("write", &format!("{slice} (i32.const 8)"))
        .on_opened("fd_pwrite", &format!("{slice} (i64.const 100) (i32.const 8)"))
        .on_opened("fd_filestat_set_size", "(i64.const 1)")
        .on_opened("fd_allocate", "(i64.const 0) (i64.const 4096)")
        .on_opened("fd_filestat_set_times", "(i64.const 1000000000) (i64.const 1000000000) (i32.const 5)")
}

/// Two directories with what those calls are about.
fn directories() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["data/empty", "own"] {
        fs::create_dir_all(directory.path().join(name)).expect("a directory can be made");
    }
    for name in (1..=8).map(|number| format!("data/file{number}")).chain(["own/mine1", "own/mine2"].map(str::to_owned))
    {
        fs::write(directory.path().join(&name), &name).expect("a file can be written");
    }
    directory
}

/// Names, contents and times of all that is in a directory.
fn inventory(directory: &Path) -> BTreeMap<String, (Vec<u8>, i64, u64)> {
    let entries = fs::read_dir(directory).expect("it is there").map(|entry| entry.expect("an entry"));
    let described = entries.map(|entry| {
        let found = fs::symlink_metadata(entry.path()).expect("it is there");
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, (fs::read(entry.path()).unwrap_or_default(), found.mtime(), found.nlink()))
    });
    described.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_volume_refuses_every_call_that_alters_it() {
    let directory = directories();
    let (data, own) = (directory.path().join("data"), directory.path().join("own"));
    let before = (inventory(&data), inventory(&own));
    let volumes =
        format!("{{ '/' = {{ path = '{}', read_only = true }}, '/own' = '{}' }}", data.display(), own.display());
    for (call, errno) in altering(NO_WRITING).run(&volumes).await {
        // Looking is allowed.
        assert_eq!(errno == 0, call == file2(NO_WRITING), "{call}: {errno}");
    }
    assert_eq!((inventory(&data), inventory(&own)), before);
}

/// The same calls where they are allowed: each does something that the test above would see.
#[tokio::test(flavor = "multi_thread")]
async fn a_writable_volume_takes_them() {
    let directory = directories();
    let (data, own) = (directory.path().join("data"), directory.path().join("own"));
    let volumes = format!("{{ '/' = '{}', '/own' = '{}' }}", data.display(), own.display());
    for (call, errno) in altering(ALL).run(&volumes).await {
        // Reserving room for a file is not offered by the engine.
        assert_eq!(errno == 0, !call.starts_with("fd_allocate"), "{call}: {errno}");
    }
    let names: Vec<_> = inventory(&data).into_keys().collect();
    for name in ["new1", "new2", "renamed", "planted1", "directory", "symbolic", "alias", "planted2"] {
        assert!(names.contains(&name.to_owned()), "{name}: {names:?}");
    }
    for name in ["file3", "file4", "file5", "empty"] {
        assert!(!names.contains(&name.to_owned()), "{name}: {names:?}");
    }
}

/// Whatever a guest makes of names and links in a volume it may write to, what is beside the volume stays out of reach.
#[tokio::test(flavor = "multi_thread")]
async fn no_call_reaches_what_is_beside_a_volume() {
    let directory = tempfile::tempdir().expect("a directory");
    let web = directory.path().join("web");
    fs::create_dir_all(web.join("below/deep")).expect("a directory can be made");
    fs::write(directory.path().join("secret.txt"), "secret").expect("a file can be written");
    fs::write(web.join("own.txt"), "own").expect("a file can be written");
    symlink("..", web.join("up")).expect("a link can be made");
    symlink("up", web.join("chained")).expect("a link can be made");
    let absolute = directory.path().join("secret.txt").display().to_string();

    let preparing = Calls::new()
        // Within the volume as long as it lies where it is made.
        .call("path_symlink '../secret.txt' 3 'below/moved'")
        .call("path_rename 3 'below/moved' 3 'moved'")
        .call("path_symlink '../../secret.txt' 3 'below/deep/moved'")
        .call("path_rename 3 'below/deep' 3 'shallow'");
    let prepared = preparing.names.len();
    let mut trying = preparing;
    for name in [
        "../secret.txt",
        "up/secret.txt",
        "chained/secret.txt",
        "moved",
        "shallow/moved",
        "below/../../secret.txt",
        "./../secret.txt",
        "below//..//..//secret.txt",
        "up/web/../secret.txt",
        absolute.as_str(),
    ] {
        trying = trying
            .open(3, name, 0)
            .open(3, name, TRUNCATE)
            .call(&format!("path_link 3 0 '{name}' 3 'stolen'"))
            .call(&format!("path_filestat_set_times 3 1 '{name}' i64:0 i64:0 5"));
    }
    for name in ["../secret.txt", "up/secret.txt", "chained/secret.txt", absolute.as_str()] {
        trying = trying
            .call(&format!("path_unlink_file 3 '{name}'"))
            .call(&format!("path_rename 3 '{name}' 3 'stolen'"))
            .call(&format!("path_rename 3 'own.txt' 3 '{name}'"));
    }
    for name in ["../planted", "up/planted", "chained/planted", "/planted"] {
        trying = trying
            .open(3, name, CREATE)
            .call(&format!("path_create_directory 3 '{name}'"))
            .call(&format!("path_symlink 'own.txt' 3 '{name}'"))
            .call(&format!("path_link 3 0 'own.txt' 3 '{name}'"));
    }
    for (index, (call, errno)) in trying.run(&format!("{{ '/' = '{}' }}", web.display())).await.into_iter().enumerate()
    {
        let is_link_itself =
            call.starts_with("path_link 3 0 'moved'") || call.starts_with("path_link 3 0 'shallow/moved'");
        assert!(index < prepared || errno != 0 || is_link_itself, "{call}");
    }
    let beside: Vec<_> = inventory(directory.path()).into_keys().collect();
    assert_eq!(beside, ["secret.txt", "web"]);
    let secret = fs::symlink_metadata(directory.path().join("secret.txt")).expect("it is there");
    assert_eq!((secret.len(), secret.nlink(), secret.mtime() > 0), (6, 1, true));
}

/// While a guest opens files, somebody replaces a directory on the way by a link that leads out, and moves another one out
/// from under a `..`. The guest sees the file inside or none.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_quickly_enough_to_lead_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let (web, beside) = (directory.path().join("web"), directory.path().join("beside"));
    fs::create_dir_all(web.join("flip")).expect("a directory can be made");
    fs::create_dir_all(web.join("walk")).expect("a directory can be made");
    fs::create_dir_all(&beside).expect("a directory can be made");
    for (name, text) in [("flip/file", "inside"), ("file", "inside")] {
        fs::write(web.join(name), text).expect("a file can be written");
    }
    fs::write(beside.join("file"), "outside").expect("a file can be written");
    symlink("../beside", web.join("link")).expect("a link can be made");

    let stop = Arc::new(AtomicBool::new(false));
    let mover = thread::spawn({
        let (stop, web, beside) = (stop.clone(), web.clone(), beside.clone());
        move || {
            let swap = |from: &Path, to: &Path| fs::rename(from, to).expect("it can be moved");
            while !stop.load(Ordering::Relaxed) {
                swap(&web.join("flip"), &web.join("parked"));
                swap(&web.join("link"), &web.join("flip"));
                swap(&web.join("walk"), &beside.join("walk"));
                swap(&web.join("flip"), &web.join("link"));
                swap(&web.join("parked"), &web.join("flip"));
                swap(&beside.join("walk"), &web.join("walk"));
            }
        }
    });
    let limits = "limits = { cpu_time = '10m', time_to_head = '10m' }";
    let keys = format!("volumes = {{ '/' = '{}' }}\n{limits}", web.display());
    let running = Test::new().module("/", &opener(), &keys).start().await;
    let answer = running.get("/").await;
    stop.store(true, Ordering::Relaxed);
    mover.join().expect("moving goes on");
    let counts: Vec<u32> = answer.text().lines().map(|line| line.parse().expect("a number")).collect();
    let [inside, refused, outside] = counts[..] else { panic!("{answer:?}\n{}", running.log()) };
    assert!(inside > 0 && refused > 0, "the guest was too slow to see both: {counts:?}");
    assert_eq!(outside, 0, "{counts:?}");
}

/// Opens `flip/file` and `walk/../file` again and again until it has seen both outcomes many times, and prints how
/// often it read the file inside, was refused, and read another.
fn opener() -> String {
    let mut caller = Caller::new();
    let (head, flip, walk) =
        (caller.text("Content-Type: text/plain\n\n"), caller.text("flip/file"), caller.text("walk/../file"));
    with_imports(&caller.assembled(&format!(
        r#"(global $inside (mut i32) (i32.const 0))
        (global $refused (mut i32) (i32.const 0))
        (global $outside (mut i32) (i32.const 0))
        (func $try (param $path i32) (param $length i32)
            (if (call $path_open (i32.const 3) (i32.const 1) (local.get $path) (local.get $length) (i32.const 0)
                    (i64.const -1) (i64.const -1) (i32.const 0) {OPENED})
                (then
                    (global.set $refused (i32.add (global.get $refused) (i32.const 1)))
                    (return)))
            (i32.store (i32.const 0) (i32.const 64))
            (i32.store (i32.const 4) (i32.const 1))
            (drop (call $fd_read (i32.load {OPENED}) (i32.const 0) (i32.const 1) (i32.const 8)))
            (if (i32.eq (i32.load8_u (i32.const 64)) (i32.const {inside}))
                (then (global.set $inside (i32.add (global.get $inside) (i32.const 1))))
                (else (global.set $outside (i32.add (global.get $outside) (i32.const 1)))))
            (drop (call $fd_close (i32.load {OPENED}))))
        (func (export "_start")
            (local $round i32)
            (loop $again
                (call $try {flip})
                (call $try {walk})
                (local.set $round (i32.add (local.get $round) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $round) (i32.const 5000)))
                (br_if $again (i32.and
                    (i32.lt_u (local.get $round) (i32.const 100000))
                    (i32.or (i32.eqz (global.get $inside)) (i32.eqz (global.get $refused))))))
            (call $print {head})
            (drop (call $number (global.get $inside))) (call $newline)
            (drop (call $number (global.get $refused))) (call $newline)
            (drop (call $number (global.get $outside))) (call $newline))"#,
        inside = u32::from(b'i'),
    )))
}
