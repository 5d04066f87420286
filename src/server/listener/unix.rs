//! How is a Unix socket opened, and who removes its file?
//!
//! The file of a server that has ended is replaced, that of one that runs is not. Mode and group are set before the socket
//! listens: nothing can connect earlier. At the end the file is removed if it is still the one that was made here. Until then
//! its mode and group may change, and never those of another file at its path.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use crate::config::{ListenAddress, UnixAddress};
use crate::server::listener::ListeningSocket;
use crate::server::listener::error::ListenError;
use crate::server::listener::tcp::BACKLOG;

/// How often another server may come first to a path that was free.
const ATTEMPTS: usize = 3;

/// The file of a Unix socket. Removed when dropped, unless another server has replaced it.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode of the file that was made here.
    made: (u64, u64),
}

impl SocketFile {
    /// Sets group and mode of the file. Fails if another one has taken its place; links are not followed.
    pub(super) fn set_access(&self, address: &UnixAddress) -> io::Result<()> {
        access::set(self, address.mode, address.group_id().map_err(io::Error::other)?)
    }

    /// Fails if this is another file, or a hard link to one that is no socket.
    fn check(&self, found: &Metadata) -> io::Result<()> {
        if identity(found) == self.made && found.file_type().is_socket() {
            return Ok(());
        }
        Err(io::Error::other(format!("another file has taken the place of `{}`", self.path.display())))
    }

    /// Whether the file is found at this path.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|found| identity(&found) == self.made)
    }

    /// Removes the file, unless another one has taken its place.
    pub(super) fn remove(&self) {
        if self.is_at(&self.path) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// How the ready line names the socket.
pub(super) fn path(listener: &UnixListener, file: Option<&SocketFile>) -> String {
    if let Some(file) = file {
        return file.path.display().to_string();
    }
    let address = listener.local_addr().ok();
    let path = address.as_ref().and_then(|address| address.as_pathname());
    // A socket in the abstract namespace of Linux has a name, and no file.
    path.map_or_else(|| "(no file)".to_owned(), |path| path.display().to_string())
}

/// Opens the socket.
pub(super) fn open(address: &UnixAddress) -> Result<ListeningSocket, ListenError> {
    let failed = |source| ListenError::new(&ListenAddress::Unix(address.clone()), source);
    let (socket, file) = bind(address)?;
    let listening = || -> io::Result<UnixListener> {
        file.set_access(address)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        UnixListener::from_std(socket.into())
    };
    Ok(ListeningSocket::Unix { listener: listening().map_err(failed)?, file: Some(file) })
}

/// Makes the file, with a socket that does not listen yet.
fn bind(address: &UnixAddress) -> Result<(Socket, SocketFile), ListenError> {
    let failed = |source| ListenError::new(&ListenAddress::Unix(address.clone()), source);
    for _ in 0..ATTEMPTS {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
        match SockAddr::unix(&address.path).and_then(|path| socket.bind(&path)) {
            Ok(()) => {
                let made = fs::symlink_metadata(&address.path).map_err(failed)?;
                return Ok((socket, SocketFile { path: address.path.clone(), made: identity(&made) }));
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => remove_stale(address)?,
            Err(error) => return Err(failed(error)),
        }
    }
    Err(ListenError::InUse { address: ListenAddress::Unix(address.clone()) })
}

/// Removes a socket that no process listens on.
fn remove_stale(address: &UnixAddress) -> Result<(), ListenError> {
    let failed = |source| ListenError::new(&ListenAddress::Unix(address.clone()), source);
    let found = match fs::symlink_metadata(&address.path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found.map_err(failed)?,
    };
    if !found.file_type().is_socket() {
        return Err(ListenError::NotASocket { path: address.path.clone() });
    }
    match connect(&address.path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            let still = fs::symlink_metadata(&address.path).is_ok_and(|now| identity(&now) == identity(&found));
            if still { fs::remove_file(&address.path).map_err(failed) } else { Ok(()) }
        }
        // Also a server that is too busy to take one more connection.
        _ => Err(ListenError::InUse { address: ListenAddress::Unix(address.clone()) }),
    }
}

/// Tries to connect, without waiting for a process that does not accept.
fn connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

/// How Linux sets the access of one file and no other: a descriptor stands for the file, whatever happens to its path.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod access {
    use std::fs::{self, File, Permissions};
    use std::io;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

    use rustix::fs::{Mode, OFlags, open};

    use crate::server::listener::unix::SocketFile;

    const MODE_BITS: u32 = 0o7777;

    pub fn set(file: &SocketFile, mode: u32, group: Option<u32>) -> io::Result<()> {
        let opened = File::from(open(&file.path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?);
        let found = opened.metadata()?;
        file.check(&found)?;
        // A descriptor of this kind has no mode to set, but its name has.
        let name = format!("/proc/self/fd/{}", opened.as_raw_fd());
        if group.is_some_and(|group| group != found.gid()) {
            chown(&name, None, group)?;
        }
        if found.mode() & MODE_BITS == mode { Ok(()) } else { fs::set_permissions(&name, Permissions::from_mode(mode)) }
    }
}

/// How other systems do it: by the path, without following a link.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod access {
    use std::fs;
    use std::io;
    use std::os::unix::fs::lchown;

    use rustix::fs::{AtFlags, CWD, Mode, RawMode, chmodat};

    use crate::server::listener::unix::SocketFile;

    pub fn set(file: &SocketFile, mode: u32, group: Option<u32>) -> io::Result<()> {
        file.check(&fs::symlink_metadata(&file.path)?)?;
        if group.is_some() {
            lchown(&file.path, None, group)?;
        }
        let mode = Mode::from_raw_mode(RawMode::try_from(mode).map_err(io::Error::other)?);
        Ok(chmodat(CWD, &file.path, mode, AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use crate::server::listener::unix::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("a file").permissions().mode() & 0o777
    }

    #[test]
    fn the_access_of_a_file_that_was_not_made_here_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let address = |mode| UnixAddress { path: at("a.sock"), mode, group: None };
        let (_socket, file) = bind(&address(0o660)).expect("a socket");
        file.set_access(&address(0o600)).expect("a mode");
        assert_eq!(mode(&at("a.sock")), 0o600);
        file.set_access(&address(0o666)).expect("a mode");
        assert_eq!(mode(&at("a.sock")), 0o666);
        fs::write(at("foreign"), "").expect("a file");
        fs::set_permissions(at("foreign"), Permissions::from_mode(0o400)).expect("a mode");
        fs::rename(at("a.sock"), at("moved.sock")).expect("a name");
        let refused = || file.set_access(&address(0o622)).expect_err("an error").to_string();
        fs::hard_link(at("foreign"), at("a.sock")).expect("a link");
        assert!(refused().contains("another file has taken the place"), "{}", refused());
        fs::remove_file(at("a.sock")).expect("a link");
        for target in ["foreign", "moved.sock"] {
            symlink(at(target), at("a.sock")).expect("a link");
            assert!(refused().contains("another file has taken the place"), "{}", refused());
            fs::remove_file(at("a.sock")).expect("a link");
        }
        assert!(file.set_access(&address(0o622)).is_err(), "there is no file");
        let (_other, other) = bind(&address(0o660)).expect("a socket");
        let before = mode(&at("a.sock"));
        assert!(refused().contains("another file has taken the place"), "{}", refused());
        assert_eq!((mode(&at("a.sock")), mode(&at("foreign")), mode(&at("moved.sock"))), (before, 0o400, 0o666));
        drop(other);
    }
}
