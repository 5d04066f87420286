//! How do we say who we are? HTTP Basic authentication, RFC 7617.

use http::HeaderValue;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The value of `Authorization` for a name and a password.
pub(super) fn basic(user: &str, password: &str) -> Option<HeaderValue> {
    // The first colon ends the name: one with a colon would be another, with another password.
    if user.contains(':') {
        return None;
    }
    let text = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for triple in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, index| bits << 8 | usize::from(triple.get(index).copied().unwrap_or(0)));
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = ALPHABET.get(bits >> shift & 63).filter(|_| index <= triple.len());
            text.push(digit.map_or('=', |&digit| digit.into()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn bytes_become_base64() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    /// RFC 7617, section 2.
    #[test]
    fn a_name_and_a_password_become_a_header() {
        let header = basic("Aladdin", "open sesame").expect("a header");
        assert_eq!(header, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(header.is_sensitive() && basic("a:b", "c").is_none());
    }
}
