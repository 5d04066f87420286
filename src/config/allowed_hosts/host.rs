//! What does one entry of `allowed_hosts` stand for?
//!
//! | as it is written | hosts | scheme | port |
//! | --- | --- | --- | --- |
//! | `https://example.com:8443/path` | this one | any | any |
//! | `example.com`, `example.com:8443` | this one | any | any, this one |
//! | `*.example.com`, `*.example.com:8443` | all below it | any | any, this one |
//! | `https://*.example.com:8443` | all below it | this one | this one, else any |
//! | `10.0.0.1`, `[fd00::1]:8080` | this address | any | any, this one |
//! | `10.0.0.0/8`, `fd00::/8` | all addresses in it | any | any |
//!
//! WAGI knew URLs only, of which nothing but the host counted. That is what they still mean; the other forms never matched
//! anything there and are free to say more.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::{Host, Url};

/// The hosts that one entry allows, and at which scheme and port.
#[derive(Clone, PartialEq, Eq)]
pub struct AllowedHost {
    pub(super) hosts: Hosts,
    pub(super) scheme: Option<Scheme>,
    pub(super) port: Option<u16>,
}

/// One host or many.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Hosts {
    /// The host of this name, as a URL has it: lower case, punycode; without a dot at its end.
    Named(String),
    /// Every host whose name ends in this, which begins with a dot.
    Below(String),
    /// The addresses of a range, or a single one.
    Within(IpNet),
}

/// How a host is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// Why an entry is not a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Neither a URL with a host nor a bare host.
    #[error("`{0}` is neither a URL with a host nor a host name")]
    NoHost(String),
    /// A pattern of another form.
    #[error("`{0}` is a pattern of a form that is not known")]
    Pattern(String),
    /// There is more behind the host.
    #[error("`{0}` names a path, but paths are not compared")]
    Path(String),
    /// What stands behind the colon is no port.
    #[error("`{0}` has a port that is no number from 1 to 65535")]
    Port(String),
    /// A range of addresses that is none.
    #[error("`{0}` is no range of addresses")]
    Range(String),
    /// A range whose address has bits that do not count.
    #[error("`{0}` is not a range but an address within `{1}`")]
    WithinRange(String, String),
    /// A table whose host has a scheme, a port or a path.
    #[error("`{0}` is more than a host")]
    HostOnly(String),
    /// A scheme that cannot be called.
    #[error("`{0}` has a scheme that is neither `http` nor `https`")]
    Scheme(String),
}

impl HostError {
    /// What to write instead.
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
            Self::WithinRange(_, range) => format!("write `{range}`"),
            Self::HostOnly(_) => "write scheme and port as keys of their own".to_owned(),
            Self::Scheme(_) => "leave the scheme out to allow both".to_owned(),
        }
    }
}

impl AllowedHost {
    fn any_way(hosts: Hosts) -> Self {
        Self { hosts, scheme: None, port: None }
    }

    /// Whether `url` is one of those that the entry allows.
    pub(super) fn covers(&self, url: &Url) -> bool {
        self.is_for(url)
            && match (&self.hosts, url.host()) {
                (Hosts::Within(range), Some(Host::Ipv4(address))) => range.contains(&IpAddr::V4(address)),
                (Hosts::Within(range), Some(Host::Ipv6(address))) => {
                    let address = IpAddr::V6(address);
                    range.contains(&address) || range.contains(&address.to_canonical())
                }
                // So are addresses in URLs of schemes that are not the web's.
                (Hosts::Within(range), Some(Host::Domain(text))) => {
                    text.parse::<IpAddr>().is_ok_and(|address| range.contains(&address))
                }
                (Hosts::Named(name), Some(Host::Domain(host))) => without_dot(host) == name,
                (Hosts::Below(end), Some(Host::Domain(host))) => {
                    without_dot(host).strip_suffix(end.as_str()).is_some_and(|label| !label.is_empty())
                }
                _ => false,
            }
    }

    /// Whether the entry is for the scheme and the port of `url`.
    pub(super) fn is_for(&self, url: &Url) -> bool {
        self.scheme.is_none_or(|scheme| scheme.as_str() == url.scheme())
            && self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
    }

    /// Whether others choose the names that it stands for.
    pub(super) fn is_pattern(&self) -> bool {
        matches!(self.hosts, Hosts::Below(_))
    }

