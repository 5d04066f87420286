//! Who sends a request, and how it reached the server. The only place where the address of a client is found.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::config::TrustedProxies;
use crate::server::RemoteAddress;

/// The client that sent a request, and how it reached the server. Found among the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The remote end of the connection.
    pub remote: RemoteAddress,
    /// The address of the server that the client reached. `None` for a Unix socket, and if it is not known.
    pub local: Option<SocketAddr>,
    /// The scheme of the URLs by which the client reached the server. `None` if the service has to know it.
    pub scheme: Option<RequestScheme>,
}

/// The scheme of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestScheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Peer {
    /// A client of which only the address is known.
    pub fn new(remote: impl Into<RemoteAddress>) -> Self {
        Self { remote: remote.into(), local: None, scheme: None }
    }

    /// Whether this is a proxy that is trusted.
    pub(crate) fn is_trusted(&self, proxies: &TrustedProxies) -> bool {
        self.remote.ip().map_or_else(|| proxies.contains_unix(), |ip| proxies.contains(ip))
    }

    /// The address by which the connections and the shares of one client are counted. `None` for a Unix socket: all its
    /// clients look alike.
    ///
    /// An IPv6 client usually owns a whole /64 and could use a new address for every connection.
    pub(crate) fn client_key(&self) -> Option<IpAddr> {
        Some(match self.remote.ip()? {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 => v4,
        })
    }
}
