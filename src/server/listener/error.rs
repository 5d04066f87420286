//! Why can the server not listen, and what can the operator do about it?

use std::io;
use std::path::PathBuf;

use crate::config::ListenAddress;

/// Why the server cannot listen on an address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Another program listens there already.
    #[error("address {address} is already in use")]
    InUse {
        /// The address.
        address: ListenAddress,
    },
    /// This server listens there already.
    #[error("address {address} is already in use by this server, which listens on {holder}")]
    HeldByServer {
        /// The address.
        address: ListenAddress,
        /// The one that is open.
        holder: ListenAddress,
    },
    /// There is a file in place of a Unix socket.
    #[error("cannot listen on unix:{}: the file is not a socket", path.display())]
    NotASocket {
        /// The file.
        path: PathBuf,
    },
    /// The process inherits no such socket.
    #[error("cannot listen on {}: {}", ListenAddress::Inherited(name.clone()), without(inherited))]
    NothingInherited {
        /// The name asked for.
        name: Option<String>,
        /// The names that there are.
        inherited: Vec<String>,
    },
    /// A socket that the process inherits cannot be used.
    #[error("cannot use an inherited socket")]
    Inherited(#[source] io::Error),
    /// The system refuses it for another reason.
    #[error("cannot listen on {address}")]
    System {
        /// The address.
        address: ListenAddress,
        /// The error of the system.
        source: io::Error,
    },
}

fn without(inherited: &[String]) -> String {
    match inherited {
        [] => "the process inherits no socket".to_owned(),
        names => format!("the process inherits sockets of other names only: {}", names.join(", ")),
    }
}

impl ListenError {
    /// The error of the system about this address.
    pub(super) fn new(address: &ListenAddress, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address: address.clone() },
            _ => Self::System { address: address.clone(), source },
        }
    }

    /// What the operator can do about it, where that is known.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::InUse { address: ListenAddress::Unix(_) } => {
                Some("another program accepts connections there: stop it, or choose another path")
            }
            Self::InUse { .. } => Some("stop the other program, choose another port, or use port 0 for any free one"),
            Self::HeldByServer { .. } => Some(
                "the system does not open both at once, not even during a reload: choose another port or path, or keep one of the \
                 two and restart the server",
            ),
            Self::NotASocket { .. } => {
                Some("it is not removed, since it may be needed: choose another path, or remove it")
            }
            Self::NothingInherited { .. } => {
                Some("start the server by a socket unit of systemd, with this name as its `FileDescriptorName=`")
            }
            Self::Inherited(_) => None,
            Self::System { address: ListenAddress::Unix(_), source } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    Some("the user of the server needs the right to write to the directory, and to give the group")
                }
                io::ErrorKind::NotFound => Some("make the directory of the socket"),
                _ => None,
            },
            Self::System { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => Some(
                    "ports below 1024 need a privilege: choose a higher one, or give the program the capability \
                     CAP_NET_BIND_SERVICE, in systemd with `AmbientCapabilities=CAP_NET_BIND_SERVICE`",
                ),
                io::ErrorKind::AddrNotAvailable => Some("no network interface of this machine has that address"),
                _ => None,
            },
        }
    }
}
