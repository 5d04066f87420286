//! The id of a bindle, `NAME/VERSION`. `Config::load` parses it once.

use std::fmt;
use std::str::FromStr;

/// The name and version of a bindle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindleId {
    name: String,
    version: String,
}

/// Why a text is not the id of a bindle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindleIdError {
    /// The slash is missing, or the name or the version is empty.
    #[error("`{0}` is not the id of a bindle")]
    Incomplete(String),
    /// The text behind the last slash is not a semantic version.
    #[error("`{version}` in `{id}` is not a version")]
    Version {
        /// The whole text.
        id: String,
        /// The text in place of the version.
        version: String,
    },
}

impl BindleIdError {
    /// Returns how to write it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Incomplete(_) => "write `NAME/VERSION`, such as `example.com/hello/1.0.0`",
            Self::Version { .. } => "a version has three numbers, such as `1.0.0`, `1.0.0-beta.1` or `1.0.0+build`",
        }
    }
}

impl BindleId {
    /// Returns the name: the text before the last slash.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the version: the text behind the last slash.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl FromStr for BindleId {
    type Err = BindleIdError;

    fn from_str(id: &str) -> Result<Self, BindleIdError> {
        let parts = id.rsplit_once('/').filter(|(name, version)| !name.is_empty() && !version.is_empty());
        let (name, version) = parts.ok_or_else(|| BindleIdError::Incomplete(id.to_owned()))?;
        if semver::Version::parse(version).is_err() {
            return Err(BindleIdError::Version { id: id.to_owned(), version: version.to_owned() });
        }
        Ok(Self { name: name.to_owned(), version: version.to_owned() })
    }
}

impl fmt::Display for BindleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::invoice::id::*;

    #[test]
    fn an_id_is_split_at_its_last_slash() {
        for (text, name, version) in [
            ("hello/1.0.0", "hello", "1.0.0"),
            ("example.com/baz/1.0.0", "example.com/baz", "1.0.0"),
            ("a/b/c/0.1.0-ivan-20210924170616069", "a/b/c", "0.1.0-ivan-20210924170616069"),
            ("a/1.0.0-rc.1+build.007", "a", "1.0.0-rc.1+build.007"),
        ] {
            let id: BindleId = text.parse().expect(text);
            assert_eq!((id.name(), id.version()), (name, version));
            assert_eq!(id.to_string(), text);
        }
        for text in ["", "/", "hello", "hello/", "/1.0.0", "1.0.0"] {
            assert_eq!(text.parse::<BindleId>(), Err(BindleIdError::Incomplete(text.to_owned())), "{text}");
        }
    }

    /// SemVer 2.0.0, with examples from its suggested regular expression.
    #[test]
    fn a_version_is_a_semantic_version() {
        for version in [
            "0.0.4",
            "10.20.30",
            "1.1.2-prerelease+meta",
            "1.1.2+meta-valid",
            "1.0.0-alpha",
            "1.0.0-alpha0.valid",
            "1.0.0-alpha.0valid",
            "1.0.0-0A.is.legal",
            "1.0.0--",
            "1.2.3----R-S.12.9.1--.12+meta",
            "1.0.0+0.build.1-rc.10000aaa-kk-0.1",
        ] {
            assert!(format!("a/{version}").parse::<BindleId>().is_ok(), "{version}");
        }
        for version in [
            "1",
            "1.0",
            "1.2.3.4",
            "v1.0.0",
            "01.1.1",
            "1.01.1",
            "1.1.01",
            "1.2.3-0123",
            "1.2.3-0123.0123",
            "1.0.0-alpha..1",
            "1.0.0-",
            "1.0.0+",
            "1.1.2+.123",
            "1.0.0+a+b",
            "1.0.0-alpha_beta",
            "-1.0.3",
            "1.0.0 ",
            "1..0",
            "１.0.0",
        ] {
            let error = format!("a/{version}").parse::<BindleId>().expect_err(version);
            assert!(error.help().contains("three numbers"));
        }
    }
}
