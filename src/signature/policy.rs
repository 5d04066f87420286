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
        /// An address or URL, in which `*` stands for a part of it, and `**` for several.
        identity: String,
        /// Who has told the authority who it is.
        issuer: String,
        /// The authorities, logs and clocks.
        root: TrustedRoot,
    },
}

impl TrustPolicy {
    /// The place of a signer among those whose signature is enough.
    pub(in crate::signature) fn rank(&self, signer: &Signer) -> usize {
        match (self, signer) {
            (Self::Keys { keys, .. }, Signer::Key(fingerprint)) => {
                keys.iter().position(|key| key.fingerprint() == *fingerprint).unwrap_or(keys.len())
            }
            _ => 0,
        }
    }
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

/// How long a name can be that is as a pattern wants it.
const MAX_NAME: usize = 2_048;

/// One step of a pattern.
#[derive(Clone, Copy)]
enum PatternStep {
    /// This character.
    Character(char),
    /// `*`: any characters but `/` and `@`.
    Part,
    /// `**`: any characters but `@`.
    Parts,
}

impl PatternStep {
    fn all(pattern: &str) -> Vec<Self> {
        let mut steps = Vec::new();
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            steps.push(match character {
                '*' if characters.next_if_eq(&'*').is_some() => Self::Parts,
                '*' => Self::Part,
                other => Self::Character(other),
            });
        }
        steps
    }

    /// Whether it stands for this character. What comes after an `@` is not for stars to skip: the name of a branch may be
    /// `x@refs/tags/v1`.
    fn is(self, character: char) -> bool {
        match self {
            Self::Character(own) => own == character,
            Self::Part => !['/', '@'].contains(&character) && !character.is_control(),
            Self::Parts => character != '@' && !character.is_control(),
        }
    }

    fn is_star(self) -> bool {
        !matches!(self, Self::Character(_))
    }
}

/// Whether a text is as a pattern wants it.
pub(in crate::signature) fn matches(pattern: &str, text: &str) -> bool {
    if text.len() > MAX_NAME {
        return false;
    }
    let steps = PatternStep::all(pattern);
    // Which of the steps may be next. A star may stand for nothing.
    let skip_stars = |next: &mut Vec<bool>| {
        for (index, _) in steps.iter().enumerate().filter(|(_, step)| step.is_star()) {
            next[index + 1] |= next[index];
        }
    };
    let mut next = vec![false; steps.len() + 1];
    next[0] = true;
    skip_stars(&mut next);
    for character in text.chars() {
        let mut after = vec![false; steps.len() + 1];
        for (index, step) in steps.iter().enumerate().filter(|(_, step)| step.is(character)) {
            after[if step.is_star() { index } else { index + 1 }] |= next[index];
        }
        skip_stars(&mut after);
        next = after;
    }
    next[steps.len()]
}

#[cfg(test)]
mod tests {
    use crate::signature::policy::*;

    #[test]
    fn a_star_stands_for_a_part_and_two_for_several_and_none_for_an_at() {
        const WORKFLOWS: &str = "https://h/acme/**@refs/tags/v*";
        for (pattern, text, expected) in [
            ("a@b.example", "a@b.example", true),
            ("a@b.example", "a@b.example.net", false),
            ("a@b.example", "xa@b.example", false),
            ("a.b", "axb", false),
            ("*", "", true),
            ("*@b.example", "a@b.example", true),
            ("*@b.example", "a@b.example.net", false),
            ("*@b.example", "a@evil.example@b.example", false),
            (WORKFLOWS, "https://h/acme/app/.github/x.yml@refs/tags/v1.2", true),
            (WORKFLOWS, "https://h/acme/app/.github/x.yml@refs/heads/v1", false),
            (WORKFLOWS, "https://h/acmeevil/app@refs/tags/v1", false),
            // A branch, a workflow and a tag that are called so that they look like something else.
            (WORKFLOWS, "https://h/acme/app/.github/evil.yml@refs/heads/x@refs/tags/v1", false),
            (WORKFLOWS, "https://h/acme/app/.github/a@refs/tags/v1.yml@refs/heads/main", false),
            (WORKFLOWS, "https://h/acme/app/.github/x.yml@refs/tags/v1/x", false),
            ("https://h/acme/*/x.yml@refs/tags/**", "https://h/acme/app/x.yml@refs/tags/v1/x", true),
            ("https://h/acme/*/x.yml@refs/tags/**", "https://h/acme/app/other/x.yml@refs/tags/v1", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*b", "axb", false),
            ("**a*b", "a/ab", true),
            ("a**b", "ab", true),
            ("a***b", "a/xb", true),
            ("é*", "éa", true),
            ("a*", "a\n", false),
            ("a**", "a\u{1b}[31m", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text:?}");
        }
        assert!(matches("a**", &"a".repeat(MAX_NAME)) && !matches("a**", &"a".repeat(MAX_NAME + 1)));
    }
}
