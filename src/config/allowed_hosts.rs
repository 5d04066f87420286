//! Which hosts may a script call?
//!
//! `entry` parses the list of `allowed_hosts`; whoever makes a guest's outbound call asks it first. Only the host counts:
//! scheme, port and path of an entry are ignored, as they always were in WAGI.

use url::{Host, Url};

/// The entry that allows everything.
const ALLOW_ALL: &str = "insecure:allow-all";

/// The hosts that a script may call. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedHosts {
    /// No host at all.
    #[default]
    None,
    /// Every host.
    All,
    /// These hosts, each as a URL has it: lower case, punycode, IPv6 in brackets.
    Only(Vec<String>),
}

/// Why an entry is not a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Neither a URL with a host nor a bare host.
    #[error("`{0}` is neither a URL with a host nor a host name")]
    NoHost(String),
    /// A pattern.
    #[error("`{0}` is a pattern, but hosts are compared as a whole")]
    Pattern(String),
}

impl HostError {
    /// What to write instead.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoHost(_) => "write `https://example.com`, `example.com`, or `insecure:allow-all` for every host",
            Self::Pattern(_) => "list each host by its full name, or write `insecure:allow-all` for every host",
        }
    }
}

impl AllowedHosts {
    /// Adds what one entry of the list allows: a URL with a host, a bare host, or `insecure:allow-all`.
    pub fn add(&mut self, entry: &str) -> Result<(), HostError> {
        let entry = entry.trim();
        if entry == ALLOW_ALL {
            *self = Self::All;
            return Ok(());
        }
        let host = host_of(entry)?;
        match self {
            Self::All => {}
            Self::None => *self = Self::Only(vec![host]),
            Self::Only(hosts) => hosts.push(host),
        }
        Ok(())
    }

    /// Whether a script may call `url`.
    pub fn allows(&self, url: &Url) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(hosts) => url.host_str().is_some_and(|host| hosts.iter().any(|allowed| allowed == host)),
        }
    }
}

fn host_of(entry: &str) -> Result<String, HostError> {
    let no_host = || HostError::NoHost(entry.to_owned());
    let with_host = Url::parse(entry).ok().filter(Url::has_host);
    // `localhost:3000` parses as a URL of the scheme `localhost`, so what has no host is tried as one, too.
    let url = with_host.or_else(|| bare(entry)).ok_or_else(no_host)?;
    let host = url.host_str().ok_or_else(no_host)?;
    if host.contains('*') {
        return Err(HostError::Pattern(entry.to_owned()));
    }
    // URLs of unknown schemes keep their host as it is written.
    Host::parse(host).map(|host| host.to_string()).map_err(|_| no_host())
}

fn bare(entry: &str) -> Option<Url> {
    if entry.starts_with(['/', '\\']) || entry.contains("://") {
        return None;
    }
    Url::parse(&format!("http://{entry}")).ok().filter(|url| url.username().is_empty() && url.password().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str]) -> AllowedHosts {
        let mut allowed = AllowedHosts::default();
        for entry in entries {
            allowed.add(entry).unwrap_or_else(|error| panic!("{entry}: {error}"));
        }
        allowed
    }

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    #[test]
    fn calls_are_allowed_by_host_alone() {
        let hosts = allowed(&["https://api.brigade.sh", "https://example.com", "http://192.168.0.1"]);
        for (target, allows) in [
            ("https://api.brigade.sh/healthz", true),
            ("https://example.com/any/path", true),
            ("http://192.168.0.1/login", true),
            ("http://192.168.0.1:8080/login", true),
            ("http://EXAMPLE.com:81/", true),
            ("https://test.brigade.sh", false),
            ("https://brigade.sh", false),
            ("https://example.com.evil.example/", false),
            ("https://evil.example/https://example.com", false),
            ("https://example.com@evil.example/", false),
            ("mailto:example.com", false),
        ] {
            assert_eq!(hosts.allows(&url(target)), allows, "{target}");
        }
        let all = allowed(&["https://example.com", " insecure:allow-all ", "https://api.brigade.sh"]);
        assert_eq!(all, AllowedHosts::All);
        assert!(all.allows(&url("https://test.brigade.sh")));
        assert!(!AllowedHosts::default().allows(&url("http://localhost")));
    }

    #[test]
    fn entries_are_reduced_to_their_host() {
        for (entry, host) in [
            ("https://API.Example.net/v1?x", "api.example.net"),
            ("api.example.net", "api.example.net"),
            (" api.example.net ", "api.example.net"),
            ("localhost:3000", "localhost"),
            ("localhost", "localhost"),
            ("[::1]:3000", "[::1]"),
            ("http://[0:0::1]/", "[::1]"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("redis://Cache.Example:6379", "cache.example"),
            ("example.com/path", "example.com"),
        ] {
            assert_eq!(allowed(&[entry]), AllowedHosts::Only(vec![host.to_owned()]), "{entry}");
        }
    }

    #[test]
    fn entries_without_a_host_are_refused() {
        for entry in ["", "  ", "not even a url", "/path", "https://", "mailto:me@example.com", "http://a b", "::1"] {
            let error = AllowedHosts::default().add(entry).expect_err(entry);
            assert!(matches!(error, HostError::NoHost(_)), "{entry}: {error}");
        }
        for entry in ["*.example.com", "https://*.example.com", "*"] {
            let error = AllowedHosts::default().add(entry).expect_err(entry);
            assert!(matches!(error, HostError::Pattern(_)), "{entry}: {error}");
        }
    }
}
