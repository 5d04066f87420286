//! How is a Unix socket opened, and who removes its file?
//!
//! The file of a server that has ended is replaced, that of one that runs is not. Mode and group are set before the socket
//! listens: nothing can connect earlier. At the end the file is removed if it is still the one that was made here.

use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
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
    /// Removes the file, unless another one has taken its place.
    pub(super) fn remove(&self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.made) {
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
        set_access(address)?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        UnixListener::from_std(socket.into())
    };
    Ok(ListeningSocket::Unix { listener: listening().map_err(failed)?, file: Some(file) })
}

/// Sets group and mode of the file.
pub(super) fn set_access(address: &UnixAddress) -> io::Result<()> {
    if let Some(group) = &address.group {
        std::os::unix::fs::lchown(&address.path, None, Some(group_id(group)?))?;
    }
    fs::set_permissions(&address.path, Permissions::from_mode(address.mode))
}

/// The number of a group, which may be written by its name or its number.
fn group_id(group: &str) -> io::Result<u32> {
    let by_name = || uzers::get_group_by_name(group).map(|group| group.gid());
    let unknown = || io::Error::new(ErrorKind::InvalidInput, format!("there is no group `{group}`"));
    group.parse().ok().or_else(by_name).ok_or_else(unknown)
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

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
