//! How is a file opened without waiting for another process?
//!
//! Opening a pipe waits for a process at its other end. So a path at which there may be something else than a file is opened
//! without waiting, and what was opened is looked at then: it may be something else than a check found before.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Where the system shows a process its own descriptors.
const OWN_DESCRIPTORS: [&str; 3] = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];

/// Opens the regular file at `path` for reading. A descriptor that the operator has passed on, such as `/dev/fd/63` of a shell's
/// `<(...)`, may be anything.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if OWN_DESCRIPTORS.iter().any(|own| path.starts_with(own)) {
        return File::open(path);
    }
    check(open_anything(path)?)
}

/// Opens the regular file at `path` for appending, and creates it if it does not exist.
pub(crate) fn open_to_append(path: &Path) -> io::Result<File> {
    check(without_waiting().create(true).append(true).open(path)?)
}

/// Opens what is at `path` for appending lines: a file, which is made if there is none, a pipe with a reader, or a device. The
/// group of the server may read a new file, others may not.
pub(crate) fn open_log(path: &Path) -> io::Result<File> {
    let opened = without_waiting().create(true).append(true).mode(0o640).open(path);
    let file = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::NXIO) => {
            io::Error::new(error.kind(), "it is a pipe that no process reads, or a socket")
        }
        _ => error,
    })?;
    if !file.metadata()?.is_file() {
        // Opening must not wait, but writing may.
        rustix::fs::fcntl_setfl(&file, OFlags::APPEND)?;
    }
    Ok(file)
}

/// Opens for reading what is at `path`, be it a directory or something else.
pub(crate) fn open_anything(path: &Path) -> io::Result<File> {
    without_waiting().read(true).open(path)
}

/// The bytes of the regular file at `path`: at most `limit`, and one more, by which a longer file is recognized.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Fails unless the open file is a regular one.
pub(crate) fn check(file: File) -> io::Result<File> {
    let error = match file.metadata()?.file_type() {
        kind if kind.is_file() => return Ok(file),
        kind if kind.is_dir() => "it is not a regular file, but a directory",
        _ => "it is not a regular file",
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn without_waiting() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    options
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use crate::regular_file::*;

    /// Makes a pipe at `path`. No process is at its other end.
    pub(crate) fn make_pipe(path: &Path) {
        mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a pipe");
    }

    #[test]
    fn only_regular_files_are_opened_and_no_process_is_waited_for() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| directory.path().join(name);
        make_pipe(&path("pipe"));
        fs::write(path("file"), "content").expect("writable");
        std::os::unix::fs::symlink(path("file"), path("link")).expect("writable");
        std::os::unix::fs::symlink(path("pipe"), path("link-to-pipe")).expect("writable");
        assert_eq!(read(&path("file"), 100).expect("a file"), b"content");
        assert_eq!(read(&path("link"), 3).expect("a file"), b"cont");
        for name in ["pipe", "link-to-pipe", ".", "missing"] {
            assert!(open(&path(name)).is_err(), "{name}");
        }
        assert!(open_to_append(&path("pipe")).is_err() && open_to_append(&path("new")).is_ok());
        assert!(
            open_log(&path("pipe")).is_err() && open_log(&path(".")).is_err() && open_log(&path("no/new")).is_err()
        );
        assert!(open_log(&path("log")).is_ok() && open_log(Path::new("/dev/null")).is_ok());
        assert!(open_anything(directory.path()).is_ok());
        assert!(open(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn a_descriptor_of_the_shell_may_be_a_pipe() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        io::Write::write_all(&mut writer, b"secret").expect("a reader");
        drop(writer);
        let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        assert_eq!(read(Path::new(&path), 100).expect("it is ours"), b"secret");
    }
}
