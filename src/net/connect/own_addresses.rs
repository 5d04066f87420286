//! Does this process itself listen at that address?
//!
//! Policies for guests ask before each connection: a guest that reached the server it runs in could pass limits on its clients,
//! or use what the server trusts because it comes from this machine. The server says where it listens, and says it again
//! when that changes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::net::connect::address;

/// The TCP addresses that this process listens on. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct OwnAddresses(Arc<ArcSwap<Listening>>);

#[derive(Clone, Default)]
struct Listening {
    /// Those that stay as long as the process.
    permanent: Vec<SocketAddr>,
    /// Those that a reload can change.
    server: Vec<SocketAddr>,
}

impl OwnAddresses {
    /// Adds addresses that are about to be opened.
    pub fn add(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        let mut listening = (**self.0.load()).clone();
        listening.server.extend(addresses);
        self.0.store(Arc::new(listening));
    }

    /// Adds addresses that stay.
    pub fn add_permanent(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        let mut listening = (**self.0.load()).clone();
        listening.permanent.extend(addresses);
        self.0.store(Arc::new(listening));
    }

    /// Replaces all addresses but those that stay.
    pub fn replace(&self, addresses: Vec<SocketAddr>) {
        let permanent = self.0.load().permanent.clone();
        self.0.store(Arc::new(Listening { permanent, server: addresses }));
    }

    /// Whether a connection to `address` and `port` can lead to this process.
    pub fn contain(&self, address: IpAddr, port: u16) -> bool {
        let listening = self.0.load();
        let mut own = listening.permanent.iter().chain(&listening.server).filter(|own| own.port() == port);
        own.any(|own| destinations(address).any(|destination| is_reached(own.ip().to_canonical(), destination)))
    }
}

/// Where a connection to this address may end up.
fn destinations(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let embedded = match address {
        IpAddr::V6(address) => address::embedded(address).map(IpAddr::V4),
        IpAddr::V4(_) => None,
    };
    // Systems connect to this machine if they are given an address of zeros.
    let concrete = |address: IpAddr| match address.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    };
    std::iter::once(address).chain(embedded).map(concrete)
}

/// Whether a listener at `own` accepts connections to `destination`.
fn is_reached(own: IpAddr, destination: IpAddr) -> bool {
    match own {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => destination.is_ipv4() && is_of_this_machine(destination),
        // Most systems let it accept IPv4 connections as well.
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => is_of_this_machine(destination),
        own => own == destination,
    }
}

/// Whether `address` is one of this machine. The system is asked each time, since interfaces come and go.
fn is_of_this_machine(address: IpAddr) -> bool {
    // No machine has these addresses, which are for documentation.
    let foreign: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    };
    // Some machines are set up so that any address can be bound; then it says nothing.
    address.is_loopback() || is_own_source(address) || can_bind(address) && !can_bind(foreign)
}

fn can_bind(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Whether packets to `address` would come from itself. None is sent.
fn is_own_source(address: IpAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == address)
}

#[cfg(test)]
mod tests {
    use crate::net::connect::own_addresses::*;

    fn own(addresses: &[&str]) -> OwnAddresses {
        let own = OwnAddresses::default();
        own.replace(addresses.iter().map(|address| address.parse().expect(address)).collect());
        own
    }

    fn contain(own: &OwnAddresses, address: &str) -> bool {
        let address: SocketAddr = address.parse().expect(address);
        own.contain(address.ip(), address.port())
    }

    #[test]
    fn a_listener_is_reached_by_its_address_in_every_form() {
        let own = own(&["127.0.0.1:3000", "[::1]:3001", "203.0.113.7:3002"]);
        for address in [
            "127.0.0.1:3000",
            "[::ffff:127.0.0.1]:3000",
            "[::127.0.0.1]:3000",
            "[64:ff9b::7f00:1]:3000",
            "[2002:7f00:1::]:3000",
            "0.0.0.0:3000",
            "[::ffff:0.0.0.0]:3000",
            "[::1]:3001",
            "[::]:3001",
            "203.0.113.7:3002",
            "[64:ff9b::cb00:7107]:3002",
        ] {
            assert!(contain(&own, address), "{address}");
        }
        for address in
            ["127.0.0.1:3001", "127.0.0.2:3000", "[::1]:3000", "[::]:3000", "203.0.113.8:3002", "8.8.8.8:3000"]
        {
            assert!(!contain(&own, address), "{address}");
        }
    }

    #[test]
    fn a_listener_at_all_addresses_is_reached_by_every_address_of_the_machine() {
        let source = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
            socket.connect("192.0.2.1:9")?;
            socket.local_addr()
        });
        let interface = source.ok().map(|source| format!("{}:3000", source.ip()));
        let v4 = own(&["0.0.0.0:3000"]);
        for address in ["127.0.0.1:3000", "127.9.8.7:3000", "0.0.0.0:3000", "[::ffff:127.0.0.1]:3000"] {
            assert!(contain(&v4, address), "{address}");
        }
        assert!(interface.is_none_or(|address| contain(&v4, &address)));
        for address in ["127.0.0.1:3001", "[::1]:3000", "192.0.2.1:3000", "8.8.8.8:3000"] {
            assert!(!contain(&v4, address), "{address}");
        }
        let v6 = own(&["[::]:3000"]);
        for address in ["[::1]:3000", "[::]:3000", "127.0.0.1:3000", "[::ffff:127.0.0.1]:3000"] {
            assert!(contain(&v6, address), "{address}");
        }
        assert!(!contain(&v6, "[2001:db8::1]:3000"));
    }

    #[test]
    fn addresses_come_and_go_but_for_those_that_stay() {
        let own = own(&["127.0.0.1:3000"]);
        own.add_permanent(["127.0.0.1:9901".parse().expect("an address")]);
        own.add(["127.0.0.1:3001".parse().expect("an address")]);
        let all = || ["127.0.0.1:3000", "127.0.0.1:3001", "127.0.0.1:9901"].map(|address| contain(&own, address));
        assert_eq!(all(), [true, true, true]);
        own.replace(vec!["127.0.0.1:3001".parse().expect("an address")]);
        assert_eq!(all(), [false, true, true]);
    }
}
