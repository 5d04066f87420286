//! Which requests does the admin listener answer?
//!
//! Browsers send requests for any page that they show. So a request must not come from a page of another origin, and must name
//! the listener as its operator does: a page could reach it by a name of its own that leads here (DNS rebinding). Where other
//! machines can connect, it needs the token besides.

use std::net::IpAddr;

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName};
use url::Url;

use crate::config::{AdminToken, HostName, HostPattern};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The port of URLs without one. The listener itself has no TLS, but a proxy in front of it may.
const DEFAULT_PORT: u16 = 80;

/// Whose requests are answered.
pub(super) struct Access<'a> {
    /// The names besides `localhost` and the address itself.
    pub hosts: &'a [HostPattern],
    pub token: Option<&'a AdminToken>,
    /// The address that the client has connected to; `None` for a Unix socket.
    pub local: Option<IpAddr>,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccessError {
    /// A page of another origin has sent it.
    ForeignOrigin,
    /// It names another host.
    ForeignHost,
    /// It has no token, or a wrong one.
    Token,
}

impl Access<'_> {
    /// Whether a request is answered that changes nothing and shows nothing.
    pub fn check_origin(head: &Parts) -> Result<(), AccessError> {
        let is_own_site = |value: &[u8]| matches!(value, b"same-origin" | b"none");
        let mut sites = head.headers.get_all(SEC_FETCH_SITE).iter();
        let mut origins = head.headers.get_all(ORIGIN).iter();
        let is_own = sites.all(|site| is_own_site(site.as_bytes()))
            && origins.all(|origin| origin.to_str().is_ok_and(|origin| is_own_origin(origin, head)));
        if is_own { Ok(()) } else { Err(AccessError::ForeignOrigin) }
    }

    /// Whether any other request is answered, besides.
    pub fn check(&self, head: &Parts) -> Result<(), AccessError> {
        let mut authorities = authorities(head).peekable();
        let is_named = authorities.peek().is_some();
        if !is_named || !authorities.all(|authority| authority.is_some_and(|authority| self.is_own(&authority))) {
            return Err(AccessError::ForeignHost);
        }
        match self.token {
            Some(token) if !bearer(&head.headers).is_some_and(|text| token.is(text)) => Err(AccessError::Token),
            _ => Ok(()),
        }
    }

    fn is_own(&self, authority: &Authority) -> bool {
        let Some(name) = host_name(authority) else { return false };
        let port = authority.port_u16().unwrap_or(DEFAULT_PORT);
        let matches = |pattern: &HostPattern| {
            let own = if pattern.is_wildcard() { name.parent() } else { Some(name.as_str()) };
            own == Some(pattern.name()) && pattern.port().is_none_or(|own| own == port)
        };
        let address = name.as_str().trim_matches(['[', ']']).parse::<IpAddr>().ok();
        name.as_str() == "localhost"
            || address.is_some_and(|address| Some(address.to_canonical()) == self.local.map(|own| own.to_canonical()))
            || self.hosts.iter().any(matches)
    }
}

/// What the request names as its host, in each place where it does. `None` for what cannot be read.
fn authorities(head: &Parts) -> impl Iterator<Item = Option<Authority>> {
    let of_target = head.uri.authority().cloned().map(Some);
    let fields = head.headers.get_all(HOST).iter();
    of_target.into_iter().chain(fields.map(|value| Authority::try_from(value.as_bytes()).ok()))
}

fn host_name(authority: &Authority) -> Option<HostName<'_>> {
    // A user name before the host serves only to make one host look like another.
    HostName::new(authority.host()).filter(|_| !authority.as_str().contains('@'))
}

/// Whether the request is for the origin itself, as far as it says.
fn is_own_origin(origin: &str, head: &Parts) -> bool {
    let Ok(origin) = Url::parse(origin) else { return false };
    let (Some(host), Some(port)) = (origin.host_str(), origin.port_or_known_default()) else { return false };
    let is_same = |authority: Option<Authority>| {
        authority.is_some_and(|authority| {
            let default = if origin.scheme() == "https" { 443 } else { DEFAULT_PORT };
            let is_same_host = HostName::new(host) == host_name(&authority);
            is_same_host && authority.port_u16().unwrap_or(default) == port
        })
    };
    let mut authorities = authorities(head).peekable();
    matches!(origin.scheme(), "http" | "https") && authorities.peek().is_some() && authorities.all(is_same)
}

