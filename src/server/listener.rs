//! Where connections come from: an open port.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use crate::server::{Error, Peer};

/// How many bytes the system takes ahead of what it has sent; it asks for more when half of them are sent. With its own
/// default, megabytes, a client that reads slowly but steadily would make no progress that `send_timeout` can see for
/// minutes. Less would keep fast clients waiting for this process.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT: u32 = 64 << 10;

/// An open port.
pub(super) struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Opens the port.
    pub(super) async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source: io::Error| match source.kind() {
            ErrorKind::AddrInUse => Error::AddressInUse { address },
            _ => Error::Listen { address, source },
        };
        let tcp = TcpListener::bind(address).await.map_err(failed)?;
        limit_unsent(&tcp);
        let address = tcp.local_addr().map_err(failed)?;
        Ok(Self { tcp, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next connection. Returns its socket and the client at the other end.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, Peer)> {
        let (socket, remote) = self.tcp.accept().await?;
        // Fails only on a connection that is closed already, which its first read will tell.
        let _ = socket.set_nodelay(true);
        Ok((socket, Peer::new(remote)))
    }
}

/// Limits the unsent bytes of the connections, which inherit this from their listener. Fails only on systems that cannot.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn limit_unsent(listener: &TcpListener) {
    let _ = socket2::SockRef::from(listener).set_tcp_notsent_lowat(UNSENT);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn limit_unsent(_: &TcpListener) {}
