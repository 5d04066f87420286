//! Where does the server listen? One address as `--listen` and `[server] listen` have it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// The mode of a Unix socket without `?mode=`.
const DEFAULT_MODE: u32 = 0o660;
/// The longest path of a Unix socket, in bytes: `sun_path` has 108 bytes, and its last one is NUL.
const MAX_PATH: usize = 107;

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP port, with TLS if the server has any. With port 0 the system chooses a free port.
    Tcp(SocketAddr),
    /// A TCP port without TLS: `http:IP:PORT`.
    PlainTcp(SocketAddr),
    /// A Unix socket: `unix:PATH`.
    Unix(UnixAddress),
    /// The sockets that the process inherits, all or those of one name: `systemd`, `systemd:NAME`.
    Inherited(Option<String>),
    /// Any of these for a web server that speaks another protocol than HTTP: `fastcgi:ADDRESS`, `scgi:ADDRESS`.
    WebServer(WebServerProtocol, Box<ListenAddress>),
}

/// A protocol in which web servers hand over their requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebServerProtocol {
    /// FastCGI.
    FastCgi,
    /// SCGI.
    Scgi,
}

impl WebServerProtocol {
    /// What stands before the address.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FastCgi => "fastcgi",
            Self::Scgi => "scgi",
        }
    }
}

/// A Unix socket in the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixAddress {
    /// The path of the socket.
    pub path: PathBuf,
    /// The permissions of the socket: `?mode=0660`.
    pub mode: u32,
    /// The group of the socket, by name or number: `?group=www-data`. Default: the group of the process.
    pub group: Option<String>,
}

/// Why a text is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenAddressError {
    /// It is nothing known.
    #[error("an IP address and a port are expected, such as `127.0.0.1:3000` or `[::1]:3000`, or `unix:PATH`")]
    Unknown,
    /// There is nothing known after the protocol.
    #[error(
        "after `{prefix}` an IP address and a port are expected, such as `{prefix}127.0.0.1:9000`, or `{prefix}unix:PATH`"
    )]
    UnknownOfWebServer {
        /// The protocol, with its colon.
        prefix: String,
    },
    /// It is a name with a port.
    #[error("the server cannot listen on a host name; write `{prefix}127.0.0.1:{port}`")]
    HostName {
        /// What stands before the name.
        prefix: String,
        /// What stands behind the colon.
        port: String,
    },
    /// It is a port only.
    #[error("the IP address is missing; write `{prefix}0.0.0.0:{port}` to listen on all addresses")]
    NoAddress {
        /// What stands before the port.
        prefix: String,
        /// What stands behind the colon.
        port: String,
    },
    /// A Unix socket has no path.
    #[error("the path is missing; write `{prefix}unix:/run/wagi/http.sock`")]
    NoPath {
        /// What stands before the socket.
        prefix: String,
    },
    /// The system does not take the path.
    #[error("the path of a Unix socket has at most {MAX_PATH} bytes, this one has {length}")]
    LongPath {
        /// Its bytes.
        length: usize,
    },
    /// A setting of a Unix socket is not known.
    #[error("`{0}` is not a setting of a Unix socket; write `?mode=0660` or `?group=NAME`")]
    UnknownSetting(String),
    /// The mode is not an octal number.
    #[error("`mode={0}` is not a mode; write an octal number up to 0777, such as `mode=0660`")]
    Mode(String),
    /// The protocol is not spoken.
    #[error("`{0}` is not served; write an address for HTTP, such as `127.0.0.1:3000` or `unix:PATH`")]
    Protocol(String),
}

/// A group of which this machine does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no group `{0}`")]
pub struct UnknownGroup(String);

impl UnknownGroup {
    /// What the operator can do about it.
    pub(in crate::config) const HELP: &str = "name a group of this machine; `getent group` lists them";
}

