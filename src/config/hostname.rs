//! Which name and port does the server have?
//!
//! `cli::args` parses it from `--hostname`, `manifest` from `default_host`. Guests see it if a request has no Host
//! field.

use std::fmt;
use std::str::FromStr;

/// The server's own name and port. The default is `localhost:3000`, not explicit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hostname {
    /// The name as written; an IPv6 address has its brackets. `None` if only a port was given, or nothing.
    pub name: Option<String>,
    /// The port, if one was given.
    pub port: Option<u16>,
    /// Whether the operator set it.
    pub explicit: bool,
}

impl Default for Hostname {
    fn default() -> Self {
        Self { name: Some("localhost".to_owned()), port: Some(3000), explicit: false }
    }
}

/// Why a text is not a host name with an optional port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostnameError {
    /// What follows the colon is not a port.
    #[error("`{port}` in `{text}` is not a port: a number from 1 to 65535 is expected")]
    Port {
        /// The whole text.
        text: String,
        /// The text in place of the port.
        port: String,
    },
    /// An IPv6 address without brackets, which could also be a name with a port.
    #[error("an IPv6 address needs brackets: write `[{0}]`")]
    Brackets(String),
    /// A character that host names cannot contain.
    #[error("`{text}` is not a host name: it contains {character:?}; write `example.com` or `example.com:3000`")]
    Character {
        /// The whole text.
        text: String,
        /// The character.
        character: char,
    },
}

impl FromStr for Hostname {
    type Err = HostnameError;

    fn from_str(text: &str) -> Result<Self, HostnameError> {
        // Otherwise a URL would be split into a name and an invalid port.
        if text.contains('/') {
            return Err(HostnameError::Character { text: text.to_owned(), character: '/' });
        }
        let (name, port) = split(text)?;
        let port = port.map(|port| parse_port(text, port)).transpose()?;
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let stray = |character: char| !(character.is_alphanumeric() || "-._~%:".contains(character));
        if let Some(character) = bare.chars().find(|&character| stray(character)) {
            return Err(HostnameError::Character { text: text.to_owned(), character });
        }
        Ok(Self { name: (!name.is_empty()).then(|| name.to_owned()), port, explicit: true })
    }
}

fn split(text: &str) -> Result<(&str, Option<&str>), HostnameError> {
    if text.starts_with('[')
        && let Some(end) = text.find(']')
    {
        let (name, rest) = text.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((name, Some(port))),
            None if rest.is_empty() => Ok((name, None)),
            None => Err(HostnameError::Character { text: text.to_owned(), character: ']' }),
        };
    }
    match text.split_once(':') {
        Some(_) if text.parse::<std::net::Ipv6Addr>().is_ok() => Err(HostnameError::Brackets(text.to_owned())),
        Some((name, port)) => Ok((name, Some(port))),
        None => Ok((text, None)),
    }
}

fn parse_port(text: &str, port: &str) -> Result<u16, HostnameError> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { port.parse().ok().filter(|&number| number > 0) } else { None };
    number.ok_or_else(|| HostnameError::Port { text: text.to_owned(), port: port.to_owned() })
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or_default())?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::hostname::*;

    #[test]
    fn a_hostname_is_a_name_and_perhaps_a_port() {
        for (text, name, port) in [
            ("example.com", Some("example.com"), None),
            ("example.com:1234", Some("example.com"), Some(1234)),
            ("[::1]:3000", Some("[::1]"), Some(3000)),
            ("[::1]", Some("[::1]"), None),
            ("my_host:80", Some("my_host"), Some(80)),
            (":8080", None, Some(8080)),
            ("", None, None),
        ] {
            let hostname: Hostname = text.parse().expect(text);
            assert_eq!((hostname.name.as_deref(), hostname.port, hostname.explicit), (name, port, true), "{text}");
            assert_eq!(hostname.to_string(), text);
        }
        assert_eq!(Hostname::default().to_string(), "localhost:3000");
    }

    #[test]
    fn what_is_not_a_name_and_a_port_is_refused() {
        for (text, message) in [
            ("example.com:", "`` in `example.com:` is not a port"),
            ("example.com:0", "`0` in"),
            ("example.com:65536", "`65536` in"),
            ("example.com:+80", "`+80` in"),
            ("example.com:http", "`http` in"),
            ("[::1]:x", "`x` in"),
            ("[::1]x", "contains ']'"),
            ("::1", "write `[::1]`"),
            ("http://example.com", "contains '/'"),
            ("example.com/", "contains '/'"),
            ("me@example.com", "contains '@'"),
            ("a b", "contains ' '"),
        ] {
            let error = text.parse::<Hostname>().expect_err(text);
            assert!(error.to_string().contains(message), "{text}: {error}");
        }
    }
}
