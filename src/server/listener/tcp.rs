//! How is a TCP port opened?

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::config::ListenAddress;
use crate::server::connection::socket::Socket;
use crate::server::listener::ListeningSocket;
use crate::server::listener::error::ListenError;

/// How many connections the system keeps for the server until it accepts them.
pub(super) const BACKLOG: i32 = 1024;

/// How many bytes the system takes ahead of what it has sent; it asks for more when half of them are sent. With its own
/// default, megabytes, a client that reads slowly but steadily would make no progress that `send_timeout` can see for
/// minutes. Less would keep fast clients waiting for this process.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 64 << 10;

/// Opens the port.
pub(super) fn open(
    address: &ListenAddress,
    port: SocketAddr,
    others: &[ListenAddress],
) -> Result<ListeningSocket, ListenError> {
    let opened = || -> io::Result<ListeningSocket> {
        let socket = socket2::Socket::new(Domain::for_address(port), Type::STREAM, Some(Protocol::TCP))?;
        // Otherwise connections of the server before this one would hold the port for a minute.
        socket.set_reuse_address(true)?;
        if leaves_ipv4_to_others(port, others) {
            socket.set_only_v6(true)?;
        }
        socket.bind(&port.into())?;
        socket.listen(BACKLOG)?;
        listening(socket.into())
    };
    opened().map_err(|source| ListenError::new(address, source))
}

/// The socket for a port that is open.
pub(super) fn listening(listener: std::net::TcpListener) -> io::Result<ListeningSocket> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    limit_unsent(&listener);
    let address = listener.local_addr()?;
    Ok(ListeningSocket::Tcp { listener, address })
}

/// An accepted connection, as it is used.
pub(super) fn socket(stream: TcpStream) -> Socket {
    // Fails only on a connection that is closed already, which its first read will tell.
    let _ = stream.set_nodelay(true);
    Socket::Tcp(stream)
}

/// Whether this is the IPv6 address that stands for all, and IPv4 clients of its port have a listener of their own.
fn leaves_ipv4_to_others(port: SocketAddr, others: &[ListenAddress]) -> bool {
    let mut others = others.iter().filter_map(ListenAddress::tcp);
    port.is_ipv6() && port.ip().is_unspecified() && others.any(|other| other.is_ipv4() && other.port() == port.port())
}

/// Lets the system ignore new clients of the port, while it finishes the handshakes under way. The clients try again after a
/// second, and find the port closed.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn hide(listener: &TcpListener) {
    use socket2::SockFilter;
    const LOAD_FLAGS: SockFilter = SockFilter::new(0x30, 0, 0, 13);
    const KEEP_SYN_AND_ACK: SockFilter = SockFilter::new(0x54, 0, 0, 0x12);
    const SKIP_UNLESS_SYN: SockFilter = SockFilter::new(0x15, 0, 1, 0x02);
    const DROP: SockFilter = SockFilter::new(0x06, 0, 0, 0);
    const TAKE: SockFilter = SockFilter::new(0x06, 0, 0, u32::MAX);
    // Without it, a client that connects at the very end may be reset.
    let _ =
        socket2::SockRef::from(listener).attach_filter(&[LOAD_FLAGS, KEEP_SYN_AND_ACK, SKIP_UNLESS_SYN, DROP, TAKE]);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn hide(_: &TcpListener) {}

/// Limits the unsent bytes of the connections, which inherit this from their listener. Fails only on systems that cannot.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn limit_unsent(listener: &TcpListener) {
    let _ = socket2::SockRef::from(listener).set_tcp_notsent_lowat(UNSENT);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn limit_unsent(_: &TcpListener) {}