impl ListenAddressError {
    /// The same about what stands after `before`.
    fn after(self, before: &str) -> Self {
        let prefix = before.to_owned();
        match self {
            Self::HostName { port, .. } => Self::HostName { prefix, port },
            Self::NoAddress { port, .. } => Self::NoAddress { prefix, port },
            Self::NoPath { .. } => Self::NoPath { prefix },
            Self::Unknown if before != "http:" => Self::UnknownOfWebServer { prefix },
            other => other,
        }
    }
}

impl ListenAddress {
    /// Where the server listens if nothing else is said.
    pub const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3000);

    /// The address without the protocol that web servers speak there.
    pub fn socket(&self) -> &Self {
        match self {
            Self::WebServer(_, address) => address.socket(),
            address => address,
        }
    }

    /// Whether only peers that are trusted are served here.
    pub(in crate::config) fn needs_trust(&self) -> bool {
        matches!(self, Self::WebServer(..)) && self.tcp().is_some()
    }

    /// The TCP address, with or without TLS.
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) | Self::PlainTcp(address) => Some(*address),
            Self::Unix(_) | Self::Inherited(_) => None,
            Self::WebServer(_, address) => address.tcp(),
        }
    }

    /// The same on another port; itself if it is not on TCP.
    pub fn with_port(&self, port: u16) -> Self {
        match self {
            Self::Tcp(address) => Self::Tcp(SocketAddr::new(address.ip(), port)),
            Self::PlainTcp(address) => Self::PlainTcp(SocketAddr::new(address.ip(), port)),
            Self::Unix(_) | Self::Inherited(_) => self.clone(),
            Self::WebServer(protocol, address) => Self::WebServer(*protocol, Box::new(address.with_port(port))),
        }
    }

    /// Fails if it is a Unix socket for a group that is not there.
    pub(in crate::config) fn check_group(&self) -> Result<(), UnknownGroup> {
        let Self::Unix(unix) = self.socket() else { return Ok(()) };
        unix.group_id().map(drop)
    }

    /// Whether the system refuses to open both: they are the same, or one of them is all addresses of a port of the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let contains = |all: IpAddr, one: IpAddr| all.is_unspecified() && (all.is_ipv6() || one.is_ipv4());
        match (self.tcp(), other.tcp()) {
            (Some(one), Some(other)) if one.port() > 0 && one.port() == other.port() => {
                let (one, other) = (one.ip(), other.ip());
                one.to_canonical() == other.to_canonical() || contains(one, other) || contains(other, one)
            }
            _ => matches!(self.socket(), Self::Unix(_)) && self.is_same_socket(other),
        }
    }

    /// Whether both name the same socket, with whatever settings. Each port 0 is another port.
    pub(crate) fn is_same_socket(&self, other: &Self) -> bool {
        match (self.socket(), other.socket()) {
            (Self::Unix(one), Self::Unix(other)) => one.path == other.path,
            (Self::Inherited(one), Self::Inherited(other)) => one.is_none() || other.is_none() || one == other,
            _ => self.tcp().is_some_and(|address| address.port() > 0 && other.tcp() == Some(address)),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        if text == "systemd" {
            return Ok(Self::Inherited(None));
        }
        match text.split_once(':') {
            Some(("http", address)) => tcp_address(address).map(Self::PlainTcp).map_err(|error| error.after("http:")),
            Some(("unix", path)) => path.parse().map(Self::Unix),
            Some(("systemd", name)) if !name.is_empty() => Ok(Self::Inherited(Some(name.to_owned()))),
            Some(("fastcgi", address)) => web_server_address(WebServerProtocol::FastCgi, address),
            Some(("scgi", address)) => web_server_address(WebServerProtocol::Scgi, address),
            Some((protocol @ "https", _)) => Err(ListenAddressError::Protocol(protocol.to_owned())),
            _ => tcp_address(text).map(Self::Tcp),
        }
    }
}

