//! What is opened?
//!
//! A file below an open directory. The system itself refuses a path that leads out of the directory, by `..` or by a symlink, at
//! each step of the look-up (openat2 with RESOLVE_BENEATH), so it does not matter what others rename meanwhile. Opening does
//! not wait for a writer or a device, and what was opened is looked at before anything is read. It may wait for a disk, except below a
//! directory that is looked into only as far as the system has it in memory (RESOLVE_CACHED).

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

#[cfg(target_os = "linux")]
use rustix::fs::ResolveFlags;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// A directory, open since the configuration was loaded.
#[derive(Clone)]
pub(super) struct Root {
    directory: Arc<OwnedFd>,
    /// The device, if it is a disk or memory of this machine.
    device: Option<u64>,
    waiting: DiskWaiting,
}

/// Whether a look-up may wait for the file system.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DiskWaiting {
    Allowed,
    Never,
}

/// What a path leads to.
pub(super) enum OpenTarget {
    File(OpenFile),
    Directory,
}

/// What a path leads to, and its name there.
pub(super) struct NamedTarget {
    pub target: OpenTarget,
    /// That of what was opened, behind all symlinks. Empty for the directory itself.
    pub name: OsString,
}

/// Whether a look-up follows symlinks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Symlinks {
    /// Those that stay below the directory.
    Followed,
    Refused,
}

/// A regular file that is open.
pub(super) struct OpenFile {
    pub file: File,
    /// Whether it is on a disk or in memory of this machine, where reading what the system has in memory does not wait.
    pub is_local: bool,
    /// What the system said of it when it was opened.
    pub facts: FileFacts,
}

/// What tells one content of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileFacts {
    pub length: u64,
    /// In seconds since 1970, and nanoseconds.
    pub modified: (i64, i64),
    pub changed: (i64, i64),
    pub inode: u64,
}

/// Why there is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FileError {
    #[error("there is no such file")]
    Missing,
    #[error(transparent)]
    Refused(#[from] RefusedFile),
    #[error("the server has too many files open")]
    Busy,
    #[error("the file system takes too long")]
    TooSlow,
    /// Only below a directory where nothing may wait.
    #[error("the file system would have to be waited for")]
    WouldWait,
    #[error("the file cannot be opened: {0}")]
    Failed(Errno),
}

/// Why what is there is never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RefusedFile {
    #[error("it leads out of the directory")]
    Outside,
    #[error("it is no regular file")]
    NoRegularFile,
    #[error("its symlinks lead nowhere")]
    Symlinks,
    #[error("the server may not read it")]
    Unreadable,
    #[error("it may be the source of a script")]
    Source,
}

/// The numbers of file systems on disks and in memory: ext2 to ext4, XFS, Btrfs, F2FS, bcachefs, ZFS, overlayfs, tmpfs, SquashFS and EROFS.
#[cfg(target_os = "linux")]
const LOCAL_FILE_SYSTEMS: [i64; 10] = [
    0xef53,
    0x5846_5342,
    0x9123_683e,
    0xf2f5_2010,
    0xca45_1a4e,
    0x2fc1_2fc1,
    0x794c_7630,
    0x0102_1994,
    0x7371_7368,
    0xe0f5_e1e2,
];

/// How often a look-up is repeated that another process has disturbed by renaming.
const ATTEMPTS: usize = 16;

