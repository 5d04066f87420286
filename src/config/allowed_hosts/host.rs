//! Which hosts does one item of `allowed_hosts` allow?
//!
//! | written | hosts | scheme | port |
//! | --- | --- | --- | --- |
//! | `https://example.com:8443/path` | this host | any | any |
//! | `example.com`, `example.com:8443` | this host | any | any; 8443 |
//! | `*.example.com`, `*.example.com:8443` | all subdomains | any | any; 8443 |
//! | `https://*.example.com:8443` | all subdomains | https | 8443 |
//! | `10.0.0.1`, `[fd00::1]:8080` | this address | any | any; 8080 |
//! | `10.0.0.0/8`, `fd00::/8` | all addresses in the range | any | any |
//!
//! WAGI 0.8 accepted URLs only, and compared only their host. URLs still mean that. The other forms never matched anything
//! in WAGI 0.8, so they can also restrict scheme and port. A scheme other than http and https is refused in each of them: guests call
//! over these two alone, so the item would allow something else than it says.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::{Host, Url};

/// One item of `allowed_hosts`. Without a scheme or port, every scheme or port is allowed.
#[derive(Clone, PartialEq, Eq)]
pub struct AllowedHost {
    pub(super) hosts: HostRange,
    pub(super) scheme: Option<Scheme>,
    pub(super) port: Option<u16>,
}

/// The hosts of an item.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum HostRange {
    /// The host with this name, as in a URL: lower case, punycode; without a dot at its end.
    Name(String),
    /// Every host whose name ends with this suffix, which begins with a dot.
    Subdomains(String),
    /// The addresses of a range, or a single address.
    Addresses(IpNet),
}

/// The scheme of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// Why a text is not a valid item.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Neither a URL with a host nor a host name.
    #[error("`{0}` is neither a URL with a host nor a host name")]
    NoHost(String),
    /// A `*` in another place than at the beginning.
    #[error("`{0}` is a pattern of a form that is not known")]
    Pattern(String),
    /// A path behind the host.
    #[error("`{0}` names a path, but paths are not compared")]
    Path(String),
    /// The text behind the colon is not a port.
    #[error("`{0}` has a port that is not a number from 1 to 65535")]
    Port(String),
    /// A range with an invalid prefix length.
    #[error("`{0}` is not a range of addresses")]
    Range(String),
    /// A range whose address has bits outside the prefix.
    #[error("`{0}` is not a range but an address within `{1}`")]
    HostBits(String, String),
    /// The `host` of a table with a scheme, a port or a path.
    #[error("`{0}` is more than a host")]
    HostOnly(String),
    /// A scheme other than http and https.
    #[error("`{0}` has a scheme that is neither `http` nor `https`")]
    Scheme(String),
}

impl HostError {
    /// Returns what to write instead.
    pub fn help(&self) -> String {
        match self {
            Self::NoHost(_) => {
                "write `https://example.com`, `example.com`, or `insecure:allow-all` for every host; IPv6 addresses are \
                 written in brackets"
                    .to_owned()
            }
            Self::Pattern(_) => "only `*.` at the beginning of a host name stands for other names: write \
                 `*.example.com`, or `insecure:allow-all` for every host"
                .to_owned(),
            Self::Path(_) => "leave the path out".to_owned(),
            Self::Port(_) => "leave the port out to allow every port".to_owned(),
            Self::Range(_) => "write `10.0.0.0/8` or `fd00::/8`".to_owned(),
            Self::HostBits(_, range) => format!("write `{range}`"),
            Self::HostOnly(_) => "write scheme and port as keys of their own".to_owned(),
            Self::Scheme(_) => "guests call over `http` and `https`: leave the scheme out to allow both".to_owned(),
        }
    }
}

impl AllowedHost {
    /// Creates an item for every scheme and port.
    fn new(hosts: HostRange) -> Self {
        Self { hosts, scheme: None, port: None }
    }

    /// Returns whether the item allows `url`.
    pub(super) fn matches(&self, url: &Url) -> bool {
        self.matches_scheme_and_port(url)
            && match (&self.hosts, url.host()) {
                (HostRange::Addresses(range), Some(Host::Ipv4(address))) => range.contains(&IpAddr::V4(address)),
                (HostRange::Addresses(range), Some(Host::Ipv6(address))) => {
                    let address = IpAddr::V6(address);
                    range.contains(&address) || range.contains(&address.to_canonical())
                }
                // URLs with a scheme other than those of the web have their addresses as text.
                (HostRange::Addresses(range), Some(Host::Domain(text))) => {
                    text.parse::<IpAddr>().is_ok_and(|address| range.contains(&address))
                }
                (HostRange::Name(name), Some(Host::Domain(host))) => without_dot(host) == name,
                (HostRange::Subdomains(end), Some(Host::Domain(host))) => {
                    without_dot(host).strip_suffix(end.as_str()).is_some_and(|label| !label.is_empty())
                }
                _ => false,
            }
    }

    /// Returns whether the item allows the scheme and the port of `url`.
    pub(super) fn matches_scheme_and_port(&self, url: &Url) -> bool {
        self.scheme.is_none_or(|scheme| scheme.as_str() == url.scheme())
            && self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
    }

    /// Returns whether the item has a `*.`: then the owner of the domain chooses the names that it allows.
    pub(super) fn is_wildcard(&self) -> bool {
        matches!(self.hosts, HostRange::Subdomains(_))
    }

