//! Which connection does a trusted proxy forward?
//!
//! The proxy says so in a PROXY header, which stands before everything else, TLS too. The address that it announces is from then
//! on that of the peer. Peers that are not trusted are refused. Called for each connection if `proxy_protocol = true`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::TrustedProxies;
use crate::proxy::{BadProxyHeader, ProxyHeader, read_proxy_header};
use crate::server::connection::io::ConnectionIo;
use crate::server::{Peer, RemoteAddress};

/// How long a proxy may take for its header. It sends it at once: only the network takes time.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a connection is closed instead.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unannounced {
    #[error("the peer is not in `trusted_proxies`")]
    NotTrusted,
    #[error(transparent)]
    Header(#[from] BadProxyHeader),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads the header, and nothing behind it. Returns the peer as the proxy announces it.
pub(super) async fn receive(io: &mut ConnectionIo, peer: Peer, trusted: &TrustedProxies) -> Result<Peer, Unannounced> {
    if !peer.is_trusted(trusted) {
        return Err(Unannounced::NotTrusted);
    }
    let mut known = 0;
    loop {
        let bytes = io.peek(known).await?;
        if bytes.len() == known {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        known = bytes.len();
        if let Some((header, length)) = read_proxy_header(bytes)? {
            io.consume(length);
            return Ok(announced(peer, header));
        }
    }
}

fn announced(peer: Peer, header: ProxyHeader) -> Peer {
    match header {
        ProxyHeader::Own => peer,
        ProxyHeader::Ip { source, destination } => {
            let local = SocketAddr::new(destination.ip().to_canonical(), destination.port());
            Peer { remote: source.into(), local: Some(local), ..peer }
        }
        ProxyHeader::Unix => Peer { remote: RemoteAddress::Unix, local: None, ..peer },
    }
}
