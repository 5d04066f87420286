//! How is the memory of a guest that has trapped written to a file?
//!
//! In the form that WebAssembly's tool conventions define. It is made in the background, one at a time, and written under a name that it
//! gets when it is complete. Files that are there are never removed or replaced, so that the first traps after a change stay:
//! when there are as many as there may be, no more are written.

use std::fs::{DirBuilder, File, OpenOptions};
use std::future::poll_fn;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{Access, access};
use tokio::sync::oneshot;
use wasmtime::{AsContext, HeapType, Store, ValType, WasmCoreDump};

use crate::runtime::instance::cpu_time::CpuTimer;

/// How the names of core dumps end, and of those that are being written.
const SUFFIX: &str = ".coredump";
const PARTIAL: &str = ".partial";

/// Only the user of the server may read them: they hold what the guest knew.
const MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// How long a request waits for its core dump to be written.
const PATIENCE: Duration = Duration::from_secs(10);

/// A directory for core dumps.
#[derive(Debug)]
pub struct CoredumpDirectory {
    path: PathBuf,
    files: u64,
    /// The most memory of a guest, in bytes.
    size: u64,
    is_busy: AtomicBool,
}

/// Why there is no core dump.
#[derive(Debug, thiserror::Error)]
pub(in crate::runtime) enum NoCoredump {
    #[error("there are {files} in `{}` already", .directory.display())]
    Full { files: u64, directory: PathBuf },
    #[error("its memory has {0} bytes, more than `coredump_size`")]
    TooLarge(u64),
    #[error("another one is being written")]
    Busy,
    #[error("it has globals that a core dump cannot hold")]
    Unsupported,
    #[error("it takes too long to write it")]
    TooSlow,
    #[error("{0}")]
    Write(#[from] io::Error),
}

/// The turn of a core dump.
struct CoredumpTurn(Arc<CoredumpDirectory>);

impl Drop for CoredumpTurn {
    fn drop(&mut self) {
        self.0.is_busy.store(false, Ordering::Release);
    }
}

impl CoredumpDirectory {
    /// The directory at `path`, which is made if there is none. It may hold `files` core dumps, of guests with `size` bytes of memory at most.
    /// Fails if no file can be made there.
    pub fn open(path: &Path, files: u64, size: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)?;
        let probe = path.join(format!("probe-{}{PARTIAL}", std::process::id()));
        create(&probe)?;
        std::fs::remove_file(&probe)?;
        Ok(Self { path: path.to_owned(), files, size, is_busy: AtomicBool::new(false) })
    }

    /// Whether there could be a directory at `path`. Makes none. Fails if the nearest that is there is none, or cannot be written to.
    pub fn check(path: &Path) -> io::Result<()> {
        let path = std::path::absolute(path)?;
        let there = path.ancestors().find(|above| above.exists()).unwrap_or(&path);
        if !there.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(access(there, Access::WRITE_OK | Access::EXEC_OK)?)
    }

    fn take_turn(self: &Arc<Self>) -> Result<CoredumpTurn, NoCoredump> {
        match self.is_busy.swap(true, Ordering::Acquire) {
            false => Ok(CoredumpTurn(self.clone())),
            true => Err(NoCoredump::Busy),
        }
    }

