//! Why is there no connection?

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use crate::net::connect::policy::AddressDenial;

/// Why there is no connection.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("no host to connect to")]
    NoHost,
    /// The policy does not allow the host, given with scheme and port.
    #[error("connections to `{0}` are not allowed")]
    HostDenied(String),
    /// The policy does not allow the address of the host.
    #[error("`{host}` is at {address}, where connections are not allowed")]
    AddressDenied { host: String, address: IpAddr, denial: AddressDenial },
    #[error("cannot resolve `{host}`")]
    Resolve { host: String, source: Arc<io::Error> },
    #[error("cannot connect")]
    Connect { host: String, source: Arc<io::Error> },
    #[error("cannot agree on TLS")]
    Tls { host: String, source: Arc<io::Error> },
}

impl ConnectError {
    /// Whether it may go away by itself within seconds.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Resolve { .. } | Self::Connect { .. })
    }
}