impl Root {
    /// Opens the directory at `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let device = local_device(&directory);
        Ok(Self { directory: Arc::new(directory), device, waiting: DiskWaiting::Allowed })
    }

    /// The same directory, for look-ups that fail with [`FileError::WouldWait`] instead of waiting, which they often can tell without
    /// need. `None` if they might wait all the same: a file system behind a network or another process asks it for each file.
    pub fn without_waiting(&self) -> Option<Self> {
        self.device.map(|_| Self { waiting: DiskWaiting::Never, ..self.clone() })
    }

    /// Opens what is at `path` below the directory.
    pub fn open_below(&self, path: &Path) -> Result<OpenTarget, FileError> {
        self.target(self.open_beneath(path, Symlinks::Followed)?)
    }

    /// The same, with the name of what was opened.
    pub fn open_named(&self, path: &Path) -> Result<NamedTarget, FileError> {
        // Without symlinks it has the name that was asked for.
        match self.open_beneath(path, Symlinks::Refused) {
            Ok(opened) => {
                let name = path.file_name().unwrap_or_default().to_owned();
                Ok(NamedTarget { target: self.target(opened)?, name })
            }
            Err(FileError::Refused(RefusedFile::Symlinks)) => {
                let file = self.open_beneath(path, Symlinks::Followed)?;
                let name = name_of(&file)?;
                Ok(NamedTarget { target: self.target(file)?, name })
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the regular file at `path` below the directory.
    pub fn file(&self, path: &Path) -> Result<OpenFile, FileError> {
        self.open_below(path)?.file()
    }

    fn open_beneath(&self, path: &Path, symlinks: Symlinks) -> Result<File, FileError> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let opened = match self.waiting {
            DiskWaiting::Allowed => open_beneath(&self.directory, path, symlinks),
            DiskWaiting::Never => open_cached(&self.directory, path, symlinks),
        };
        opened.map(File::from)
    }

    /// What was opened.
    fn target(&self, file: File) -> Result<OpenTarget, FileError> {
        let found = file.metadata().map_err(|error| FileError::of(&error))?;
        if found.is_dir() {
            return Ok(OpenTarget::Directory);
        }
        if !found.is_file() {
            return Err(FileError::Refused(RefusedFile::NoRegularFile));
        }
        let facts = FileFacts {
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
            inode: found.ino(),
        };
        Ok(OpenTarget::File(OpenFile { file, is_local: self.device == Some(found.dev()), facts }))
    }
}

impl OpenTarget {
    /// The file, if it is one.
    pub fn file(self) -> Result<OpenFile, FileError> {
        match self {
            Self::File(file) => Ok(file),
            Self::Directory => Err(FileError::Missing),
        }
    }
}

/// The name that an open file has now. Without `/proc` it is not known, and the file is not served.
fn name_of(file: &File) -> Result<OsString, FileError> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let path = path.map_err(|_| FileError::Refused(RefusedFile::Symlinks))?;
    Ok(path.file_name().unwrap_or_default().to_owned())
}

#[cfg(target_os = "linux")]
fn open_beneath(directory: &OwnedFd, path: &Path, symlinks: Symlinks) -> Result<OwnedFd, FileError> {
    for _ in 0..ATTEMPTS {
        match openat2(directory, path, symlinks, ResolveFlags::empty()) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened.map_err(FileError::from),
        }
    }
    Err(FileError::Busy)
}

/// The same without waiting: only what the system has in memory is looked at, and no other file system than that of the directory.
#[cfg(target_os = "linux")]
fn open_cached(directory: &OwnedFd, path: &Path, symlinks: Symlinks) -> Result<OwnedFd, FileError> {
    // Whatever is wrong may be wrong only with a look-up of this kind.
    openat2(directory, path, symlinks, ResolveFlags::CACHED | ResolveFlags::NO_XDEV).map_err(|error| match error {
        Errno::NOENT => FileError::Missing,
        _ => FileError::WouldWait,
    })
}

#[cfg(target_os = "linux")]
fn openat2(directory: &OwnedFd, path: &Path, symlinks: Symlinks, more: ResolveFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | more;
    resolve.set(ResolveFlags::NO_SYMLINKS, symlinks == Symlinks::Refused);
    rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve)
}

/// The device of an open directory, if its file system keeps its files on disks or in memory of this machine.
#[cfg(target_os = "linux")]
fn local_device(directory: &OwnedFd) -> Option<u64> {
    let kind = rustix::fs::fstatfs(directory).ok()?.f_type;
    if !LOCAL_FILE_SYSTEMS.contains(&kind) {
        return None;
    }
    rustix::fs::fstat(directory).ok().map(|found| found.st_dev)
}

