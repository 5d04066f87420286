//! May this guest call that host, at that address?
//!
//! Asked three times for each request: by `Client::destination` with the guest's URL, by `hop` with every URL a redirect
//! leads to, and by the connector with every address that a name resolves to. The last check is against names that
//! resolve to another address the second time: the connection goes to the address that was checked.
//!
//! The operator decides by `allowed_hosts`, except for addresses that need more than a name:
//!
//! | the address is | of a host listed by its name | of one below a listed `*.` | with `insecure:allow-all` |
//! | --- | --- | --- | --- |
//! | public | yes | yes | yes |
//! | private | yes | if the address is listed | yes |
//! | loopback | of `localhost`; else if the address or `localhost` is listed | the same | yes |
//! | multicast, documentation, reserved | if the address is listed | the same | yes |
//! | link-local, cloud metadata | if the address is listed | the same | no |
//!
//! A third party that can register names below a listed `*.` chooses the addresses of these names, so such a name is not enough. An
//! address is listed by itself or by a range. In the last row, a range counts only if it has no addresses of other classes, so
//! that `0.0.0.0/0` does not allow these addresses.
//!
//! Before all that, no guest may call an address that this process itself listens on.

use std::net::IpAddr;
use std::str;

use http::Uri;
use url::{Position, Url};

use crate::config::AllowedHosts;
use crate::net::connect::address::AddressClass;
use crate::net::connect::own_addresses::OwnAddresses;
use crate::net::connect::policy::{AddressDenial, ConnectPolicy};
use crate::net::url::{has_user, host_address};
use crate::outbound::error::Error;

/// A URL that a guest may call.
#[derive(Clone, Debug)]
pub struct Destination(pub(super) Url);

/// The hosts and addresses that the guests of one entry may call.
pub(super) struct Policy {
    allowed: AllowedHosts,
    own: OwnAddresses,
}

impl Policy {
    pub fn new(allowed: AllowedHosts, own: OwnAddresses) -> Self {
        Self { allowed, own }
    }

    /// Reads the URL of a guest.
    pub fn destination(&self, url: &[u8]) -> Result<Destination, Error> {
        let url = parse(url)?;
        self.check_host(&url)?;
        Ok(Destination(url))
    }

    /// Whether the host of `url` may be called, as far as its name tells.
    pub fn check_host(&self, url: &Url) -> Result<(), Error> {
        if !self.allowed.allows(url) {
            return Err(Error::HostNotAllowed(url[..Position::BeforePath].to_owned()));
        }
        let Some(address) = host_address(url) else { return Ok(()) };
        let host = || url.host_str().unwrap_or_default().to_owned();
        self.check_address(url, address).map_err(|denial| match denial {
            AddressDenial::NotAllowed => Error::AddressNotAllowed { host: host(), address },
            AddressDenial::OwnAddress => Error::OwnAddress { host: host(), address },
        })
    }

    fn allows_address(&self, url: &Url, address: IpAddr) -> bool {
        match AddressClass::from(address) {
            AddressClass::Public => true,
            AddressClass::Private => self.allows_all() || self.allowed.lists_exactly(url) || self.lists(url, address),
            AddressClass::Loopback => {
                self.allows_all() || is_localhost(url) || self.lists(url, address) || self.lists_localhost(url)
            }
            AddressClass::Reserved => self.allows_all() || self.lists(url, address),
            AddressClass::LinkLocal => self.lists_by_itself(url, address),
        }
    }

    fn allows_all(&self) -> bool {
        self.allowed == AllowedHosts::All
    }

    fn lists(&self, url: &Url, address: IpAddr) -> bool {
        self.allowed.ranges(url, address).next().is_some()
    }

    /// Whether a listed range has `address` and begins and ends with addresses of its class.
    fn lists_by_itself(&self, url: &Url, address: IpAddr) -> bool {
        let class = AddressClass::from(address);
        self.allowed
            .ranges(url, address)
            .any(|range| [range.start(), range.end()].map(|&end| AddressClass::from(end)) == [class; 2])
    }

    fn lists_localhost(&self, url: &Url) -> bool {
        let mut there = url.clone();
        there.set_host(Some("localhost")).is_ok() && self.allowed.lists_exactly(&there)
    }
}

impl ConnectPolicy for Policy {
    fn allows_host(&self, url: &Url) -> bool {
        self.check_host(url).is_ok()
    }

    /// Whether the host of `url`, which may be called, may be called at `address`.
    fn check_address(&self, url: &Url, address: IpAddr) -> Result<(), AddressDenial> {
        if url.port_or_known_default().is_none_or(|port| self.own.contain(address, port)) {
            return Err(AddressDenial::OwnAddress);
        }
        if self.allows_address(url, address) { Ok(()) } else { Err(AddressDenial::NotAllowed) }
    }
}

/// The URL of a guest, whether or not it may be called. Fails with [`Error::NotUtf8`] or [`Error::InvalidUrl`].
fn parse(url: &[u8]) -> Result<Url, Error> {
    let text = str::from_utf8(url).map_err(|_| Error::NotUtf8)?;
    let url = Url::parse(text).map_err(|_| Error::InvalidUrl)?;
    // A user name before the host serves only to make one host look like another.
    if url.host().is_none() || has_user(&url) {
        return Err(Error::InvalidUrl);
    }
    Ok(url)
}

impl Error {
    /// The error of a guest that may call no server at all and asked for `url`, of which the log shows no path: what is no URL is
    /// wrong whatever the guest may call.
    pub fn of_no_grant(url: &[u8]) -> Self {
        match parse(url) {
            Ok(url) => Self::HostNotAllowed(url[..Position::BeforePath].to_owned()),
            Err(error) => error,
        }
    }
}

/// The same URL as the HTTP library has it. The two must agree on the server.
pub(super) fn uri(url: &Url) -> Result<Uri, Error> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::Scheme(url.scheme().to_owned()));
    }
    let uri: Uri = url.as_str().parse().map_err(|_| Error::InvalidUrl)?;
    let same = uri.host() == url.host_str() && uri.port_u16() == url.port() && uri.scheme_str() == Some(url.scheme());
    if same { Ok(uri) } else { Err(Error::InvalidUrl) }
}

/// RFC 6761 §6.3: these names mean this machine.
fn is_localhost(url: &Url) -> bool {
    let name = url.domain().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "localhost" || name.ends_with(".localhost")
}
