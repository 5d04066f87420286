//! How do we say who we are? HTTP Basic authentication, RFC 7617.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

/// The value of `Authorization` for a name and a password.
pub(super) fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    // The first colon ends the name: one with a colon would be another, with another password.
    if user.contains(':') {
        return None;
    }
    let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7617, section 2.
    #[test]
    fn a_name_and_a_password_become_a_header() {
        let header = basic("Aladdin", "open sesame").expect("a header");
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(header.is_sensitive() && basic("a:b", "c").is_none());
    }
}
