//! How does a request show who sends it? HTTP Basic authentication, RFC 7617, for bindle servers and registries alike.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use crate::config::Login;

/// The value of `Authorization` for a user name and a password.
pub(crate) fn basic(login: &Login) -> Option<HeaderValue> {
    // The first colon ends the name: a name with a colon would be read as another, with another password.
    if login.user.contains(':') {
        return None;
    }
    secret(&format!("Basic {}", encoded(login)))
}

/// Name and password as that header and files of credentials have them.
pub(crate) fn encoded(login: &Login) -> String {
    STANDARD.encode(format!("{}:{}", login.user, login.password))
}

/// A header value that is never printed.
pub(crate) fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use crate::net::authorization::*;

    /// RFC 7617, section 2.
    #[test]
    fn a_name_and_a_password_become_a_header() {
        let login = |user: &str, password: &str| Login { user: user.to_owned(), password: password.to_owned() };
        let header = basic(&login("Aladdin", "open sesame")).expect("a header");
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(header.is_sensitive() && basic(&login("a:b", "c")).is_none());
        assert!(basic(&login("a", "b:c")).is_some());
    }
}