fn web_server_address(protocol: WebServerProtocol, text: &str) -> Result<ListenAddress, ListenAddressError> {
    let prefix = format!("{}:", protocol.as_str());
    if let Some((inner @ ("http" | "fastcgi" | "scgi"), _)) = text.split_once(':') {
        return Err(ListenAddressError::Protocol(prefix + inner));
    }
    let address: ListenAddress = text.parse().map_err(|error: ListenAddressError| error.after(&prefix))?;
    Ok(ListenAddress::WebServer(protocol, Box::new(address)))
}

fn tcp_address(text: &str) -> Result<SocketAddr, ListenAddressError> {
    text.parse().map_err(|_| match text.rsplit_once(':') {
        Some(("localhost", port)) => ListenAddressError::HostName { prefix: String::new(), port: port.to_owned() },
        Some(("", port)) => ListenAddressError::NoAddress { prefix: String::new(), port: port.to_owned() },
        _ => ListenAddressError::Unknown,
    })
}

impl FromStr for UnixAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        Self::parse(text, DEFAULT_MODE)
    }
}

impl UnixAddress {
    /// The number of the group. If it is written as a name, the system is asked for it.
    pub fn group_id(&self) -> Result<Option<u32>, UnknownGroup> {
        let Some(group) = &self.group else { return Ok(None) };
        let by_name = || uzers::get_group_by_name(group).map(|group| group.gid());
        group.parse().ok().or_else(by_name).map(Some).ok_or_else(|| UnknownGroup(group.clone()))
    }

    /// Parses a path with settings. Without `?mode=` the socket gets `default_mode`.
    pub(in crate::config) fn parse(text: &str, default_mode: u32) -> Result<Self, ListenAddressError> {
        let (path, settings) = text.split_once('?').unwrap_or((text, ""));
        if path.is_empty() {
            return Err(ListenAddressError::NoPath { prefix: String::new() });
        }
        if path.len() > MAX_PATH {
            return Err(ListenAddressError::LongPath { length: path.len() });
        }
        let mut address = Self { path: path.into(), mode: default_mode, group: None };
        for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
            match setting.split_once('=') {
                Some(("mode", mode)) => address.mode = parse_mode(mode)?,
                Some(("group", group)) if !group.is_empty() => address.group = Some(group.to_owned()),
                _ => return Err(ListenAddressError::UnknownSetting(setting.to_owned())),
            }
        }
        Ok(address)
    }
}