    /// The addresses it lists.
    pub(super) fn range(&self) -> Option<IpNet> {
        match self.hosts {
            Hosts::Within(range) => Some(range),
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
                Ok(Self { scheme: Some(scheme), ..bare(text, rest)? })
            }
            (_, Some(host)) => whole(host, text).map(Self::any_way),
            (Some(_), None) => Err(HostError::NoHost(text.to_owned())),
            (None, None) => bare(text, text),
        }
    }
}

impl FromStr for Scheme {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Http, Self::Https].into_iter().find(|scheme| scheme.as_str().eq_ignore_ascii_case(text)).ok_or(())
    }
}

impl FromStr for Hosts {
    type Err = HostError;

    /// Hosts without a scheme and a port.
    fn from_str(text: &str) -> Result<Self, HostError> {
        if let Some(range) = range(text) {
            return range;
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self::Within(address.into())),
            Err(_) if text.contains([':', '/']) && !text.starts_with('[') => Err(HostError::HostOnly(text.to_owned())),
            Err(_) => hosts(text, text),
        }
    }
}

/// What `text`, an entry or all of it behind its scheme, stands for. `entry` is what to complain about.
fn bare(entry: &str, text: &str) -> Result<AllowedHost, HostError> {
    if let Some(range) = range(text) {
        return range.map(AllowedHost::any_way);
    }
    let (authority, path) = text.split_once('/').unwrap_or((text, ""));
    if !path.is_empty() && !authority.is_empty() {
        return Err(HostError::Path(entry.to_owned()));
    }
    if authority.contains('@') {
        return Err(HostError::NoHost(entry.to_owned()));
    }
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon of an address is not one before a port.
        Some((host, _)) if host.starts_with('[') && !host.ends_with(']') => (authority, None),
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let hosts = hosts(entry, host)?;
    let number = |port: &str| port.parse().ok().filter(|number| *number != 0 && !port.starts_with('+'));
    let port = port.map(|port| number(port).ok_or_else(|| HostError::Port(entry.to_owned()))).transpose()?;
    Ok(AllowedHost { port, ..AllowedHost::any_way(hosts) })
}

/// A range of addresses, if `text` begins like one.
fn range(text: &str) -> Option<Result<Hosts, HostError>> {
    let (address, length) = text.split_once('/')?;
    if length.is_empty() || address.parse::<IpAddr>().is_err() {
        return None;
    }
    Some(match text.parse::<IpNet>() {
        Ok(range) if range.addr() == range.network() => Ok(Hosts::Within(range)),
        Ok(range) => Err(HostError::WithinRange(text.to_owned(), range.trunc().to_string())),
        Err(_) => Err(HostError::Range(text.to_owned())),
    })
}

/// The host `text`, or with a `*.` the hosts below it.
fn hosts(entry: &str, text: &str) -> Result<Hosts, HostError> {
    let parsed = whole(text.strip_prefix("*.").unwrap_or(text), entry)?;
    match parsed {
        Hosts::Named(name) if name.split('.').any(str::is_empty) => Err(HostError::NoHost(entry.to_owned())),
        Hosts::Named(name) if text.starts_with("*.") => Ok(Hosts::Below(format!(".{name}"))),
        Hosts::Within(_) if text.starts_with("*.") => Err(HostError::Pattern(entry.to_owned())),
        hosts => Ok(hosts),
    }
}

/// The host `text`, normalised as in a URL.
fn whole(text: &str, entry: &str) -> Result<Hosts, HostError> {
    if text.contains('*') {
        return Err(HostError::Pattern(entry.to_owned()));
    }
    match Host::parse(text).map_err(|_| HostError::NoHost(entry.to_owned()))? {
        Host::Domain(name) => Ok(Hosts::Named(without_dot(&name).to_owned())),
        Host::Ipv4(address) => Ok(Hosts::Within(IpAddr::V4(address).into())),
        Host::Ipv6(address) => Ok(Hosts::Within(IpAddr::V6(address).into())),
    }
}

/// The dot at the end of a name says that it is complete (RFC 1034 §3.1), as ours all are.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// As it could have been written.
impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{}://", scheme.as_str())?;
        }
        match &self.hosts {
            Hosts::Named(name) => f.write_str(name),
            Hosts::Below(end) => write!(f, "*{end}"),
            Hosts::Within(range) if range.prefix_len() < range.max_prefix_len() => write!(f, "{range}"),
            Hosts::Within(IpNet::V4(address)) => write!(f, "{}", address.addr()),
            Hosts::Within(IpNet::V6(address)) => write!(f, "[{}]", address.addr()),
        }?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}
