//! Where does a client send its requests from?
//!
//! From an IP address and a port, or from this machine over a Unix socket, which has no address. `server` finds it out,
//! `cgi` and `observe` write it.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What stands for the address of a client over a Unix socket, in REMOTE_ADDR and in the log.
const UNIX: &str = "unix:";

/// The remote end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteAddress {
    /// A client over TCP. Port 0 stands for a port that is not known. An IPv4 client has an IPv4 address, whatever the
    /// listening socket is.
    Ip(SocketAddr),
    /// A client over a Unix socket.
    Unix,
}

impl RemoteAddress {
    /// The IP address, if there is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip()),
            Self::Unix => None,
        }
    }

    /// The port, if there is one and it is known.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Ip(address) => Some(address.port()).filter(|port| *port > 0),
            Self::Unix => None,
        }
    }

    /// Appends the IP address without the port, or `unix:`.
    pub(crate) fn push_host(&self, text: &mut String) {
        match self {
            Self::Ip(address) => push_ip(text, address.ip()),
            Self::Unix => text.push_str(UNIX),
        }
    }
}

impl From<SocketAddr> for RemoteAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix => f.write_str(UNIX),
        }
    }
}

/// Appends an address as REMOTE_ADDR and SERVER_ADDR have it.
pub(crate) fn push_ip(text: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(address) => push_ipv4(text, address),
        // Writing to a string does not fail.
        IpAddr::V6(address) => {
            let _ = write!(text, "{address}");
        }
    }
}

/// Quickly: `std::fmt` takes ten times as many instructions, which shows where it is done for each request.
fn push_ipv4(text: &mut String, address: Ipv4Addr) {
    let [first, rest @ ..] = address.octets();
    push_octet(text, first);
    for octet in rest {
        text.push('.');
        push_octet(text, octet);
    }
}

#[inline]
fn push_octet(text: &mut String, octet: u8) {
    let digit = |place: u8| char::from(b'0' + octet / place % 10);
    if octet >= 100 {
        text.push(digit(100));
    }
    if octet >= 10 {
        text.push(digit(10));
    }
    text.push(digit(1));
}

#[cfg(test)]
mod tests {
    use crate::remote_address::*;

    #[test]
    fn a_client_has_an_address_and_perhaps_a_port() {
        for (address, host, port) in [
            ("192.0.2.1:80", "192.0.2.1", Some(80)),
            ("0.0.0.0:80", "0.0.0.0", Some(80)),
            ("10.20.255.9:80", "10.20.255.9", Some(80)),
            ("100.99.200.110:80", "100.99.200.110", Some(80)),
            ("[::1]:80", "::1", Some(80)),
            ("[2001:db8::a:0:0:1]:80", "2001:db8::a:0:0:1", Some(80)),
            ("192.0.2.1:0", "192.0.2.1", None),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1", Some(80)),
            ("[2001:db8::1]:80", "2001:db8::1", Some(80)),
        ] {
            let remote = RemoteAddress::from(address.parse::<SocketAddr>().expect(address));
            let mut text = String::new();
            remote.push_host(&mut text);
            assert_eq!((text.as_str(), remote.port()), (host, port), "{address}");
        }
        let mut text = String::new();
        RemoteAddress::Unix.push_host(&mut text);
        assert_eq!((text.as_str(), RemoteAddress::Unix.port()), ("unix:", None));
        assert_eq!(RemoteAddress::Unix.to_string(), "unix:");
    }
}
