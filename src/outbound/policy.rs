//! May this script call that host, at that address?
//!
//! Asked three times for each request: by `Client::destination` with the guest's URL, by `exchange` with every URL a
//! redirect leads to, and by `dial` with every address a name turns out to have. The last is what counts against names
//! that are answered differently the second time: the address that was looked at is the one that is connected to.
//!
//! A host in `allowed_hosts` is taken at its word, with bounds:
//!
//! | the address is | of a host listed by its name | of one below a listed `*.` | with `insecure:allow-all` |
//! | --- | --- | --- | --- |
//! | public | yes | yes | yes |
//! | private | yes | if the address is listed | yes |
//! | loopback | of `localhost`; else if the address or `localhost` is listed | the same | yes |
//! | multicast, documentation, reserved | if the address is listed | the same | yes |
//! | link-local, cloud metadata | if the address is listed | the same | no |
//!
//! Whoever may register a name below a listed `*.` chooses where it leads, hence the difference. An address is listed by
//! itself or by a range; the last row wants a range that holds nothing else, so that `0.0.0.0/0` does not open it.

use std::net::IpAddr;
use std::str;

use http::Uri;
use url::{Host, Position, Url};

use crate::config::AllowedHosts;
use crate::net::address::AddressClass;
use crate::outbound::Error;

/// A URL that a script may call.
#[derive(Clone, Debug)]
pub struct Destination(pub(super) Url);

/// Whom one script may call.
pub(super) struct Policy {
    allowed: AllowedHosts,
}

impl Policy {
    pub fn new(allowed: AllowedHosts) -> Self {
        Self { allowed }
    }

    /// Reads the URL of a guest.
    pub fn destination(&self, url: &[u8]) -> Result<Destination, Error> {
        let text = str::from_utf8(url).map_err(|_| Error::NotUtf8)?;
        let url = Url::parse(text).map_err(|_| Error::InvalidUrl)?;
        // Nobody needs a name before the host but who wants one host to look like another.
        if url.host().is_none() || has_user(&url) {
            return Err(Error::InvalidUrl);
        }
        self.admits_host(&url)?;
        Ok(Destination(url))
    }

    /// Whether the host of `url` may be called, as far as its name tells.
    pub fn admits_host(&self, url: &Url) -> Result<(), Error> {
        if !self.allowed.allows(url) {
            return Err(Error::HostNotAllowed(url[..Position::BeforePath].to_owned()));
        }
        match url.host() {
            Some(Host::Ipv4(address)) => self.admits_address(url, address.into()),
            Some(Host::Ipv6(address)) => self.admits_address(url, address.into()),
            _ => Ok(()),
        }
    }

    /// Whether the host of `url`, which may be called, may be called at `address`.
    pub fn admits_address(&self, url: &Url, address: IpAddr) -> Result<(), Error> {
        let admitted = match AddressClass::of(address) {
            AddressClass::Public => true,
            AddressClass::Private => self.allows_all() || self.allowed.names(url) || self.lists(url, address),
            AddressClass::Loopback => {
                self.allows_all() || is_localhost(url) || self.lists(url, address) || self.lists_localhost(url)
            }
            AddressClass::Reserved => self.allows_all() || self.lists(url, address),
            AddressClass::LinkLocal => self.lists_by_itself(url, address),
        };
        let refusal = || Error::AddressNotAllowed { host: url.host_str().unwrap_or_default().to_owned(), address };
        if admitted { Ok(()) } else { Err(refusal()) }
    }

    fn allows_all(&self) -> bool {
        self.allowed == AllowedHosts::All
    }

    fn lists(&self, url: &Url, address: IpAddr) -> bool {
        self.allowed.ranges(url, address).next().is_some()
    }

    /// Whether a listed range has `address` and begins and ends with addresses of its kind.
    fn lists_by_itself(&self, url: &Url, address: IpAddr) -> bool {
        let kind = AddressClass::of(address);
        self.allowed
            .ranges(url, address)
            .any(|range| [range.start(), range.end()].map(|&end| AddressClass::of(end)) == [kind; 2])
    }

    fn lists_localhost(&self, url: &Url) -> bool {
        let mut there = url.clone();
        there.set_host(Some("localhost")).is_ok() && self.allowed.names(&there)
    }
}

/// Whether a URL names somebody before the host.
pub(super) fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// The same URL as the HTTP library has it; the two must agree on who is called.
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