    /// How many core dumps there are.
    fn count(&self) -> io::Result<u64> {
        let is_one = |entry: &io::Result<std::fs::DirEntry>| {
            entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with(SUFFIX))
        };
        Ok(std::fs::read_dir(&self.path)?.filter(is_one).count() as u64)
    }

    /// Writes the core dump of the request with this number. Returns its path.
    pub(in crate::runtime) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        request: u64,
        (dump, store): (&WasmCoreDump, &mut Store<T>),
        timer: &CpuTimer,
    ) -> Result<PathBuf, NoCoredump> {
        let turn = self.take_turn()?;
        // Reading a directory and copying a memory take longer than a guest may compute on a thread that serves.
        poll_fn(|_| timer.poll_background()).await;
        if self.count()? >= self.files {
            return Err(NoCoredump::Full { files: self.files, directory: self.path.clone() });
        }
        let size: u64 = dump.memories().iter().map(|memory| memory.data_size(&*store) as u64).sum();
        if size > self.size {
            return Err(NoCoredump::TooLarge(size));
        }
        if !is_supported(dump, &*store) {
            return Err(NoCoredump::Unsupported);
        }
        let bytes = dump.serialize(store, "guest");
        let (sender, receiver) = oneshot::channel();
        let path = self.path.join(format!("{request:016x}{SUFFIX}"));
        let target = path.clone();
        std::thread::Builder::new().name("wagi-coredump".into()).spawn(move || {
            let written = write(&target, &bytes);
            // The next request may trap as soon as this one has its response.
            drop(turn);
            // The receiver is gone if it took too long.
            let _ = sender.send(written);
        })?;
        match tokio::time::timeout(PATIENCE, receiver).await {
            Ok(Ok(written)) => Ok(written.map(|()| path)?),
            Ok(Err(_)) | Err(_) => Err(NoCoredump::TooSlow),
        }
    }
}

/// Whether the engine can write all of it: it knows no references to exceptions or continuations.
fn is_supported(dump: &WasmCoreDump, store: impl AsContext) -> bool {
    let is_known = |ty: &ValType| match ty {
        ValType::Ref(reference) => {
            matches!(reference.heap_type().top(), HeapType::Extern | HeapType::Func | HeapType::Any)
        }
        _ => true,
    };
    let globals = dump.globals().iter().all(|global| is_known(global.ty(&store).content()));
    let modules: Vec<_> = dump.instances().iter().map(|instance| instance.module(&store)).collect();
    let has_instance = |module| modules.iter().any(|known| wasmtime::Module::same(known, module));
    globals && dump.frames().iter().all(|frame| has_instance(frame.module()))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

/// Writes a file, which gets its name when it is complete.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(PARTIAL);
    let partial = PathBuf::from(partial);
    let written = create(&partial).and_then(|mut file| file.write_all(bytes));
    let named = written.and_then(|()| std::fs::rename(&partial, path));
    named.inspect_err(|_| {
        let _ = std::fs::remove_file(&partial);
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use crate::runtime::instance::debug::coredump::*;

    #[test]
    fn a_file_is_private_and_gets_its_name_when_it_is_complete() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().join("new/dumps");
        let dumps = Arc::new(CoredumpDirectory::open(&place, 2, 1).expect("a directory can be made"));
        write(&place.join("1.coredump"), b"abc").expect("it is written");
        let found = std::fs::metadata(place.join("1.coredump")).expect("a file");
        assert_eq!((found.len(), found.permissions().mode() & 0o777), (3, 0o600));
        assert_eq!(dumps.count().expect("a number"), 1);
        assert_eq!(std::fs::read_dir(&place).expect("a list").count(), 1);
    }

    #[test]
    fn one_is_written_at_a_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let dumps = Arc::new(CoredumpDirectory::open(directory.path(), 2, 1).expect("a directory"));
        let turn = dumps.take_turn().expect("the first");
        assert!(matches!(dumps.take_turn(), Err(NoCoredump::Busy)));
        drop(turn);
        assert!(dumps.take_turn().is_ok());
    }

    #[test]
    fn a_file_is_no_directory() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(CoredumpDirectory::open(file.path(), 1, 1).is_err());
        assert!(CoredumpDirectory::check(file.path()).is_err());
        assert!(CoredumpDirectory::check(&file.path().join("below")).is_err());
    }

    #[test]
    fn a_check_makes_no_directory() {
        let directory = tempfile::tempdir().expect("a directory");
        let place = directory.path().join("new/dumps");
        CoredumpDirectory::check(&place).expect("it could be made");
        assert!(!directory.path().join("new").exists());
    }
}
