//! Which file does the path of a request name?
//!
//! A part that begins with a dot names nothing, so neither `..` nor hidden files are reached; `.well-known` (RFC 8615) is the exception.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::route::{file_name, is_hidden};

/// The path of a file below a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePath {
    path: PathBuf,
    /// Whether it ends in a slash, as that of a directory.
    is_directory: bool,
}

impl FilePath {
    /// The file for a path below a route, as the client sent it. `None` if it is one that is never served.
    pub fn parse(path_info: &str) -> Option<Self> {
        let mut path = PathBuf::new();
        for part in path_info.split('/').filter(|part| !part.is_empty()) {
            let name = file_name(part).filter(|name| !is_hidden(name) || **name == *b".well-known")?;
            path.push(OsStr::from_bytes(&name));
        }
        Some(Self { path, is_directory: path_info.ends_with('/') })
    }

    /// The path below the directory; empty for the directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is the path of a directory.
    pub fn is_directory(&self) -> bool {
        self.is_directory
    }
}

#[cfg(test)]
mod tests {
    use crate::static_files::path::*;

    #[test]
    fn a_path_names_a_file_below_the_directory_or_nothing() {
        for (path_info, expected) in [
            ("", Some(("", false))),
            ("/", Some(("", true))),
            ("/a", Some(("a", false))),
            ("/a/b.txt", Some(("a/b.txt", false))),
            ("/a/", Some(("a", true))),
            ("//a//b", Some(("a/b", false))),
            ("/a%20b", Some(("a b", false))),
            ("/%C3%A4", Some(("ä", false))),
            ("/a%5Cb", Some(("a\\b", false))),
            ("/100%", Some(("100%", false))),
            ("/%zz", Some(("%zz", false))),
            ("/.well-known/x", Some((".well-known/x", false))),
            ("/a/.well-known/", Some(("a/.well-known", true))),
            ("/.", None),
            ("/..", None),
            ("/a/../b", None),
            ("/%2e%2e/x", None),
            ("/.%2e/x", None),
            ("/.git/config", None),
            ("/a/.env", None),
            ("/%2eenv", None),
            ("/.well-known.txt", None),
            ("/.Well-Known/x", None),
            ("/a%2fb", None),
            ("/a%2Fb", None),
            ("/..%2fx", None),
            ("/a%00b", None),
            ("/%00", None),
        ] {
            let found = FilePath::parse(path_info);
            let found = found.as_ref().map(|path| (path.path().to_str().unwrap_or("?"), path.is_directory()));
            assert_eq!(found, expected, "{path_info}");
        }
    }
}
