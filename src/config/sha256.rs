//! SHA-256 digests in their written form.

use std::fmt;
use std::str::FromStr;

/// A SHA-256 digest: 64 hexadecimal digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(String);

impl Sha256 {
    /// Creates a digest from its 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(
            bytes
                .iter()
                .flat_map(|byte| [byte >> 4, byte & 15])
                .filter_map(|half| char::from_digit(half.into(), 16))
                .collect(),
        )
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sha256 {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest.then(|| Self(text.to_ascii_lowercase())).ok_or(())
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::sha256::*;

    #[test]
    fn a_digest_has_64_hexadecimal_digits() {
        let digest: Sha256 = "0123456789ABCDEF".repeat(4).parse().expect("a digest");
        assert_eq!(digest.as_str(), "0123456789abcdef".repeat(4));
        for text in ["".to_owned(), "0".repeat(63), "0".repeat(65), "g".repeat(64), "../".repeat(21) + "a"] {
            assert_eq!(text.parse::<Sha256>(), Err(()), "{text}");
        }
    }
}
