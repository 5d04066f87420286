//! Where may an answer send us?
//!
//! Nowhere less safe than where it came from. Asked by `http` for redirects, and by those who are told in other ways where
//! to go on.

use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use url::{Host, Url};

use crate::net::client::ClientError;

/// Where an answer of `url` sends us, if it is a redirect that says so.
pub(crate) fn next(url: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Option<Url>, ClientError> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    location(url, headers)
}

/// What an answer of `url` gives as its location, if it may be gone to.
pub(crate) fn location(url: &Url, headers: &HeaderMap) -> Result<Option<Url>, ClientError> {
    let Some(location) = headers.get(LOCATION).and_then(|location| std::str::from_utf8(location.as_bytes()).ok())
    else {
        return Ok(None);
    };
    let Ok(next) = url.join(location) else { return Ok(None) };
    let refuse = |why| Err(ClientError::Redirect { url: shown(url), to: shown(&next), why });
    if !is_of_server(&next) {
        return refuse("which is not the URL of a server");
    }
    if url.scheme() == "https" && next.scheme() != "https" {
        return refuse("where anybody on the way could read and change what is sent");
    }
    if is_link_local(&next) && !is_link_local(url) {
        return refuse("an address for the machine's own surroundings");
    }
    Ok(Some(next))
}

/// Whether what one may see is for the other as well.
pub(crate) fn is_same_server(one: &Url, other: &Url) -> bool {
    (one.host(), one.port_or_known_default()) == (other.host(), other.port_or_known_default())
}

/// Clouds tell their machines secrets at such addresses; no public server has one.
fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local(),
        Some(Host::Ipv6(address)) => {
            address.is_unicast_link_local() || address.to_ipv4_mapped().is_some_and(|address| address.is_link_local())
        }
        _ => false,
    }
}

pub(crate) fn is_of_server(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// A URL without name, password and fragment, which are not for requests.
pub(crate) fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    // Only URLs without host, which have neither, refuse to be without.
    let _ = bare.set_username("").and_then(|()| bare.set_password(None));
    bare.set_fragment(None);
    bare
}

/// A URL as it may be shown: queries are where storage servers put what authorizes a download.
pub(crate) fn shown(url: &Url) -> String {
    let mut shown = bare(url);
    shown.set_query(None);
    shown.into()
}
