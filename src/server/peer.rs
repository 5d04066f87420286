//! Who sends a request. The only place where the address of a client comes from.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The client that sent a request. Found among the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The remote end of the connection. An IPv4 client always has an IPv4 address, whatever the listening socket is.
    pub address: SocketAddr,
}

impl Peer {
    pub(in crate::server) fn new(remote: SocketAddr) -> Self {
        Self { address: SocketAddr::new(remote.ip().to_canonical(), remote.port()) }
    }

    /// The address by which the connections and the shares of one client are counted.
    ///
    /// An IPv6 client usually owns a whole /64 and could use a new address for every connection.
    pub(crate) fn client_key(&self) -> IpAddr {
        match self.address.ip() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 => v4,
        }
    }
}
