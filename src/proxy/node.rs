//! Which of the addresses that proxies have written down is the client?
//!
//! Each proxy appends where its request came from, so the list is read from its end: an address of a trusted proxy vouches
//! for what stands before it. The first one that is not trusted is the client. What stands before that is the word of a
//! client, and is not looked at.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::config::TrustedProxies;
use crate::proxy::values::{Malformed, port};

/// One element of such a list (RFC 7239 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// An address. Port 0 stands for one that is not told.
    Address(SocketAddr),
    /// The peer of a Unix socket, as nginx writes it: `unix:`.
    Unix,
    /// What its proxy does not tell: `unknown`, or a name of its own such as `_edge`.
    Hidden,
}

impl Node {
    /// Reads an element. An IPv6 address stands in brackets, or alone where the field allows that.
    pub(super) fn parse(text: &str, is_plain_ipv6_allowed: bool) -> Result<Self, Malformed> {
        if text == "unix:" {
            return Ok(Self::Unix);
        }
        if let Some(ip) = text.parse::<Ipv6Addr>().ok().filter(|_| is_plain_ipv6_allowed) {
            return Ok(Self::Address(SocketAddr::new(ip.into(), 0)));
        }
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(Malformed)?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => node_port(port)?,
            None if port.is_empty() => None,
            None => return Err(Malformed),
        };
        let ip = if text.starts_with('[') {
            name.parse().map(IpAddr::V6).map_err(|_| Malformed)?
        } else if name.eq_ignore_ascii_case("unknown") || is_obfuscated(name) {
            return Ok(Self::Hidden);
        } else {
            name.parse().map(IpAddr::V4).map_err(|_| Malformed)?
        };
        Ok(Self::Address(SocketAddr::new(ip, port.unwrap_or(0))))
    }
}

/// A port of a node (RFC 7239 §6.3). One that its proxy does not tell is none.
fn node_port(text: &str) -> Result<Option<u16>, Malformed> {
    if is_obfuscated(text) { Ok(None) } else { port(text).map(|port| port.parse().ok()) }
}

/// A name that a proxy has made up (RFC 7239 §6.3).
fn is_obfuscated(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.len() > 1 && text.starts_with('_') && text.bytes().all(is_letter)
}

/// The client in a list that begins with what the nearest proxy has written. `None` if that proxy does not tell, or nothing
/// was written.
pub(super) fn client(
    nodes: impl Iterator<Item = Result<Node, Malformed>>,
    trusted: &TrustedProxies,
) -> Result<Option<SocketAddr>, Malformed> {
    let mut client = None;
    for node in nodes {
        match node? {
            Node::Unix if trusted.contains_unix() => {}
            Node::Unix | Node::Hidden => break,
            Node::Address(address) => {
                client = Some(address);
                if !trusted.contains(address.ip()) {
                    break;
                }
            }
        }
    }
    Ok(client)
}
