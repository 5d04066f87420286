//! Which sockets does the process inherit?
//!
//! systemd, or another parent, opens them and keeps them: connections wait there while no server runs. So their files are
//! never removed here, and connections that wait at the end are left to the next server. The program takes them from its
//! environment; `Server::bind_inheriting` gets them.

use std::io;
use std::net;
use std::os::unix::net as unix;
use std::sync::Arc;

use tokio::net::UnixListener;

use crate::server::listener::{ListeningSocket, tcp};

/// A socket that the process inherits.
#[derive(Debug)]
pub struct InheritedSocket {
    /// The name that the parent gave it, for example by `FileDescriptorName=` in a socket unit.
    pub name: String,
    /// The socket.
    pub listener: InheritedListener,
}

/// A socket that listens, as the process inherits it.
#[derive(Debug)]
pub enum InheritedListener {
    /// A TCP port.
    Tcp(net::TcpListener),
    /// A Unix socket.
    Unix(unix::UnixListener),
}

/// The sockets that the process inherits, ready to be used.
pub(in crate::server) struct InheritedSockets(Vec<(String, Arc<ListeningSocket>)>);

impl InheritedSockets {
    /// Makes the sockets non-blocking, whatever their parent wants.
    pub(in crate::server) fn new(sockets: Vec<InheritedSocket>) -> io::Result<Self> {
        let sockets = sockets.into_iter().map(|InheritedSocket { name, listener }| {
            let socket = match listener {
                InheritedListener::Tcp(listener) => tcp::listening(listener)?,
                InheritedListener::Unix(listener) => {
                    listener.set_nonblocking(true)?;
                    ListeningSocket::Unix { listener: UnixListener::from_std(listener)?, file: None }
                }
            };
            Ok((name, Arc::new(socket)))
        });
        sockets.collect::<io::Result<_>>().map(Self)
    }

    pub(in crate::server) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sockets of this name, or all.
    pub(super) fn named(&self, name: Option<&str>) -> impl Iterator<Item = &Arc<ListeningSocket>> {
        self.0.iter().filter(move |(of, _)| name.is_none_or(|name| name == of)).map(|(_, socket)| socket)
    }

    /// The names, for a message.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.iter().map(|(name, _)| name.clone()).collect();
        names.dedup();
        names
    }
}