    /// Returns the range of addresses of the item.
    pub(super) fn range(&self) -> Option<IpNet> {
        match self.hosts {
            HostRange::Addresses(range) => Some(range),
            _ => None,
        }
    }
}

impl Scheme {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl FromStr for AllowedHost {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        let url = Url::parse(text).ok().filter(Url::has_host);
        match (text.split_once("://"), url.as_ref().and_then(Url::host_str)) {
            (Some((scheme, rest)), host) if rest.starts_with("*.") || host.is_some_and(|host| host.contains('*')) => {
                let scheme = scheme.parse().map_err(|()| HostError::Scheme(text.to_owned()))?;
                Ok(Self { scheme: Some(scheme), ..without_scheme(text, rest)? })
            }
            (_, Some(host)) => {
                let scheme = url.as_ref().map_or("", Url::scheme).parse::<Scheme>();
                scheme.map_err(|()| HostError::Scheme(text.to_owned()))?;
                single_host(text, host).map(Self::new)
            }
            (Some(_), None) => Err(HostError::NoHost(text.to_owned())),
            (None, None) => without_scheme(text, text),
        }
    }
}

impl FromStr for Scheme {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Http, Self::Https].into_iter().find(|scheme| scheme.as_str().eq_ignore_ascii_case(text)).ok_or(())
    }
}

impl FromStr for HostRange {
    type Err = HostError;

    /// Parses hosts without a scheme and a port.
    fn from_str(text: &str) -> Result<Self, HostError> {
        if let Some(range) = range(text) {
            return range;
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Addresses(address.into())),
            Err(_) if text.contains([':', '/']) && !text.starts_with('[') => Err(HostError::HostOnly(text.to_owned())),
            Err(_) => host_pattern(text, text),
        }
    }
}

/// Parses `text`, which is an `entry` without its scheme. Errors quote `entry`.
fn without_scheme(entry: &str, text: &str) -> Result<AllowedHost, HostError> {
    if let Some(range) = range(text) {
        return range.map(AllowedHost::new);
    }
    let (authority, path) = text.split_once('/').unwrap_or((text, ""));
    if !path.is_empty() && !authority.is_empty() {
        return Err(HostError::Path(entry.to_owned()));
    }
    if authority.contains('@') {
        return Err(HostError::NoHost(entry.to_owned()));
    }
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon within the brackets of an IPv6 address is not followed by a port.
        Some((host, _)) if host.starts_with('[') && !host.ends_with(']') => (authority, None),
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let hosts = host_pattern(entry, host)?;
    let number = |port: &str| port.parse().ok().filter(|number| *number != 0 && !port.starts_with('+'));
    let port = port.map(|port| number(port).ok_or_else(|| HostError::Port(entry.to_owned()))).transpose()?;
    Ok(AllowedHost { port, ..AllowedHost::new(hosts) })
}

/// Parses a range of addresses; `None` if `text` does not begin with an address and a slash.
fn range(text: &str) -> Option<Result<HostRange, HostError>> {
    let (address, length) = text.split_once('/')?;
    if length.is_empty() || address.parse::<IpAddr>().is_err() {
        return None;
    }
    Some(match text.parse::<IpNet>() {
        Ok(range) if range.addr() == range.network() => Ok(HostRange::Addresses(range)),
        Ok(range) => Err(HostError::HostBits(text.to_owned(), range.trunc().to_string())),
        Err(_) => Err(HostError::Range(text.to_owned())),
    })
}

/// Parses a host, or a pattern that begins with `*.`. Errors quote `entry`.
fn host_pattern(entry: &str, text: &str) -> Result<HostRange, HostError> {
    let parsed = single_host(entry, text.strip_prefix("*.").unwrap_or(text))?;
    match parsed {
        HostRange::Name(name) if name.split('.').any(str::is_empty) => Err(HostError::NoHost(entry.to_owned())),
        HostRange::Name(name) if text.starts_with("*.") => Ok(HostRange::Subdomains(format!(".{name}"))),
        HostRange::Addresses(_) if text.starts_with("*.") => Err(HostError::Pattern(entry.to_owned())),
        hosts => Ok(hosts),
    }
}

/// Parses a host and normalizes it as in a URL. Errors quote `entry`.
fn single_host(entry: &str, text: &str) -> Result<HostRange, HostError> {
    if text.contains('*') {
        return Err(HostError::Pattern(entry.to_owned()));
    }
    match Host::parse(text).map_err(|_| HostError::NoHost(entry.to_owned()))? {
        Host::Domain(name) => Ok(HostRange::Name(without_dot(&name).to_owned())),
        Host::Ipv4(address) => Ok(HostRange::Addresses(IpAddr::V4(address).into())),
        Host::Ipv6(address) => Ok(HostRange::Addresses(IpAddr::V6(address).into())),
    }
}

/// Removes the dot at the end of a name. It marks a complete name (RFC 1034 §3.1), and all names here are complete.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The item as it can be written in a configuration.
impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{}://", scheme.as_str())?;
        }
        match &self.hosts {
            HostRange::Name(name) => f.write_str(name),
            HostRange::Subdomains(end) => write!(f, "*{end}"),
            HostRange::Addresses(range) if range.prefix_len() < range.max_prefix_len() => write!(f, "{range}"),
            HostRange::Addresses(IpNet::V4(address)) => write!(f, "{}", address.addr()),
            HostRange::Addresses(IpNet::V6(address)) => write!(f, "[{}]", address.addr()),
        }?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
