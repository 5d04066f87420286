//! Where do connections come from? From TCP ports and Unix sockets.
//!
//! `Server::bind` and reloads open the `Listener`s of a configuration. `accept` takes connections from them.

pub(super) mod error;
pub(super) mod set;
mod tcp;
mod unix;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, UnixListener};

use crate::config::ListenAddress;
use crate::server::connection::socket::Socket;
use crate::server::listener::error::ListenError;
use crate::server::listener::unix::SocketFile;
use crate::server::shutdown::ConnectionControl;
use crate::server::{Peer, RemoteAddress};

/// An open port or socket, and what its connections have in common.
pub(super) struct Listener {
    /// What the operator wrote. A reload keeps the listeners whose address stays.
    address: ListenAddress,
    socket: Arc<ListeningSocket>,
    pub(super) control: Arc<ConnectionControl>,
}

/// A socket that listens.
enum ListeningSocket {
    Tcp {
        listener: TcpListener,
        address: SocketAddr,
    },
    /// The file is removed after the socket is closed.
    Unix {
        listener: UnixListener,
        file: SocketFile,
    },
}

/// Whether the connections of a listener begin with a TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TlsUse {
    /// If the server has a certificate.
    IfConfigured,
    Never,
}

/// A connection that was accepted.
pub(super) struct Accepted {
    pub(super) socket: Socket,
    pub(super) peer: Peer,
    pub(super) tls: TlsUse,
    pub(super) control: Arc<ConnectionControl>,
}

impl Listener {
    /// Opens what `address` names. `others` are the addresses that the server listens on besides.
    fn open(address: &ListenAddress, others: &[ListenAddress]) -> Result<Self, ListenError> {
        let socket = match address {
            ListenAddress::Tcp(port) | ListenAddress::PlainTcp(port) => tcp::open(address, *port, others)?,
            ListenAddress::Unix(unix) => unix::open(unix)?,
            ListenAddress::Inherited(_) => return Err(ListenError::NothingInherited { address: address.clone() }),
        };
        Ok(Self { address: address.clone(), socket: Arc::new(socket), control: Arc::new(ConnectionControl::new()) })
    }

    /// The same socket with the settings in `address`. `None` if `address` names another socket.
    fn with_address(self: &Arc<Self>, address: &ListenAddress) -> Option<Arc<Self>> {
        if self.address == *address {
            return Some(Arc::clone(self));
        }
        is_same_socket(&self.address, address).then(|| {
            let (socket, control) = (Arc::clone(&self.socket), Arc::clone(&self.control));
            Arc::new(Self { address: address.clone(), socket, control })
        })
    }

    /// The port, or `None` for a Unix socket.
    pub(super) fn tcp_address(&self) -> Option<SocketAddr> {
        match &*self.socket {
            ListeningSocket::Tcp { address, .. } => Some(*address),
            ListeningSocket::Unix { .. } => None,
        }
    }

    /// How the ready line names the listener.
    pub(super) fn url(&self, server_has_tls: bool) -> String {
        match &*self.socket {
            ListeningSocket::Tcp { address, .. } if server_has_tls && self.tls() == TlsUse::IfConfigured => {
                format!("https://{address}")
            }
            ListeningSocket::Tcp { address, .. } => format!("http://{address}"),
            ListeningSocket::Unix { file, .. } => format!("unix:{}", file.path().display()),
        }
    }

    fn tls(&self) -> TlsUse {
        match (&*self.socket, &self.address) {
            (ListeningSocket::Unix { .. }, _) | (_, ListenAddress::PlainTcp(_)) => TlsUse::Never,
            _ => TlsUse::IfConfigured,
        }
    }

    /// The next connection.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let (socket, remote) = ready!(self.socket.poll_accept(cx))?;
        let local = match self.tcp_address() {
            // The client chose one of the addresses of this machine.
            Some(address) if address.ip().is_unspecified() => socket.local_address(),
            address => address,
        };
        let local = local.map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()));
        let peer = Peer { local, ..Peer::new(remote) };
        Poll::Ready(Ok(Accepted { socket, peer, tls: self.tls(), control: Arc::clone(&self.control) }))
    }
}

impl ListeningSocket {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, RemoteAddress)>> {
        match self {
            Self::Tcp { listener, .. } => {
                let (stream, remote) = ready!(listener.poll_accept(cx))?;
                // Fails only on a connection that is closed already, which its first read will tell.
                let _ = stream.set_nodelay(true);
                Poll::Ready(Ok((Socket::Tcp(stream), remote.into())))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok((Socket::Unix(stream), RemoteAddress::Unix)))
            }
        }
    }
}

/// Whether two addresses name one socket, with whatever settings.
fn is_same_socket(one: &ListenAddress, other: &ListenAddress) -> bool {
    use ListenAddress::{PlainTcp, Tcp, Unix};
    match (one, other) {
        (Tcp(one) | PlainTcp(one), Tcp(other) | PlainTcp(other)) => one == other,
        (Unix(one), Unix(other)) => one.path == other.path,
        _ => one == other,
    }
}
