//! Which names does an entry answer? The items of the key `host`.
//!
//! | written | matches |
//! | --- | --- |
//! | `example.com` | this name, at every port |
//! | `example.com:8443` | this name at this port; without a port in the request: that of the scheme |
//! | `*.example.com` | `a.example.com`, but neither `example.com` nor `a.b.example.com`, as in certificates |
//! | `192.0.2.1`, `[::1]:3000` | this address |
//!
//! Names compare as URLs have them: in lower case, in punycode, without the dot at the end. `manifest` reads patterns,
//! `gateway` looks up the name of each request.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use url::Host;

/// The most bytes of a name and of one of its labels (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// The most bytes of a name as a client writes it: a name that fits has at most nine bytes for each of its own, percent-encoded.
const MAX_WRITTEN: usize = 9 * MAX_NAME;

/// The prefix of a pattern for all names with one label more.
const WILDCARD: &str = "*.";

/// A name or an address as URLs have it: lower case, punycode, no dot at the end, IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName<'a>(Cow<'a, str>);

impl<'a> HostName<'a> {
    /// The name `text` of a request, which has no port. `None` if URLs cannot have it.
    pub fn new(text: &'a str) -> Option<Self> {
        if is_normal(text) {
            return Some(Self(Cow::Borrowed(text)));
        }
        if text.len() > MAX_WRITTEN {
            return None;
        }
        let name = match Host::parse(text).ok()? {
            Host::Domain(mut name) => {
                if name.ends_with('.') {
                    name.pop();
                }
                name
            }
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => format!("[{address}]"),
        };
        (!name.is_empty()).then_some(Self(Cow::Owned(name)))
    }

    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its first label, if it has several.
    pub fn parent(&self) -> Option<&str> {
        let (label, parent) = self.0.split_once('.')?;
        (!label.is_empty()).then_some(parent)
    }
}

/// Whether `text` is a name that URLs leave as it is. Not so for some names that need a closer look.
fn is_normal(text: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
    // A number at the end makes an IPv4 address.
    let ends_in_letter =
        text.rsplit('.').next().is_some_and(|label| label.starts_with(|first: char| !first.is_ascii_digit()));
    ends_in_letter && text.len() <= MAX_NAME && text.bytes().all(is_plain) && !text.contains("xn--")
}

/// A pattern for the name and the port that a request is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    name: String,
    is_wildcard: bool,
    port: Option<u16>,
}

/// Why a text is not a pattern for hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostPatternError {
    /// It stands for every name.
    #[error("`{0}` is not a host name")]
    EveryName(String),
    /// It is not a name.
    #[error("`{0}` is not a host name")]
    NotAName(String),
    /// It has a scheme or a path.
    #[error("`{0}` is more than a host name")]
    Url(String),
    /// It has a `*` that does not stand for the first label of a name.
    #[error("`{0}` is a pattern of a form that is not known")]
    Wildcard(String),
    /// What follows the colon is not a port.
    #[error("`{0}` has a port that is not a number from 1 to 65535")]
    Port(String),
    /// It is an IPv6 address without brackets.
    #[error("`{0}` is an IPv6 address without brackets")]
    Brackets(String),
    /// The name, or a label of it, is too long for the DNS.
    #[error("`{0}` is too long: a name has at most {MAX_NAME} bytes, and {MAX_LABEL} between two dots")]
    TooLong(String),
}

impl HostPatternError {
    /// Returns what to write instead.
    pub fn help(&self) -> String {
        match self {
            Self::EveryName(_) => "leave `host` out: the entry then answers every name".to_owned(),
            Self::NotAName(_) | Self::TooLong(_) => {
                "write `example.com`, `*.example.com`, `192.0.2.1` or `[::1]`, with or without a port such as `:8443`"
                    .to_owned()
            }
            Self::Url(_) => "write the name alone, such as `example.com`; paths go into `route`".to_owned(),
            Self::Wildcard(_) => {
                "only `*.` at the beginning of a name stands for other names: write `*.example.com`".to_owned()
            }
            Self::Port(_) => "leave the port out to answer at every port".to_owned(),
            Self::Brackets(address) => format!("write `[{address}]`"),
        }
    }
}

