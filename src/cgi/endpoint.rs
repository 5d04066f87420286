//! Under which scheme, name and port does a guest see the server?
//!
//! RFC 3875 §4.1.14 and §4.1.15. The authority that the client used comes first: that of the request target (also HTTP/2's
//! `:authority`) or, without one, the Host field (RFC 9112 §3.2.2). Then comes `--hostname`. `startup` makes the endpoint,
//! `gateway` reads the [`Host`] of each request once, and `meta_variables` uses both.

use std::net::Ipv6Addr;

use http::header::{HOST, HeaderMap};
use http::uri::{Authority, Uri};

/// The default of `--hostname`.
const DEFAULT_HOSTNAME: &str = "localhost:3000";

/// The server as its clients address it: the scheme, and the name and port for requests that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    https: bool,
    name: Option<String>,
    /// Whether the operator chose the name.
    is_named: bool,
    port: Option<String>,
    /// The port for a request whose authority has none. `None` means the port of the scheme.
    default_port: Option<String>,
}

/// SERVER_NAME and SERVER_PORT of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerAddress<'a> {
    pub(super) name: &'a str,
    pub(super) port: &'a str,
}

impl Endpoint {
    /// An endpoint for HTTPS or plain HTTP. `hostname` is the value of `--hostname`: a name with or without a port, or the
    /// empty text for no name of our own.
    pub fn new(https: bool, hostname: Option<&str>) -> Self {
        let (name, port) = split_authority(hostname.unwrap_or(DEFAULT_HOSTNAME));
        let port = port.map(str::to_owned);
        let name = (!name.is_empty()).then(|| name.to_owned());
        // The default says nothing about the port of a name that the client used.
        let default_port = hostname.and(port.clone());
        let is_named = hostname.is_some() && name.is_some();
        Self { https, name, is_named, port, default_port }
    }

    /// The same server over HTTPS, if this is plain HTTP, or over plain HTTP.
    pub(crate) fn of_other_scheme(&self) -> Self {
        Self { https: !self.https, ..self.clone() }
    }

    /// Whether clients use TLS.
    pub(super) fn is_https(&self) -> bool {
        self.https
    }

    /// The URL scheme.
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// The authority of this server's URLs: the one that the client used or, if that is missing or not valid, our own
    /// name and port.
    pub fn authority(&self, uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
        let addressed = addressed(uri, headers).map(without_userinfo);
        let addressed =
            addressed.and_then(|text| text.parse().ok()).filter(|addressed: &Authority| !addressed.host().is_empty());
        addressed.or_else(|| {
            let name = self.name.as_deref().unwrap_or("localhost");
            self.port.as_ref().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}")).parse().ok()
        })
    }

    /// The host that a request is for, for comparison with the hosts of entries: the one that it names or, if it names none, the
    /// one that the operator named. A port that is not written is that of the scheme.
    pub fn requested<'a>(&'a self, host: Option<Host<'a>>) -> Option<RequestedHost<'a>> {
        let own_name = self.name.as_deref().filter(|_| self.is_named);
        let (name, port) = match host {
            Some(Host { name, port }) if !name.is_empty() => (Some(name), Some(port)),
            Some(Host { port, .. }) => (own_name, Some(port)),
            None => (own_name, self.port.as_deref()),
        };
        let of_scheme = if self.https { 443 } else { 80 };
        Some(RequestedHost { name: name?, port: port.and_then(|port| port.parse().ok()).unwrap_or(of_scheme) })
    }

    pub(super) fn address<'a>(&'a self, host: Option<Host<'a>>) -> ServerAddress<'a> {
        let own_name = self.name.as_deref().unwrap_or("localhost");
        let of_scheme = if self.https { "443" } else { "80" };
        let Some(Host { name, port }) = host else {
            return ServerAddress { name: own_name, port: self.port.as_deref().unwrap_or(of_scheme) };
        };
        let default_port = || self.default_port.as_deref().unwrap_or(of_scheme);
        ServerAddress {
            name: if name.is_empty() { own_name } else { name },
            port: if port.is_empty() { default_port() } else { port },
        }
    }
}

/// A host that a client has named: a name or an address, with or without a port. Both may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    pub(super) name: &'a str,
    pub(super) port: &'a str,
}

/// The name and the port that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestedHost<'a> {
    /// The name or address, as it is written.
    pub name: &'a str,
    /// The port.
    pub port: u16,
}

