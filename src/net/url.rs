//! What may be sent or shown of a URL, and which ones have a server in common?

use std::net::IpAddr;

use url::{Host, Url};

/// Whether it is the URL of an HTTP server.
pub(crate) fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// Whether it holds a user name or a password.
pub(crate) fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Whether both have the same host and port, so that a secret for one may be shown to the other.
pub(crate) fn is_same_server(one: &Url, other: &Url) -> bool {
    (one.host(), one.port_or_known_default()) == (other.host(), other.port_or_known_default())
}

/// The address that stands in place of a host name.
pub(crate) fn host_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    }
}

/// The URL without user name, password and fragment, which are not for requests.
pub(crate) fn without_user(url: &Url) -> Url {
    let mut stripped = url.clone();
    // Only URLs without a host fail, and they have neither.
    let _ = stripped.set_username("").and_then(|()| stripped.set_password(None));
    stripped.set_fragment(None);
    stripped
}

/// The URL for messages: storage servers put what authorizes a download into queries.
pub(crate) fn redacted(url: &Url) -> String {
    let mut redacted = without_user(url);
    redacted.set_query(None);
    redacted.into()
}
