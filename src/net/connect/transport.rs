//! Which system calls does a connection take? Tests answer in place of the system.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

/// An operation under way.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Resolves names and connects to addresses.
pub(crate) trait Transport: Send + Sync {
    /// The addresses of a name, the preferred one first. `permit` is released when the operation is over, also if its
    /// future is dropped before.
    fn lookup(&self, name: String, port: u16, permit: OwnedSemaphorePermit) -> Pending<Vec<SocketAddr>>;

    /// A connection to an address.
    fn connect(&self, address: SocketAddr) -> Pending<TcpStream>;
}

/// The network of this machine, with the resolver of the system.
pub(crate) struct SystemTransport;

impl Transport for SystemTransport {
    fn lookup(&self, name: String, port: u16, permit: OwnedSemaphorePermit) -> Pending<Vec<SocketAddr>> {
        // The system's resolver blocks a thread and cannot be stopped: it takes its own time even after ours is up, and
        // the permit stays with it.
        let lookup = spawn_blocking(move || {
            let _permit = permit;
            (name.as_str(), port).to_socket_addrs().map(Iterator::collect)
        });
        Box::pin(async move { lookup.await.unwrap_or_else(|stopped| Err(io::Error::other(stopped))) })
    }

    fn connect(&self, address: SocketAddr) -> Pending<TcpStream> {
        Box::pin(TcpStream::connect(address))
    }
}