impl<'a> Host<'a> {
    /// The name or the address, which may be empty.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The port as it is written, which may be empty.
    pub fn port(&self) -> &'a str {
        self.port
    }

    /// Reads a host as RFC 9112 §3.2 wants the Host field: no userinfo, no path, no blank. A comma is refused as well: some
    /// intermediary has then joined two names.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let name_length = match text.strip_prefix('[') {
            Some(rest) => ipv6_length(rest)? + "[]".len(),
            None => registered_name_length(value),
        };
        let (name, rest) = text.split_at_checked(name_length)?;
        let port = rest.strip_prefix(':').unwrap_or_default();
        let is_valid = rest.is_empty() || rest == ":" || is_port(port);
        is_valid.then_some(Self { name, port })
    }
}

/// The length of the IPv6 address in front of a bracket.
fn ipv6_length(text: &str) -> Option<usize> {
    let (address, _) = text.split_once(']')?;
    address.parse::<Ipv6Addr>().ok().map(|_| address.len())
}

/// How many bytes belong to a name of RFC 3986 §3.2.2, without the comma. In one pass: every request has a name.
fn registered_name_length(text: &[u8]) -> usize {
    let mut length = 0;
    while let Some(byte) = text.get(length) {
        length += match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => 1,
            b'!' | b'$' | b'&'..=b'+' | b';' | b'=' => 1,
            b'%' if text.get(length + 1..length + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) => {
                3
            }
            _ => break,
        };
    }
    length
}

/// The authority that the client used.
fn addressed<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    uri.authority().map(Authority::as_str).or_else(|| host_field(headers))
}

/// `authority` without its userinfo, which no guest needs to know.
pub(super) fn without_userinfo(authority: &str) -> &str {
    authority.rsplit_once('@').map_or(authority, |(_, rest)| rest)
}

fn host_field(headers: &HeaderMap) -> Option<&str> {
    let text = std::str::from_utf8(headers.get(HOST)?.as_bytes()).ok()?;
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
}

