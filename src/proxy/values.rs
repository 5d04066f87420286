//! Which values of these fields make sense? And how many of them, and how long ones, are read?

use std::borrow::Cow;

use crate::cgi::Host;

/// How many elements of a list are looked at. Each is the word of one more trusted proxy in a row, of which there are few.
pub(super) const MAX_ELEMENTS: usize = 64;
/// The longest element of a list, in bytes. A name has up to 253, and what proxies add to it is short.
pub(super) const MAX_ELEMENT: usize = 512;

/// A value makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// A port from 1 to 65535 as it is usually written.
pub(super) fn port(text: &str) -> Result<&str, Malformed> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.trim_start_matches('0');
    (is_number && text.len() <= 5 && port.parse::<u16>().is_ok()).then_some(port).ok_or(Malformed)
}

/// Whether a scheme is that of TLS (RFC 3986 §3.1: in any case).
pub(super) fn https(scheme: &str) -> Result<bool, Malformed> {
    match scheme {
        _ if scheme.eq_ignore_ascii_case("http") => Ok(false),
        _ if scheme.eq_ignore_ascii_case("https") => Ok(true),
        _ => Err(Malformed),
    }
}

/// A name or an address with or without a port, such as a Host field has.
pub(super) fn host(text: Cow<'_, str>) -> Result<Cow<'_, str>, Malformed> {
    let host = Host::parse(text.as_bytes()).ok_or(Malformed)?;
    if host.name().is_empty() {
        return Err(Malformed);
    }
    if !host.port().is_empty() {
        port(host.port())?;
    }
    Ok(text)
}