impl HostPattern {
    /// The name; of a wildcard, what follows `*.`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the pattern is for all names with one label before [`name`](Self::name).
    pub fn is_wildcard(&self) -> bool {
        self.is_wildcard
    }

    /// The port, if only one matches.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        let error = |error: fn(String) -> HostPatternError| error(text.to_owned());
        if text == "*" || text.is_empty() {
            return Err(error(HostPatternError::EveryName));
        }
        if text.contains('/') {
            return Err(error(HostPatternError::Url));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(error(HostPatternError::Brackets));
        }
        let (host, port) = split_port(text);
        let port = port.map(|port| parse_port(port).ok_or_else(|| error(HostPatternError::Port))).transpose()?;
        let (is_wildcard, host) = host.strip_prefix(WILDCARD).map_or((false, host), |parent| (true, parent));
        if host.contains('*') {
            return Err(error(HostPatternError::Wildcard));
        }
        let name = HostName::new(host).ok_or_else(|| error(HostPatternError::NotAName))?.0.into_owned();
        let is_address = name.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok();
        if is_wildcard && is_address {
            return Err(error(HostPatternError::Wildcard));
        }
        if !is_address {
            check_labels(&name).map_err(error)?;
        }
        Ok(Self { name, is_wildcard, port })
    }
}

/// A host and its port. What is not an IPv6 address in brackets has its port behind the first colon.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let name_ends = if text.starts_with('[') { text.find(']').unwrap_or(text.len()) } else { 0 };
    match text.get(name_ends..).and_then(|rest| rest.find(':')).and_then(|at| text.split_at_checked(name_ends + at)) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => (text, None),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    // Parsing alone would let a plus sign pass.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|&port| is_number && port > 0)
}

/// Checks that a client could find the name: that it is one of the DNS, which also has names with `_`.
fn check_labels(name: &str) -> Result<(), fn(String) -> HostPatternError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.split('.').any(|label| label.is_empty() || !label.bytes().all(is_plain)) {
        return Err(HostPatternError::NotAName);
    }
    if name.len() > MAX_NAME || name.split('.').any(|label| label.len() > MAX_LABEL) {
        return Err(HostPatternError::TooLong);
    }
    Ok(())
}

