//! From where to where does a connection go that a proxy forwards, as its PROXY header says?
//!
//! The PROXY protocol of HAProxy, versions 1 and 2. The header stands before everything else, TLS too. Reading never takes
//! a byte behind it: those belong to the client. Called by `server::connection` with the bytes that are there so far.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The most bytes of a header of version 1, with its end of line: the longest that the specification knows.
const MAX_LINE: usize = 107;
/// The most bytes that follow the beginning of a header of version 2. Behind the addresses proxies tell for example what
/// certificate a client has shown; that has a few KiB at most.
const MAX_REST: usize = 16 << 10;
/// The beginning of a header of version 2: signature, version and command, family and transport, length.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const BEGINNING: usize = SIGNATURE.len() + 4;
const PREFIX: &[u8] = b"PROXY ";
/// The size of a path of a Unix socket in a header of version 2.
const PATH: usize = 108;

/// What a proxy announces of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyHeader {
    /// Nothing: the proxy speaks for itself, or does not tell.
    Own,
    /// Its source and its destination.
    Ip { source: SocketAddr, destination: SocketAddr },
    /// It comes from a Unix socket.
    Unix,
}

/// Why bytes are not the beginning of a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadProxyHeader {
    #[error("there is no PROXY header")]
    Missing,
    #[error("the line of the PROXY header is not valid")]
    Line,
    #[error("the PROXY header is not of version 1 or 2")]
    Version,
    #[error("the PROXY header has an unknown command, family or transport")]
    Unknown,
    #[error("the PROXY header is shorter than its addresses")]
    Short,
    #[error("the PROXY header is longer than {} bytes", BEGINNING + MAX_REST)]
    Long,
}

/// Reads a header from the first bytes of a connection. Returns it with its length; `None` as long as it is not complete.
pub(crate) fn read_proxy_header(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, BadProxyHeader> {
    match bytes {
        [] => Ok(None),
        [b'P', ..] => read_line(bytes),
        _ => read_binary(bytes),
    }
}

/// Version 1: a line of text.
fn read_line(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, BadProxyHeader> {
    let known = bytes.len().min(PREFIX.len());
    if bytes[..known] != PREFIX[..known] {
        return Err(BadProxyHeader::Missing);
    }
    let within = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = within.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < MAX_LINE { Ok(None) } else { Err(BadProxyHeader::Line) };
    };
    let line = within.get(PREFIX.len()..end).and_then(|line| std::str::from_utf8(line).ok());
    let header = line.and_then(from_line).ok_or(BadProxyHeader::Line)?;
    Ok(Some((header, end + 2)))
}

/// What stands behind `PROXY `: the protocol, both addresses and both ports.
fn from_line(line: &str) -> Option<ProxyHeader> {
    let (protocol, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut parts = rest.split(' ');
    let mut address = || match protocol {
        "TCP4" => parts.next()?.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => parts.next()?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => None,
    };
    if protocol == "UNKNOWN" {
        return Some(ProxyHeader::Own);
    }
    let (source, destination) = (address()?, address()?);
    let (source_port, destination_port) = (port(parts.next()?)?, port(parts.next()?)?);
    let (source, destination) = (SocketAddr::new(source, source_port), SocketAddr::new(destination, destination_port));
    parts.next().is_none().then_some(ProxyHeader::Ip { source, destination })
}

/// A port without leading zeros.
fn port(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))).then_some(port)
}

/// Version 2: binary.
fn read_binary(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, BadProxyHeader> {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Err(BadProxyHeader::Missing);
    }
    if bytes.get(SIGNATURE.len()).is_some_and(|version| version >> 4 != 2) {
        return Err(BadProxyHeader::Version);
    }
    let Some((&[.., command, family, high, low], rest)) = bytes.split_first_chunk::<BEGINNING>() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_REST {
        return Err(BadProxyHeader::Long);
    }
    let Some(rest) = rest.get(..length) else { return Ok(None) };
    let header = match command & 0xf {
        0 => ProxyHeader::Own,
        1 => from_binary(family, rest)?,
        _ => return Err(BadProxyHeader::Unknown),
    };
    Ok(Some((header, BEGINNING + length)))
}

/// The addresses at the beginning of the rest. What stands behind them is for others; so is its checksum.
fn from_binary(family: u8, rest: &[u8]) -> Result<ProxyHeader, BadProxyHeader> {
    // The transport: not told, a stream, or datagrams, of which a proxy has made a stream.
    if family & 0xf > 2 {
        return Err(BadProxyHeader::Unknown);
    }
    match family >> 4 {
        0 => Ok(ProxyHeader::Own),
        1 => ip_addresses::<4>(rest),
        2 => ip_addresses::<16>(rest),
        3 if rest.len() < 2 * PATH => Err(BadProxyHeader::Short),
        3 => Ok(ProxyHeader::Unix),
        _ => Err(BadProxyHeader::Unknown),
    }
}

fn ip_addresses<const N: usize>(rest: &[u8]) -> Result<ProxyHeader, BadProxyHeader>
where
    IpAddr: From<[u8; N]>,
{
    let short = BadProxyHeader::Short;
    let (source, rest) = rest.split_first_chunk::<N>().ok_or(short)?;
    let (destination, rest) = rest.split_first_chunk::<N>().ok_or(short)?;
    let (&[a, b, c, d], _) = rest.split_first_chunk::<4>().ok_or(short)?;
    Ok(ProxyHeader::Ip {
        source: SocketAddr::new((*source).into(), u16::from_be_bytes([a, b])),
        destination: SocketAddr::new((*destination).into(), u16::from_be_bytes([c, d])),
    })
}