fn parse_mode(text: &str) -> Result<u32, ListenAddressError> {
    // Parsing alone would let a plus sign pass.
    let is_octal = text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777);
    mode.ok_or_else(|| ListenAddressError::Mode(text.to_owned()))
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::PlainTcp(address) => write!(f, "http:{address}"),
            Self::Unix(address) => write!(f, "unix:{}", address.path.display()),
            Self::Inherited(None) => f.write_str("systemd"),
            Self::Inherited(Some(name)) => write!(f, "systemd:{name}"),
            Self::WebServer(protocol, address) => write!(f, "{}:{address}", protocol.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::server::listen::*;

    #[test]
    fn addresses_are_ports_sockets_and_inherited_sockets() {
        let parsed = |text: &str| text.parse::<ListenAddress>().expect(text);
        assert_eq!(parsed("[::1]:80"), ListenAddress::Tcp("[::1]:80".parse().expect("an address")));
        assert_eq!(parsed("http:127.0.0.1:80"), ListenAddress::PlainTcp(([127, 0, 0, 1], 80).into()));
        assert_eq!(parsed("systemd"), ListenAddress::Inherited(None));
        assert_eq!(parsed("systemd:web"), ListenAddress::Inherited(Some("web".to_owned())));
        let ListenAddress::Unix(unix) = parsed("unix:/run/a.sock?mode=0600&group=www") else { panic!("a Unix socket") };
        assert_eq!((&*unix.path, unix.mode, unix.group.as_deref()), (Path::new("/run/a.sock"), 0o600, Some("www")));
        let ListenAddress::Unix(unix) = parsed("unix:a") else { panic!("a Unix socket") };
        assert_eq!((unix.mode, unix.group), (0o660, None));
        for text in [
            "fastcgi:127.0.0.1:9000",
            "fastcgi:unix:/run/a.sock",
            "scgi:[::1]:1",
            "fastcgi:systemd:php",
            "scgi:systemd",
        ] {
            let address = parsed(text);
            assert!(matches!(address, ListenAddress::WebServer(..)), "{text}");
            assert_eq!(address.to_string(), text);
        }
        assert!(parsed("fastcgi:unix:a?mode=0600").is_same_socket(&parsed("unix:a")));
    }

    #[test]
    fn a_group_is_a_number_or_a_name_that_the_system_knows() {
        let group = |text: &str| text.parse::<UnixAddress>().expect(text).group_id();
        assert_eq!(group("a"), Ok(None));
        assert_eq!(group("a?group=4711"), Ok(Some(4711)));
        assert_eq!(group("a?group=no-such-group"), Err(UnknownGroup("no-such-group".to_owned())));
    }

    #[test]
    fn addresses_overlap_that_cannot_both_be_open() {
        let parsed = |text: &str| text.parse::<ListenAddress>().expect(text);
        for (one, other, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "http:0.0.0.0:80", true),
            ("127.0.0.1:80", "fastcgi:[::]:80", true),
            ("[::1]:80", "[::]:80", true),
            ("[::1]:80", "0.0.0.0:80", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:80", "0.0.0.0:81", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("unix:a", "scgi:unix:a?mode=0600", true),
            ("unix:a", "unix:b", false),
            ("systemd", "systemd", false),
        ] {
            let (one, other) = (parsed(one), parsed(other));
            assert_eq!((one.overlaps(&other), other.overlaps(&one)), (expected, expected), "{one} {other}");
        }
    }

    #[test]
    fn other_texts_get_a_message_that_says_what_to_write() {
        for (text, expected) in [
            ("", "an IP address and a port"),
            ("3000", "an IP address and a port"),
            (":3000", "`0.0.0.0:3000`"),
            ("localhost:80", "`127.0.0.1:80`"),
            ("http:localhost:80", "`http:127.0.0.1:80`"),
            ("http::80", "`http:0.0.0.0:80`"),
            ("http:80", "such as `127.0.0.1:3000`"),
            ("fastcgi:1", "such as `fastcgi:127.0.0.1:9000`, or `fastcgi:unix:PATH`"),
            ("scgi:localhost:1", "`scgi:127.0.0.1:1`"),
            ("fastcgi:http:localhost:1", "`fastcgi:http` is not served"),
            ("unix:", "the path is missing"),
            ("unix:a?mode=", "`mode=` is not a mode"),
            ("unix:a?mode=+60", "`mode=+60` is not a mode"),
            ("unix:a?mode=1777", "`mode=1777` is not a mode"),
            ("unix:a?user=x", "`user=x` is not a setting"),
            ("unix:a?group=", "`group=` is not a setting"),
            ("systemd:", "an IP address and a port"),
            ("fastcgi:", "an IP address and a port"),
            ("scgi:unix:", "`scgi:unix:/run/wagi/http.sock`"),
            ("fastcgi:http:127.0.0.1:1", "`fastcgi:http` is not served"),
            ("scgi:fastcgi:127.0.0.1:1", "`scgi:fastcgi` is not served"),
            ("https:127.0.0.1:1", "`https` is not served"),
        ] {
            let error = text.parse::<ListenAddress>().expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        assert!(format!("unix:{}", "a".repeat(108)).parse::<ListenAddress>().is_err());
        assert!(format!("unix:{}", "a".repeat(107)).parse::<ListenAddress>().is_ok());
    }
}