/// Other systems have no such look-up.
#[cfg(not(target_os = "linux"))]
fn open_beneath(_: &OwnedFd, _: &Path, _: Symlinks) -> Result<OwnedFd, FileError> {
    let _ = ATTEMPTS;
    Err(FileError::Failed(Errno::NOSYS))
}

#[cfg(not(target_os = "linux"))]
fn open_cached(_: &OwnedFd, _: &Path, _: Symlinks) -> Result<OwnedFd, FileError> {
    Err(FileError::WouldWait)
}

#[cfg(not(target_os = "linux"))]
fn local_device(_: &OwnedFd) -> Option<u64> {
    None
}

impl From<Errno> for FileError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL => Self::Missing,
            Errno::XDEV => Self::Refused(RefusedFile::Outside),
            Errno::LOOP => Self::Refused(RefusedFile::Symlinks),
            Errno::ACCESS | Errno::PERM => Self::Refused(RefusedFile::Unreadable),
            Errno::NXIO | Errno::NODEV => Self::Refused(RefusedFile::NoRegularFile),
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::Busy,
            error => Self::Failed(error),
        }
    }
}

impl FileError {
    fn of(error: &io::Error) -> Self {
        Errno::from_io_error(error).map_or(Self::Failed(Errno::IO), Self::from)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use crate::regular_file::tests::make_pipe;
    use crate::static_files::root::*;

    fn outcome(root: &Root, path: &str) -> &'static str {
        match root.open_below(Path::new(path)) {
            Ok(OpenTarget::File(_)) => "file",
            Ok(OpenTarget::Directory) => "directory",
            Err(FileError::Missing) => "missing",
            Err(FileError::Refused(_)) => "refused",
            Err(_) => "failed",
        }
    }

    #[test]
    fn only_regular_files_below_the_directory_are_opened() {
        let outside = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| outside.path().join(name);
        fs::write(path("secret"), "secret").expect("writable");
        fs::create_dir_all(path("public/sub")).expect("writable");
        fs::write(path("public/file"), "content").expect("writable");
        make_pipe(&path("public/pipe"));
        for (target, link) in [
            ("file", "link"),
            ("sub/../file", "link-up-and-down"),
            ("../secret", "link-out"),
            ("..", "link-to-parent"),
            ("/etc/passwd", "link-absolute"),
            ("loop", "loop"),
            ("/proc/self/fd/0", "magic"),
            ("pipe", "link-to-pipe"),
            ("nothing", "dangling"),
        ] {
            symlink(target, path("public").join(link)).expect("writable");
        }
        let socket = std::os::unix::net::UnixListener::bind(path("public/socket")).expect("a socket");
        let root = Root::open(&path("public")).expect("a directory");
        for (name, expected) in [
            ("file", "file"),
            ("sub/../file", "file"),
            ("link", "file"),
            ("link-up-and-down", "file"),
            ("", "directory"),
            ("sub", "directory"),
            ("nothing", "missing"),
            ("dangling", "missing"),
            ("file/", "missing"),
            ("file/x", "missing"),
            ("../secret", "refused"),
            ("link-out", "refused"),
            ("link-to-parent/secret", "refused"),
            ("link-to-parent", "refused"),
            ("link-absolute", "refused"),
            ("/etc/passwd", "refused"),
            ("loop", "refused"),
            ("magic", "refused"),
            ("pipe", "refused"),
            ("link-to-pipe", "refused"),
            ("socket", "refused"),
        ] {
            assert_eq!(outcome(&root, name), expected, "{name}");
        }
        assert_eq!(outcome(&root, &"x".repeat(300)), "missing");
        drop(socket);
    }

    #[test]
    fn another_content_has_other_facts() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = Root::open(directory.path()).expect("a directory");
        let facts = |content: &str| {
            fs::write(directory.path().join("new"), content).expect("writable");
            fs::rename(directory.path().join("new"), directory.path().join("file")).expect("writable");
            root.file(Path::new("file")).expect("a file").facts
        };
        assert_ne!(facts("one"), facts("two"));
    }
}
