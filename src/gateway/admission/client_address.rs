//! Which client does a request belong to, when shares are counted?
//!
//! The shares of uploads and buffers take the address of a client only from here, and it comes from `Peer`. `forwarded` puts the
//! address that a trusted proxy names into `Peer`, so the shares use it too.

use std::net::IpAddr;

use http::request::Parts;

use crate::server::Peer;

/// A client, as shares are counted: an IPv4 address, or an IPv6 network of 64 bits, because a client usually has all addresses
/// of its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::gateway) struct ClientAddress(IpAddr);

impl ClientAddress {
    /// The client of a request. `None` if the program that embeds the gateway does not say it, and for a Unix socket, whose
    /// clients all look alike. Then there are no shares.
    pub fn from_head(head: &Parts) -> Option<Self> {
        head.extensions.get::<Peer>().and_then(Peer::client_key).map(Self)
    }
}

#[cfg(test)]
pub(in crate::gateway::admission) mod tests {
    use std::net::SocketAddr;

    use http::Request;

    use crate::gateway::admission::client_address::*;

    /// The client at 192.0.2.`last`.
    pub(in crate::gateway::admission) fn numbered(last: u8) -> Option<ClientAddress> {
        client(&format!("192.0.2.{last}:1"))
    }

    fn client(address: &str) -> Option<ClientAddress> {
        let address: SocketAddr = address.parse().expect("an address");
        let (head, ()) = Request::builder().extension(Peer::new(address)).body(()).expect("a request").into_parts();
        ClientAddress::from_head(&head)
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_each_address_of_ipv4() {
        assert_eq!(client("[2001:db8::1]:1"), client("[2001:db8::2]:2"));
        assert_ne!(client("[2001:db8::1]:1"), client("[2001:db8:0:1::1]:1"));
        assert_eq!(client("192.0.2.1:1"), client("192.0.2.1:2"));
        assert_ne!(client("192.0.2.1:1"), client("192.0.2.2:1"));
    }

    #[test]
    fn a_request_without_a_peer_has_no_client() {
        let (head, ()) = Request::new(()).into_parts();
        assert_eq!(ClientAddress::from_head(&head), None);
    }
}
