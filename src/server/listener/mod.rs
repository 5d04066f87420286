//! Where do connections come from? From TCP ports and Unix sockets.
//!
//! `Server::bind` and reloads open the `Listener`s of a configuration. `accept` takes connections from them.

pub(super) mod error;
pub(super) mod inherited;
pub(super) mod set;
mod tcp;
mod unix;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::{ListenAddress, WebServerProtocol};
use crate::server::connection::socket::Socket;
use crate::server::counters::ListenerCounters;
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
    pub(super) counters: Arc<ListenerCounters>,
}

/// A socket that listens.
enum ListeningSocket {
    Tcp {
        listener: TcpListener,
        address: SocketAddr,
    },
    /// Without a file if the socket is inherited.
    Unix {
        listener: UnixListener,
        file: Option<SocketFile>,
    },
}

/// What the connections of a listener are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListenerKind {
    /// TCP, with TLS if the server has a certificate.
    Port,
    /// TCP without TLS.
    PlainPort,
    UnixSocket,
    /// A web server speaks this protocol, over TCP or a Unix socket.
    WebServer(WebServerProtocol),
}

/// A connection that was accepted.
pub(super) struct Accepted {
    pub(super) socket: Socket,
    pub(super) peer: Peer,
    pub(super) kind: ListenerKind,
    pub(super) control: Arc<ConnectionControl>,
    pub(super) counters: Arc<ListenerCounters>,
}

impl Listener {
    /// Opens what `address` names. `others` are the addresses that the server listens on besides.
    fn open(address: &ListenAddress, others: &[ListenAddress]) -> Result<Self, ListenError> {
        let socket = match address.socket() {
            ListenAddress::Tcp(port) | ListenAddress::PlainTcp(port) => tcp::open(address, *port, others)?,
            ListenAddress::Unix(unix) => unix::open(unix)?,
            // `set` takes inherited sockets from those that there are.
            other => {
                let name = if let ListenAddress::Inherited(name) = other { name.clone() } else { None };
                return Err(ListenError::NothingInherited { name, inherited: Vec::new() });
            }
        };
        Ok(Self::new(address, Arc::new(socket)))
    }

    fn new(address: &ListenAddress, socket: Arc<ListeningSocket>) -> Self {
        let (control, counters) = (Arc::new(ConnectionControl::new()), Arc::default());
        Self { address: address.clone(), socket, control, counters }
    }

    /// The same socket with the settings in `address`. `None` if `address` names another socket.
    fn with_address(self: &Arc<Self>, address: &ListenAddress) -> Option<Arc<Self>> {
        if self.address == *address {
            return Some(Arc::clone(self));
        }
        self.address.is_same_socket(address).then(|| {
            let (socket, control) = (Arc::clone(&self.socket), Arc::clone(&self.control));
            Arc::new(Self { address: address.clone(), socket, control, counters: Arc::clone(&self.counters) })
        })
    }

    /// Whether `address` cannot be opened beside this listener.
    fn holds(&self, address: &ListenAddress) -> bool {
        match (&*self.socket, address.socket()) {
            (ListeningSocket::Tcp { address: own, .. }, _) => ListenAddress::Tcp(*own).overlaps(address),
            (ListeningSocket::Unix { file: Some(file), .. }, ListenAddress::Unix(unix)) => file.is_at(&unix.path),
            (ListeningSocket::Unix { .. }, _) => false,
        }
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
        let protocol = match &self.address {
            ListenAddress::WebServer(protocol, _) => protocol.as_str(),
            _ => "http",
        };
        match &*self.socket {
            ListeningSocket::Tcp { address, .. } if server_has_tls && self.kind() == ListenerKind::Port => {
                format!("https://{address}")
            }
            ListeningSocket::Tcp { address, .. } if protocol == "http" => format!("http://{address}"),
            ListeningSocket::Tcp { address, .. } => format!("{protocol}:{address}"),
            ListeningSocket::Unix { listener, file } => {
                let path = unix::path(listener, file.as_ref());
                if protocol == "http" { format!("unix:{path}") } else { format!("{protocol}:unix:{path}") }
            }
        }
    }

    pub(super) fn kind(&self) -> ListenerKind {
        match (&*self.socket, &self.address) {
            (_, ListenAddress::WebServer(protocol, _)) => ListenerKind::WebServer(*protocol),
            (ListeningSocket::Unix { .. }, _) => ListenerKind::UnixSocket,
            (_, ListenAddress::PlainTcp(_)) => ListenerKind::PlainPort,
            _ => ListenerKind::Port,
        }
    }

    /// Whether another process keeps the socket open.
    pub(super) fn is_inherited(&self) -> bool {
        matches!(self.address.socket(), ListenAddress::Inherited(_))
    }

    /// Keeps clients from connecting, where this process alone has the socket. Those that have connected can still be accepted:
    /// closing a port resets their connections, and they would lose what they have sent.
    pub(super) fn hide(&self) {
        match &*self.socket {
            _ if self.is_inherited() => {}
            ListeningSocket::Tcp { listener, .. } => tcp::hide(listener),
            ListeningSocket::Unix { file, .. } => file.iter().for_each(SocketFile::remove),
        }
    }

    /// Sets what a Unix socket that is kept may be set to anew.
    fn apply_settings(&self) {
        if let (ListeningSocket::Unix { file: Some(file), .. }, ListenAddress::Unix(unix)) =
            (&*self.socket, self.address.socket())
            && let Err(error) = file.set_access(unix)
        {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(path = %unix.path.display(), error, "mode and group of the socket stay");
        }
    }

    /// The next connection.
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let (socket, remote) = ready!(self.socket.poll_accept(cx))?;
        Poll::Ready(Ok(self.accepted(socket, remote)))
    }

    /// A connection that waits, if there is one. The system is asked, and not what tokio knows of the socket.
    pub(super) fn accept_now(&self) -> io::Result<Option<Accepted>> {
        let (socket, remote) = match self.socket.accept_now() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            accepted => accepted?,
        };
        Ok(Some(self.accepted(socket, remote)))
    }

    fn accepted(&self, socket: Socket, remote: RemoteAddress) -> Accepted {
        let local = match self.tcp_address() {
            // The client chose one of the addresses of this machine.
            Some(address) if address.ip().is_unspecified() => socket.local_address(),
            address => address,
        };
        let local = local.map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()));
        let peer = Peer { local, ..Peer::new(remote) };
        let (control, counters) = (Arc::clone(&self.control), Arc::clone(&self.counters));
        Accepted { socket, peer, kind: self.kind(), control, counters }
    }
}

impl ListeningSocket {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(Socket, RemoteAddress)>> {
        match self {
            Self::Tcp { listener, .. } => {
                let (stream, remote) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok((tcp::socket(stream), remote.into())))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(Ok((Socket::Unix(stream), RemoteAddress::Unix)))
            }
        }
    }

    fn accept_now(&self) -> io::Result<(Socket, RemoteAddress)> {
        match self {
            Self::Tcp { listener, .. } => {
                let (socket, remote) = SockRef::from(listener).accept()?;
                socket.set_nonblocking(true)?;
                let remote = remote.as_socket().ok_or(io::ErrorKind::InvalidData)?;
                Ok((tcp::socket(TcpStream::from_std(socket.into())?), remote.into()))
            }
            Self::Unix { listener, .. } => {
                let (socket, _) = SockRef::from(listener).accept()?;
                socket.set_nonblocking(true)?;
                Ok((Socket::Unix(UnixStream::from_std(socket.into())?), RemoteAddress::Unix))
            }
        }
    }
}