/// Name and port of an authority. The name may be empty; a port that is not a number is ignored.
fn split_authority(authority: &str) -> (&str, Option<&str>) {
    let authority = without_userinfo(authority);
    // RFC 3986 §3.2.2: colons inside brackets belong to an IPv6 address.
    let name_ends = if authority.starts_with('[') {
        authority.find(']').map_or(0, |bracket| bracket + 1)
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (name, rest) = authority.split_at_checked(name_ends).unwrap_or_default();
    (name, rest.strip_prefix(':').filter(|port| is_port(port)))
}

fn is_port(text: &str) -> bool {
    // Parsing alone would let a plus sign pass.
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use crate::cgi::endpoint::*;

    fn address(https: bool, hostname: Option<&str>, host: Option<&str>) -> String {
        let endpoint = Endpoint::new(https, hostname);
        let host = host.map(|host| Host::parse(host.as_bytes()).expect("a host"));
        let ServerAddress { name, port } = endpoint.address(host);
        format!("{name} {port}")
    }

    #[test]
    fn a_request_is_for_the_host_that_it_names_or_the_one_of_the_operator() {
        for (https, hostname, host, requested) in [
            (false, None, Some("a.x:81"), Some(("a.x", 81))),
            (false, None, Some("a.x"), Some(("a.x", 80))),
            (false, None, Some("a.x:"), Some(("a.x", 80))),
            (true, None, Some("a.x"), Some(("a.x", 443))),
            (true, Some("own:7"), Some("a.x"), Some(("a.x", 443))),
            (true, Some("own:7"), Some("[::1]:8"), Some(("[::1]", 8))),
            (true, Some("own:7"), Some(":8"), Some(("own", 8))),
            (true, Some("own:7"), None, Some(("own", 7))),
            (true, Some("own"), None, Some(("own", 443))),
            (false, Some("own"), Some(":"), Some(("own", 80))),
            (false, Some(":7"), None, None),
            (false, Some(""), None, None),
            (false, None, None, None),
            (false, None, Some(":8"), None),
        ] {
            let endpoint = Endpoint::new(https, hostname);
            let host = host.map(|host| Host::parse(host.as_bytes()).expect("a host"));
            let found = endpoint.requested(host).map(|found| (found.name, found.port));
            assert_eq!(found, requested, "{https} {hostname:?} {host:?}");
        }
    }

    /// RFC 3875 §4.1.14, §4.1.15: the name the client used, then the operator's.
    #[test]
    fn the_host_field_comes_before_the_hostname() {
        for (host, hostname, expected) in [
            (Some("wagi.net:31337"), Some("example.com:1234"), "wagi.net 31337"),
            (Some("wagi.net"), Some("example.com:1234"), "wagi.net 1234"),
            (Some("wagi.net"), Some("example.com"), "wagi.net 80"),
            (Some("wagi.net"), Some(""), "wagi.net 80"),
            (Some("wagi.net"), None, "wagi.net 80"),
            (Some(":8080"), Some("example.com:1234"), "example.com 8080"),
            (None, Some("example.com:1234"), "example.com 1234"),
            (None, Some("example.com"), "example.com 80"),
            (None, Some("[2001:db8::1]:1234"), "[2001:db8::1] 1234"),
            (None, Some(""), "localhost 80"),
            (None, None, "localhost 3000"),
        ] {
            assert_eq!(address(false, hostname, host), expected, "{host:?} {hostname:?}");
        }
    }

    #[test]
    fn without_a_port_it_is_that_of_the_scheme() {
        for (https, host, expected) in
            [(true, None, "own 443"), (false, None, "own 80"), (true, Some("a"), "a 443"), (true, Some(""), "own 443")]
        {
            assert_eq!(address(https, Some("own"), host), expected, "{https} {host:?}");
        }
    }

    /// RFC 3875 §4.1.14: an IPv6 address stands in brackets.
    #[test]
    fn names_and_ports_are_told_apart() {
        for (host, expected) in [
            ("[::1]:3000", "[::1] 3000"),
            ("[::1]", "[::1] 7"),
            ("[::1]:", "[::1] 7"),
            ("a.example", "a.example 7"),
            ("a.example:", "a.example 7"),
            ("a.example:080", "a.example 080"),
            ("%5b:1", "%5b 1"),
            (":1", "own 1"),
            (":", "own 7"),
        ] {
            assert_eq!(address(false, Some("own:7"), Some(host)), expected, "{host:?}");
        }
    }

    /// RFC 9112 §3.2, RFC 3986 §3.2.2
    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for host in [
            "",
            "a",
            "a.example:80",
            "a.example:",
            "192.0.2.1:0",
            "[::1]",
            "[2001:db8::1]:65535",
            "a_b",
            "%41",
            "a;b",
            ":80",
        ] {
            assert!(Host::parse(host.as_bytes()).is_some(), "{host:?}");
        }
        for host in [
            "good@evil",
            "a/b",
            "a b",
            "a,b",
            "a?b",
            "a#b",
            "a\\b",
            "[::1",
            "::1",
            "[::1]x",
            "[a]",
            "[]",
            "]",
            "h:port",
            "h:99999",
            "h:+80",
            "h:80:90",
            "h:80/",
            "%4",
            "%zz",
            "%4:1",
            "a\tb",
            "a\"b",
            "<a>",
            "café",
        ] {
            assert_eq!(Host::parse(host.as_bytes()), None, "{host:?}");
        }
        assert_eq!(Host::parse(b"a\xff"), None);
        for punctuation in "-._~!$&'()*+;=".chars() {
            assert!(Host::parse(punctuation.to_string().as_bytes()).is_some(), "{punctuation}");
        }
    }

    #[test]
    fn the_authority_is_what_the_client_addressed_or_our_own() {
        for (target, host, expected) in [
            ("/", Some("a.example:81"), "a.example:81"),
            ("/", Some("A.example"), "A.example"),
            ("/", Some("[::1]:80"), "[::1]:80"),
            ("/", Some("user@a.example"), "a.example"),
            ("http://a.example:81/", None, "a.example:81"),
            ("http://u:p@a.example/", None, "a.example"),
            ("http://a.example/", Some("b.example"), "a.example"),
            ("/", Some(":81"), "own:7"),
            ("/", Some("a b"), "own:7"),
            ("/", Some("[::1"), "own:7"),
            ("/", Some(""), "own:7"),
            ("/", None, "own:7"),
        ] {
            let endpoint = Endpoint::new(false, Some("own:7"));
            let mut headers = HeaderMap::new();
            headers.extend(host.map(|host| (HOST, HeaderValue::from_static(host))));
            let uri = target.parse().expect("a request target");
            let authority = endpoint.authority(&uri, &headers).expect("an authority");
            assert_eq!(authority.as_str(), expected, "{target} {host:?}");
        }
    }

    #[test]
    fn the_port_of_the_scheme_goes_with_a_host_field_that_has_none() {
        assert_eq!(address(true, None, Some("a.example")), "a.example 443");
        assert_eq!(address(true, Some("b.example"), Some("a.example")), "a.example 443");
        assert_eq!(address(true, Some("b.example:8443"), Some("a.example")), "a.example 8443");
    }
}
