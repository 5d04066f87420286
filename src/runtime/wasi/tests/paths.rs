//! Do calls on paths return what the system returns?

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD};
use rustix::io::Errno;
use wasmtime::{Config, Engine, Instance, Linker, Memory, Module, Result, Store, Val};

use crate::config::Limits;
use crate::runtime::engine::task::Lane;
use crate::runtime::instance::grants::{Grants, Volumes};
use crate::runtime::instance::invocation::Invocation;
use crate::runtime::wasi::state::ModuleState;

const GUEST: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_remove_directory" (func $rmdir (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread" (func $pread (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_readdir" (func $readdir (param i32 i32 i32 i64 i32) (result i32)))
    (memory (export "memory") 2)
    (data (i32.const 3000) "\80\0c\00\00\08\00\00\00")
    (func (export "pread") (param i32) (result i32)
        (call $pread (local.get 0) (i32.const 3000) (i32.const 1) (i64.const 0) (i32.const 3008)))
    (func (export "readdir") (param i32) (result i32)
        (call $readdir (local.get 0) (i32.const 3200) (i32.const 200) (i64.const 0) (i32.const 3008)))
    (func (export "list") (param i64) (result i32)
        (call $readdir (i32.const 3) (i32.const 3200) (i32.const 200) (local.get 0) (i32.const 3008)))
    (func (export "stat") (param i32) (result i32)
        (call $stat (i32.const 3) (i32.const 1) (i32.const 0) (local.get 0) (i32.const 1024)))
    (func (export "lstat") (param i32) (result i32)
        (call $stat (i32.const 3) (i32.const 0) (i32.const 0) (local.get 0) (i32.const 1024)))
    (func (export "rmdir") (param i32) (result i32) (call $rmdir (i32.const 3) (i32.const 0) (local.get 0)))
    (func (export "open") (param i32) (result i32)
        (call $open (i32.const 3) (i32.const 1) (i32.const 0) (local.get 0) (i32.const 0) (i64.const 2) (i64.const 0)
            (i32.const 0) (i32.const 1024)))
    (func (export "create") (param i32) (result i32)
        (call $open (i32.const 3) (i32.const 1) (i32.const 0) (local.get 0) (i32.const 1) (i64.const 64) (i64.const 0)
            (i32.const 0) (i32.const 1024)))
    (func (export "poll") (param i32) (result i32)
        (call $poll (i32.const 4096) (i32.const 65536) (local.get 0) (i32.const 2048))))"#;

struct Guest {
    store: Store<ModuleState>,
    instance: Instance,
    memory: Memory,
    directory: tempfile::TempDir,
}

/// A directory with one of each kind.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("file"), "content").expect("a file");
    for name in ["full", "empty", "other"] {
        std::fs::create_dir(path(name)).expect("a directory");
    }
    std::fs::write(path("full/inside"), "").expect("a file");
    for (target, link) in [("file", "to-file"), ("full", "to-full"), ("nothing", "to-nothing"), ("to-full", "twice")] {
        symlink(target, path(link)).expect("a link");
    }
    directory
}

/// The modules of imports.
const PREVIEWS: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

impl Guest {
    async fn new(preview: &str) -> Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(true).concurrency_support(false);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        crate::runtime::wasi::preview1::add_to_linker(&mut linker)?;
        let directory = directory();
        let host_path = PathBuf::from(directory.path());
        let volumes = Volumes::open([("/", &host_path, false)]).map_err(|(_, error)| error)?;
        let grants = Grants { volumes, limits: Limits { memory: 1 << 20, ..Limits::default() }, ..Grants::default() };
        let stdio = Arc::new(grants.stdio(None, 0));
        // As a guest that already computes where it may use files.
        stdio.cpu_timer.use_files();
        stdio.cpu_timer.move_to(Lane::Background);
        let mut store = Store::new(&engine, ModuleState::new(&grants, stdio, Invocation::default()));
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = linker
            .instantiate_async(&mut store, &Module::new(&engine, GUEST.replace("wasi_snapshot_preview1", preview))?)
            .await?;
        let memory = instance.get_memory(&mut store, "memory").expect("exported");
        Ok(Self { store, instance, memory, directory })
    }

    /// Makes this many files in its directory. Returns its path.
    fn with_names(&self, count: usize) -> PathBuf {
        let path = self.directory.path().to_owned();
        (0..count).for_each(|number| std::fs::write(path.join(format!("name-{number}")), "").expect("writable"));
        path
    }

    async fn call(&mut self, function: &str, argument: i32) -> i32 {
        let function = self.instance.get_func(&mut self.store, function).expect("exported");
        let mut results = [Val::I32(-1)];
        function.call_async(&mut self.store, &[Val::I32(argument)], &mut results).await.expect("no trap");
        results[0].unwrap_i32()
    }

    /// The error number of a call on a path; 0 is success.
    async fn on_path(&mut self, function: &str, path: &str) -> i32 {
        self.memory.write(&mut self.store, 0, path.as_bytes()).expect("it fits");
        self.call(function, i32::try_from(path.len()).expect("short")).await
    }
}

