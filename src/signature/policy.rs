//! Whose signature is wanted?

use std::fmt;

use crate::signature::key::PublicKey;
use crate::signature::trusted_root::TrustedRoot;

/// Whose signature a module has to have.
#[derive(Clone)]
pub enum TrustPolicy {
    /// That of one of these keys. With a trusted root, a log or a clock in it has to have seen the signature as well.
    Keys {
        /// The keys.
        keys: Vec<PublicKey>,
        /// The logs and clocks.
        root: Option<TrustedRoot>,
    },
    /// That of a person or program that has a certificate from an authority.
    Identity {
        /// An address or URL, in which `*` stands for any characters.
        identity: String,
        /// Who has told the authority who it is.
        issuer: String,
        /// The authorities, logs and clocks.
        root: TrustedRoot,
    },
}

/// Who has signed a module. Displayed as it is written into a lock file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Signer {
    /// The key with this SHA-256.
    Key(String),
    /// A person or program with a certificate.
    Identity {
        /// An address or URL.
        identity: String,
        /// Who has told the authority who it is.
        issuer: String,
    },
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(fingerprint) => write!(f, "key sha256:{fingerprint}"),
            Self::Identity { identity, issuer } => write!(f, "{identity}, as {issuer} says"),
        }
    }
}

/// Whether a text is as a pattern wants it, in which `*` stands for any characters.
pub(in crate::signature) fn matches(pattern: &str, text: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(begin) else { return false };
    let mut parts: Vec<_> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place is as good as any other: what follows may begin later.
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use crate::signature::policy::*;

    #[test]
    fn a_star_stands_for_any_characters_and_nothing_else_for_others() {
        for (pattern, text, expected) in [
            ("a@b.example", "a@b.example", true),
            ("a@b.example", "a@b.example.net", false),
            ("a@b.example", "xa@b.example", false),
            ("a.b", "axb", false),
            ("*", "", true),
            ("*@b.example", "a@b.example", true),
            ("*@b.example", "a@b.example.net", false),
            ("https://h/acme/*@refs/tags/v*", "https://h/acme/app/.github/x.yml@refs/tags/v1.2", true),
            ("https://h/acme/*@refs/tags/v*", "https://h/acme/app/.github/x.yml@refs/heads/v1", false),
            ("https://h/acme/*@refs/tags/v*", "https://h/acmeevil/app@refs/tags/v1", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*b", "axb", false),
            ("a**b", "ab", true),
            ("é*", "éa", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
