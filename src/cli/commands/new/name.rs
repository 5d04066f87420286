//! Which names a project may have: those that are a directory, a package of Cargo, of npm and of Go without quoting.

use std::fmt;
use std::str::FromStr;

/// The longest name: some registries of packages take no longer ones.
const MAX_LENGTH: usize = 64;

/// The name of a project and of its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectName(String);

impl ProjectName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text is not the name of a project.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot be the name of a project: it begins with a small letter, and small letters, digits, `-` and `_` follow, at most {MAX_LENGTH} in all, as in `hello-world`"
)]
pub struct ProjectNameError(String);

impl FromStr for ProjectName {
    type Err = ProjectNameError;

    fn from_str(text: &str) -> Result<Self, ProjectNameError> {
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if begins_well && text.len() <= MAX_LENGTH && text.bytes().all(is_part) {
            return Ok(Self(text.to_owned()));
        }
        Err(ProjectNameError(text.chars().take(MAX_LENGTH).collect()))
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::new::ProjectName;

    #[test]
    fn names_are_simple_words() {
        let longest = "a".repeat(64);
        for name in ["a", "hello", "hello-world", "my_site2", "std", longest.as_str()] {
            assert_eq!(name.parse::<ProjectName>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
        let too_long = "a".repeat(65);
        let wrong = [
            "",
            ".",
            "..",
            "a/b",
            "/a",
            "a b",
            "-a",
            "_a",
            "1a",
            "Hello",
            "a.b",
            "a\nb",
            "a\0",
            "\u{e4}",
            "$(id)",
            "a;b",
            "~",
            too_long.as_str(),
        ];
        for name in wrong {
            assert!(name.parse::<ProjectName>().is_err(), "{name:?}");
        }
    }
}