/// The pattern as it can be written in a configuration.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_wildcard { WILDCARD } else { "" })?;
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::host_pattern::*;

    fn name(text: &str) -> Option<String> {
        HostName::new(text).map(|name| name.as_str().to_owned())
    }

    #[test]
    fn names_compare_as_urls_have_them() {
        for (written, same) in [
            ("example.com", Some("example.com")),
            ("EXAMPLE.Com", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("Example.COM.", Some("example.com")),
            ("example.com..", Some("example.com.")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("BÜCHER.example", Some("xn--bcher-kva.example")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("XN--BCHER-KVA.EXAMPLE", Some("xn--bcher-kva.example")),
            ("b%C3%BCcher.example", Some("xn--bcher-kva.example")),
            ("example。com", Some("example.com")),
            ("my_host", Some("my_host")),
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1.", Some("192.0.2.1")),
            ("192.0.513", Some("192.0.2.1")),
            ("[::1]", Some("[::1]")),
            ("[0:0:0:0:0:0:0:1]", Some("[::1]")),
            ("[2001:DB8::A]", Some("[2001:db8::a]")),
            ("1.example", Some("1.example")),
            ("xn--", None),
            ("1.2.3.4.5", None),
            ("a b", None),
            ("", None),
            (".", None),
            ("[::1", None),
        ] {
            assert_eq!(name(written).as_deref(), same, "{written}");
        }
        assert_eq!(name(&"a".repeat(MAX_WRITTEN + 1)), None);
    }

    #[test]
    fn a_normal_name_is_what_the_url_library_leaves_as_it_is() {
        for text in ["a", "a.b", "a-b.c_d", "a..b", "-", "_.x", "1.a", "a1.b2", "localhost"] {
            assert!(is_normal(text), "{text}");
            assert_eq!(Host::parse(text), Ok(Host::Domain(text.to_owned())), "{text}");
        }
        for text in ["", "a.", "A", "1", "a.1", "a.0x1", "xn--a", "a.xn--b", "é", "a%41", "[::1]"] {
            assert!(!is_normal(text), "{text}");
        }
    }

    #[test]
    fn a_pattern_is_a_name_perhaps_with_a_port_or_a_label_left_open() {
        for (written, name, is_wildcard, port) in [
            ("example.com", "example.com", false, None),
            ("Example.COM.", "example.com", false, None),
            ("example.com:8443", "example.com", false, Some(8443)),
            ("example.com.:80", "example.com", false, Some(80)),
            ("*.example.com", "example.com", true, None),
            ("*.bücher.example:81", "xn--bcher-kva.example", true, Some(81)),
            ("localhost", "localhost", false, None),
            ("*.com", "com", true, None),
            ("a_b.example", "a_b.example", false, None),
            ("127.0.0.1", "127.0.0.1", false, None),
            ("127.0.0.1:3000", "127.0.0.1", false, Some(3000)),
            ("[::1]", "[::1]", false, None),
            ("[0::1]:3000", "[::1]", false, Some(3000)),
        ] {
            let pattern: HostPattern = written.parse().unwrap_or_else(|error| panic!("{written}: {error}"));
            assert_eq!((pattern.name(), pattern.is_wildcard(), pattern.port()), (name, is_wildcard, port), "{written}");
            assert_eq!(pattern.to_string().parse(), Ok(pattern), "{written}");
        }
    }

    #[test]
    fn what_is_not_a_name_is_refused_with_what_to_write() {
        let (long_label, long_name) = ("a".repeat(64), ["a"; 128].join("."));
        for (written, message, help) in [
            ("", "`` is not a host name", "leave `host` out"),
            ("*", "`*` is not a host name", "leave `host` out"),
            ("https://example.com", "more than a host name", "`example.com`"),
            ("example.com/a", "more than a host name", "`route`"),
            ("me@example.com", "not a host name", "`example.com`"),
            ("a b", "not a host name", "`example.com`"),
            (" a", "not a host name", "`example.com`"),
            ("a.example,b.example", "not a host name", "`example.com`"),
            ("a..b", "not a host name", "`example.com`"),
            ("a..", "not a host name", "`example.com`"),
            (".", "not a host name", "`example.com`"),
            (".example.com", "not a host name", "`example.com`"),
            ("*..", "not a host name", "`example.com`"),
            (":80", "not a host name", "`example.com`"),
            ("[::1", "not a host name", "`[::1]`"),
            ("[::1]x", "not a host name", "`[::1]`"),
            ("::1", "IPv6 address without brackets", "write `[::1]`"),
            ("*", "not a host name", "every name"),
            ("a.*.com", "form that is not known", "`*.example.com`"),
            ("*a.com", "form that is not known", "`*.example.com`"),
            ("*.*.com", "form that is not known", "`*.example.com`"),
            ("*.127.0.0.1", "form that is not known", "`*.example.com`"),
            ("*.0.0.1", "form that is not known", "`*.example.com`"),
            ("example.com:", "has a port", "every port"),
            ("example.com:0", "has a port", "every port"),
            ("example.com:+80", "has a port", "every port"),
            ("example.com:65536", "has a port", "every port"),
            ("a:1:2", "has a port", "every port"),
            (&long_label, "too long", "`example.com`"),
            (&long_name, "too long", "`example.com`"),
        ] {
            let error = written.parse::<HostPattern>().expect_err(written);
            assert!(error.to_string().contains(message), "{written}: {error}");
            assert!(error.help().contains(help), "{written}: {}", error.help());
        }
    }

    #[test]
    fn a_parent_is_the_name_without_its_first_label() {
        for (name, parent) in
            [("a.b.c", Some("b.c")), ("a.b", Some("b")), ("a", None), (".a", None), ("127.0.0.1", Some("0.0.1"))]
        {
            assert_eq!(HostName::new(name).expect(name).parent(), parent, "{name}");
        }
    }
}
