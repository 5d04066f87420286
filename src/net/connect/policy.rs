//! May a connection be made to that host, at that address?

use std::net::IpAddr;

use url::Url;

use crate::net::connect::address::AddressClass;

/// Which connections may be made. Asked about the host of a URL, and then about each of its addresses.
pub(crate) trait ConnectPolicy: Send + Sync {
    /// Whether the host of `url` may be connected to, as far as its name tells.
    fn allows_host(&self, url: &Url) -> bool;

    /// Whether the host of `url` may be connected to at `address`.
    fn check_address(&self, url: &Url, address: IpAddr) -> Result<(), AddressDenial>;
}

/// Why no connection is made to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressDenial {
    /// It is not allowed.
    NotAllowed,
    /// This process itself listens there.
    OwnAddress,
}

/// The policy for registries and bindle servers, by who has named the host: any host may be called, but only the operator
/// may send wagi to where clouds tell their machines secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamedBy {
    /// The operator, in the configuration or on the command line.
    Operator,
    /// A server, in a redirect or in another field of a response.
    Server,
}

impl ConnectPolicy for NamedBy {
    fn allows_host(&self, _: &Url) -> bool {
        true
    }

    fn check_address(&self, _: &Url, address: IpAddr) -> Result<(), AddressDenial> {
        let is_allowed = *self == Self::Operator || AddressClass::from(address) != AddressClass::LinkLocal;
        if is_allowed { Ok(()) } else { Err(AddressDenial::NotAllowed) }
    }
}