/// The token of the request (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let (scheme, token) = field.as_bytes().split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use crate::admin::access::*;

    fn head(fields: &[(&str, &str)]) -> Parts {
        let request =
            fields.iter().fold(Request::get("/status"), |request, (name, value)| request.header(*name, *value));
        request.body(()).expect("a request").into_parts().0
    }

    fn answers(host: &str, hosts: &[&str], local: &str) -> bool {
        let hosts: Vec<HostPattern> = hosts.iter().map(|host| host.parse().expect(host)).collect();
        let access = Access { hosts: &hosts, token: None, local: local.parse().ok() };
        access.check(&head(&[("host", host)])).is_ok()
    }

    #[test]
    fn the_host_is_the_address_localhost_or_a_listed_name() {
        for host in ["127.0.0.1:9901", "127.0.0.1", "127.0.0.1:1", "localhost:9901", "LOCALHOST.", "[::ffff:127.0.0.1]"]
        {
            assert!(answers(host, &[], "127.0.0.1"), "{host}");
        }
        assert!(answers("[::1]:9901", &[], "::1"));
        for host in [
            "evil.example",
            "127.0.0.2",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "a.localhost",
            "evil@localhost",
            "localhost@evil.example",
            "[::1]",
            "",
            "127.0.0.1, evil.example",
        ] {
            assert!(!answers(host, &[], "127.0.0.1"), "{host}");
        }
        assert!(answers("Admin.Example:9901", &["admin.example"], "127.0.0.1"));
        assert!(answers("a.example", &["*.example"], ""));
        assert!(!answers("a.b.example", &["*.example"], ""));
        assert!(answers("admin.example:9901", &["admin.example:9901"], "127.0.0.1"));
        assert!(!answers("admin.example:9902", &["admin.example:9901"], "127.0.0.1"));
        assert!(answers("localhost", &[], "") && !answers("127.0.0.1", &[], ""));
    }

    #[test]
    fn every_host_that_a_request_names_has_to_be_right() {
        let access = Access { hosts: &[], token: None, local: None };
        assert_eq!(access.check(&head(&[])), Err(AccessError::ForeignHost));
        assert_eq!(
            access.check(&head(&[("host", "localhost"), ("host", "evil.example")])),
            Err(AccessError::ForeignHost)
        );
        let mut absolute = head(&[("host", "localhost")]);
        absolute.uri = "http://evil.example/status".parse().expect("a target");
        assert_eq!(access.check(&absolute), Err(AccessError::ForeignHost));
    }

    #[test]
    fn a_page_of_another_origin_is_refused() {
        let is_own = |fields: &[(&str, &str)]| {
            let fields = [&[("host", "localhost:9901")], fields].concat();
            Access::check_origin(&head(&fields)).is_ok()
        };
        for fields in [
            &[][..],
            &[("origin", "http://localhost:9901")],
            &[("origin", "http://LOCALHOST:9901"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(is_own(fields), "{fields:?}");
        }
        for fields in [
            &[("origin", "http://evil.example")][..],
            &[("origin", "http://localhost:9902")],
            &[("origin", "http://localhost")],
            &[("origin", "http://localhost:9901.evil.example")],
            &[("origin", "file://localhost:9901")],
            &[("origin", "null")],
            &[("origin", "")],
            &[("origin", "http://localhost:9901"), ("origin", "http://evil.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "")],
        ] {
            assert!(!is_own(fields), "{fields:?}");
        }
    }

    #[test]
    fn a_token_is_compared_whole() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("token");
        std::fs::write(&path, "s3cr3t\n").expect("writable");
        let token = AdminToken::read(&path).expect("a token");
        let access = Access { hosts: &[], token: Some(&token), local: None };
        let check = |fields: &[(&str, &str)]| access.check(&head(&[&[("host", "localhost")], fields].concat()));
        assert_eq!(check(&[("authorization", "Bearer s3cr3t")]), Ok(()));
        assert_eq!(check(&[("authorization", "bearer  s3cr3t ")]), Ok(()));
        for value in
            ["", "Bearer", "Bearer ", "Bearer s3cr3", "Bearer S3cr3t", "Basic s3cr3t", "s3cr3t", "Bearers3cr3t"]
        {
            assert_eq!(check(&[("authorization", value)]), Err(AccessError::Token), "{value}");
        }
        assert_eq!(check(&[]), Err(AccessError::Token));
        let twice = [("authorization", "Bearer s3cr3t"), ("authorization", "Bearer s3cr3t")];
        assert_eq!(check(&twice), Err(AccessError::Token));
    }
}