/// The number in WASI of the system's error.
fn in_wasi(result: std::result::Result<(), Errno>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(Errno::NOENT) => 44,
        Err(Errno::NOTDIR) => 54,
        Err(Errno::NOTEMPTY) => 55,
        Err(other) => panic!("{other}"),
    }
}

/// What the system says of a path in a fresh directory.
fn of_system(function: &str, path: &str) -> i32 {
    let directory = directory();
    let path = format!("{}/{path}", directory.path().display());
    in_wasi(match function {
        "stat" => rustix::fs::stat(path).map(drop),
        "lstat" => rustix::fs::lstat(path).map(drop),
        _ => rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR),
    })
}

const NAMES: [&str; 9] =
    ["file", "full", "empty", "to-file", "to-full", "to-nothing", "twice", "nothing", "full/inside"];

/// POSIX, of paths with and without a slash at their end.
#[tokio::test]
async fn calls_on_paths_return_what_the_system_returns() -> Result<()> {
    let mut differences = Vec::new();
    for function in ["stat", "lstat", "rmdir"] {
        for name in NAMES {
            for path in [name.to_owned(), format!("{name}/"), format!("{name}//")] {
                let expected = of_system(function, &path);
                for preview in PREVIEWS {
                    let found = Guest::new(preview).await?.on_path(function, &path).await;
                    if found != expected {
                        differences.push(format!("{preview}: {function} {path}: {found}, not {expected}"));
                    }
                }
            }
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

/// The type in what `lstat` returns: 3 is a directory, 4 a file, 7 a link.
#[tokio::test]
async fn a_slash_at_the_end_follows_a_link() -> Result<()> {
    for preview in PREVIEWS {
        let mut guest = Guest::new(preview).await?;
        for (path, expected) in [("to-full", 7), ("to-full/", 3), ("twice//", 3), ("full/", 3), ("file", 4)] {
            assert_eq!(guest.on_path("lstat", path).await, 0, "{preview}: {path}");
            assert_eq!(guest.memory.data(&guest.store)[1024 + 16], expected, "{preview}: {path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_descriptor_beyond_the_limit_is_an_error_number() -> Result<()> {
    const MFILE: i32 = 33;
    for preview in PREVIEWS {
        let mut guest = Guest::new(preview).await?;
        let mut opened = 0;
        while guest.on_path("open", "file").await == 0 {
            opened += 1;
        }
        // With the three standard streams.
        assert_eq!(opened, 61, "{preview}");
        assert_eq!(guest.on_path("open", "file").await, MFILE, "{preview}");
        assert_eq!(guest.on_path("create", "made").await, MFILE, "{preview}");
        assert_eq!(guest.on_path("stat", "made").await, 44, "{preview}: nothing is created");
        let mut last = [0; 4];
        last.copy_from_slice(&guest.memory.data(&guest.store)[1024..1028]);
        // They need no descriptor.
        let (read, listed) = (guest.call("pread", i32::from_le_bytes(last)).await, guest.call("readdir", 3).await);
        assert_eq!((read, listed), (0, 0), "{preview}");
    }
    Ok(())
}

/// The whole entries behind a cookie that fit into 200 bytes, each with the cookie of the next.
async fn listed(guest: &mut Guest, cookie: u64) -> Vec<(String, u64)> {
    let function = guest.instance.get_func(&mut guest.store, "list").expect("exported");
    let mut results = [Val::I32(-1)];
    function.call_async(&mut guest.store, &[Val::I64(cookie.cast_signed())], &mut results).await.expect("no trap");
    assert_eq!(results[0].unwrap_i32(), 0);
    let data = guest.memory.data(&guest.store);
    let number =
        |at: usize, size: usize| data[at..at + size].iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte));
    let (mut at, mut entries) = (3200, Vec::new());
    let end = at + usize::try_from(number(3008, 4)).expect("it is small");
    while at + 24 <= end {
        let length = usize::try_from(number(at + 16, 4)).expect("it is small");
        if at + 24 + length > end {
            break;
        }
        let name = String::from_utf8(data[at + 24..at + 24 + length].to_vec()).expect("text");
        entries.push((name, number(at, 8)));
        at += 24 + length;
    }
    entries
}

/// POSIX `readdir`: a name that is neither made nor removed meanwhile is listed once.
#[tokio::test]
async fn a_directory_is_listed_whole_while_names_are_made_and_removed() -> Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    for preview in PREVIEWS {
        let mut guest = Guest::new(preview).await?;
        let path = guest.with_names(100);
        std::fs::write(path.join(std::ffi::OsStr::from_bytes(b"no-text-\xff")), "").expect("writable");
        let (mut names, mut cookie) = (Vec::new(), 0);
        loop {
            let entries = listed(&mut guest, cookie).await;
            let Some((_, next)) = entries.last() else { break };
            cookie = *next;
            for (name, _) in entries {
                if name.starts_with("name-") {
                    std::fs::remove_file(path.join(&name)).expect("it is there");
                }
                names.push(name);
            }
        }
        assert_eq!(names[..2], [".", ".."], "{preview}");
        names.sort();
        let all = (0..100).map(|number| format!("name-{number}"));
        let others = [".", "..", "file", "full", "empty", "other", "to-file", "to-full", "to-nothing", "twice"];
        let mut expected: Vec<String> = all.chain(others.map(str::to_owned)).collect();
        expected.sort();
        assert_eq!(names, expected, "{preview}");
    }
    Ok(())
}

/// `telldir` of wasi-libc is a `long`, which keeps the lower half of a cookie.
#[tokio::test]
async fn a_cookie_that_a_program_has_shortened_leads_to_the_same_place() -> Result<()> {
    for preview in PREVIEWS {
        let mut guest = Guest::new(preview).await?;
        guest.with_names(30);
        let (mut cookies, mut names) = (vec![0], Vec::new());
        loop {
            let entries = listed(&mut guest, cookies[cookies.len() - 1]).await;
            let Some((_, next)) = entries.last() else { break };
            cookies.push(*next);
            names.push(entries);
        }
        for (cookie, expected) in cookies.iter().zip(&names).rev() {
            let low = i32::from_le_bytes(cookie.to_le_bytes()[..4].try_into().expect("four"));
            let found = listed(&mut guest, i64::from(low).cast_unsigned()).await;
            assert_eq!(&found, expected, "{preview}: {cookie:#x}");
        }
    }
    Ok(())
}

/// What many programs do to remove a tree: a directory is listed while those in it are.
#[tokio::test]
async fn listings_of_several_directories_do_not_disturb_each_other() -> Result<()> {
    let mut guest = Guest::new(PREVIEWS[0]).await?;
    let path = guest.with_names(30);
    let (mut names, mut cookie) = (0, 0);
    loop {
        let entries = listed(&mut guest, cookie).await;
        let Some((_, next)) = entries.last() else { break };
        cookie = *next;
        for (name, _) in entries.iter().filter(|(name, _)| name.starts_with("name-")) {
            std::fs::remove_file(path.join(name)).expect("it is there");
            names += 1;
        }
        assert_eq!(guest.on_path("open", "full").await, 0);
        let mut opened = [0; 4];
        opened.copy_from_slice(&guest.memory.data(&guest.store)[1024..1028]);
        assert_eq!(guest.call("readdir", i32::from_le_bytes(opened)).await, 0);
    }
    assert_eq!(names, 30);
    Ok(())
}

/// Subscriptions to the standard output, which is always ready, with every descriptor in use.
#[tokio::test]
async fn a_long_list_of_subscriptions_is_served_or_an_error_number() -> Result<()> {
    const INVAL: i32 = 28;
    for (preview, size) in [("wasi_snapshot_preview1", 48), ("wasi_unstable", 56)] {
        let mut guest = Guest::new(preview).await?;
        let mut subscription = vec![0_u8; size];
        (subscription[8], subscription[16]) = (2, 1);
        guest.memory.write(&mut guest.store, 4096, &subscription.repeat(1000)).expect("it fits");
        while guest.on_path("open", "file").await == 0 {}
        for (count, expected) in [(1, 0), (64, 0), (65, INVAL), (1000, INVAL), (-1, INVAL), (64, 0)] {
            assert_eq!(guest.call("poll", count).await, expected, "{preview}: {count}");
        }
        let ready = guest.memory.data(&guest.store)[2048..2052].to_vec();
        assert_eq!(ready, 64_u32.to_le_bytes(), "{preview}");
        let after = &guest.memory.data(&guest.store)[4096..4096 + 1000 * size];
        assert_eq!(after, subscription.repeat(1000), "{preview}: subscriptions stay as they were");
        assert_eq!(guest.on_path("open", "file").await, 33, "{preview}: there are as many as before");
    }
    Ok(())
}
