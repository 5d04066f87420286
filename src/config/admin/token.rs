//! Which token do requests to the admin listener need?

use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::config::Diagnostic;
use crate::regular_file;

/// The most bytes of a file with a token.
const MAX_TOKEN: u64 = 4096;

/// A token. Only its digest is kept, which says nothing of how much of another token is right.
#[derive(Clone, PartialEq, Eq)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// The token in the file at `path`: its text without the end of the line.
    pub(crate) fn read(path: &Path) -> Result<Self, Box<Diagnostic>> {
        let shown = path.display();
        let unreadable = || Diagnostic::error(format!("cannot read the token file `{shown}`"));
        let bytes = regular_file::read(path, MAX_TOKEN).map_err(|error| unreadable().caused_by(&error))?;
        let token = bytes.trim_ascii();
        let problem = if token.is_empty() {
            "is empty"
        } else if bytes.len() as u64 > MAX_TOKEN {
            "is too long: a token has at most 4096 bytes"
        } else if !token.iter().all(u8::is_ascii_graphic) {
            "holds more than one word of ASCII letters, digits and signs"
        } else {
            return Ok(Self::new(token));
        };
        let help = "write one long random word into it, for example with `openssl rand -hex 32`";
        Err(Diagnostic::error(format!("the token file `{shown}` {problem}")).help(help).into())
    }

    fn new(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether `text` is this token. Takes the same time wherever they differ.
    pub fn is(&self, text: &[u8]) -> bool {
        let Self(other) = Self::new(text);
        self.0.iter().zip(other).fold(0, |difference, (own, other)| difference | (own ^ other)) == 0
    }
}

/// Does not show the token.
impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken")
    }
}

#[cfg(test)]
mod tests {
    use crate::config::admin::token::*;

    fn read(content: &str) -> Result<AdminToken, String> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("token");
        std::fs::write(&path, content).expect("writable");
        AdminToken::read(&path).map_err(|problem| problem.message)
    }

    #[test]
    fn a_token_is_one_word_without_the_end_of_its_line() {
        let token = read("s3cr3t\r\n").expect("a token");
        assert!(token.is(b"s3cr3t"));
        for other in [&b""[..], b"s3cr3", b"s3cr3t\n", b"S3cr3t", b"s3cr3tt"] {
            assert!(!token.is(other));
        }
        assert!(!format!("{token:?}").contains("s3cr3t"));
    }

    #[test]
    fn other_files_are_refused() {
        for (content, expected) in
            [("\n", "is empty"), ("two words", "one word"), ("caf\u{e9}", "one word"), (&*"a".repeat(4097), "too long")]
        {
            assert!(read(content).is_err_and(|problem| problem.contains(expected)), "{expected}");
        }
    }
}
