//! Which system calls does a connection take?
//!
//! `dial` decides what to ask for; tests answer in the system's place.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;

use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

/// An operation under way.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Where names and addresses lead.
pub(crate) trait Transport: Send + Sync {
    /// The addresses of a name, the preferred one first. `turn` is given back when the operation is over, also if
    /// nobody waits for it any more.
    fn lookup(&self, name: String, port: u16, turn: OwnedSemaphorePermit) -> Pending<Vec<SocketAddr>>;

    /// A connection to an address.
    fn connect(&self, address: SocketAddr) -> Pending<TcpStream>;
}

/// The one this machine is connected to, with the resolver of the system.
pub(crate) struct SystemTransport;

impl Transport for SystemTransport {
    fn lookup(&self, name: String, port: u16, turn: OwnedSemaphorePermit) -> Pending<Vec<SocketAddr>> {
        // The system's resolver blocks a thread and cannot be stopped: not even when time is up does it take less than
        // its own time, so that the turn goes with it.
        let lookup = spawn_blocking(move || {
            let _turn = turn;
            (name.as_str(), port).to_socket_addrs().map(Iterator::collect)
        });
        Box::pin(async move { lookup.await.unwrap_or_else(|stopped| Err(io::Error::other(stopped))) })
    }

    fn connect(&self, address: SocketAddr) -> Pending<TcpStream> {
        Box::pin(TcpStream::connect(address))
    }
}
