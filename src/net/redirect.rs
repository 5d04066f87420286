//! Where does a response send the client?
//!
//! Both clients ask here how a redirect changes the request, and where it leads. A registry or a bindle server may not redirect
//! from `https` to `http`.

use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use url::Url;

use crate::net::connect::address::AddressClass;
use crate::net::url::{host_address, is_http, redacted};

/// What a redirect makes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// A GET without a body.
    AsGet,
    /// The same request.
    Unchanged,
}

/// A redirect that must not be followed.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` redirects to `{to}`, {why}")]
pub(crate) struct RedirectError {
    url: String,
    to: String,
    why: &'static str,
}

impl Redirect {
    /// `None` if the response is no redirect that clients follow.
    pub fn from_status(status: StatusCode) -> Option<Self> {
        match status.as_u16() {
            301..=303 => Some(Self::AsGet),
            307 | 308 => Some(Self::Unchanged),
            _ => None,
        }
    }
}

impl RedirectError {
    pub fn new(url: &Url, to: &Url, why: &'static str) -> Self {
        Self { url: redacted(url), to: redacted(to), why }
    }
}

/// The URL in the Location field of a response from `url`, if there is one that can be read.
pub(crate) fn location(url: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = std::str::from_utf8(headers.get(LOCATION)?.as_bytes()).ok()?;
    url.join(location).ok()
}

/// The same, if wagi itself may go there. What a host name resolves to is checked when a connection is made.
pub(crate) fn safe_location(url: &Url, headers: &HeaderMap) -> Result<Option<Url>, RedirectError> {
    let Some(next) = location(url, headers) else { return Ok(None) };
    let refuse = |why| Err(RedirectError::new(url, &next, why));
    if !is_http(&next) {
        return refuse("which is not the URL of a server");
    }
    if url.scheme() == "https" && next.scheme() != "https" {
        return refuse("which is not encrypted: what is sent could be read and changed on the way");
    }
    if is_link_local(&next) && next.host() != url.host() {
        return refuse("an address for the machine's own surroundings");
    }
    Ok(Some(next))
}

/// Clouds tell their machines secrets at such addresses; no public server has one.
fn is_link_local(url: &Url) -> bool {
    host_address(url).is_some_and(|address| AddressClass::from(address) == AddressClass::LinkLocal)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use crate::net::redirect::*;

    #[test]
    fn redirects_lead_nowhere_less_safe() {
        for (from, location, expected) in [
            ("https://a.example/x", "/y", Ok(Some("https://a.example/y"))),
            ("https://a.example/x", "https://b.example/y", Ok(Some("https://b.example/y"))),
            ("http://a.example/x", "https://b.example/y", Ok(Some("https://b.example/y"))),
            ("http://a.example/", "http://10.0.0.1/", Ok(Some("http://10.0.0.1/"))),
            ("http://169.254.1.1/x", "/y", Ok(Some("http://169.254.1.1/y"))),
            ("http://a.example/", "http://", Ok(None)),
            ("https://a.example/", "http://a.example/", Err("not encrypted")),
            ("http://a.example/", "ftp://a.example/", Err("not the URL of a server")),
            ("http://a.example/", "mailto:me@a.example", Err("not the URL of a server")),
            ("http://a.example/", "http://169.254.169.254/?secret", Err("`http://169.254.169.254/`, an address for")),
            ("http://a.example/", "http://2852039166/", Err("surroundings")),
            ("http://a.example/", "http://[fe80::1]/", Err("surroundings")),
            ("http://a.example/", "http://[::ffff:169.254.169.254]/", Err("surroundings")),
            ("http://a.example/", "http://[fd00:ec2::254]/", Err("surroundings")),
            ("http://a.example/", "http://100.100.100.200/", Err("surroundings")),
        ] {
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))]);
            let next = safe_location(&Url::parse(from).expect(from), &headers).map_err(|error| error.to_string());
            match (next, expected) {
                (Ok(next), Ok(expected)) => assert_eq!(next.as_ref().map(Url::as_str), expected, "{location}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{location}: {error}"),
                (next, _) => panic!("{location}: {next:?}"),
            }
        }
    }
}
