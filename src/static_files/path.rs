//! Which file does the path of a request name?
//!
//! A part that begins with a dot names nothing, so neither `..` nor hidden files are reached; `.well-known` (RFC 8615) is the exception.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

use crate::route::{file_name, is_hidden};

/// The path of a file below a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePath {
    path: PathBuf,
    /// Whether it ends in a slash, as that of a directory.
    is_directory: bool,
}

/// Why a path names no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoFile {
    /// It is never served, whatever there is.
    Hidden,
    /// No file can have its name.
    Impossible,
}

impl FilePath {
    /// The file for a path below a route, as the client sent it.
    pub fn parse(path_info: &str) -> Result<Self, NoFile> {
        let mut path = PathBuf::new();
        let mut is_possible = true;
        for part in path_info.split('/').filter(|part| !part.is_empty()) {
            match file_name(part) {
                Some(name) if is_hidden(&name) && *name != *b".well-known" => return Err(NoFile::Hidden),
                Some(name) => path.push(OsStr::from_bytes(&name)),
                None if percent_decode_str(part).next() == Some(b'.') => return Err(NoFile::Hidden),
                None => is_possible = false,
            }
        }
        let parsed = Self { path, is_directory: path_info.ends_with('/') };
        if is_possible { Ok(parsed) } else { Err(NoFile::Impossible) }
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
            ("", Ok(("", false))),
            ("/", Ok(("", true))),
            ("/a", Ok(("a", false))),
            ("/a/b.txt", Ok(("a/b.txt", false))),
            ("/a/", Ok(("a", true))),
            ("//a//b", Ok(("a/b", false))),
            ("/a%20b", Ok(("a b", false))),
            ("/%C3%A4", Ok(("ä", false))),
            ("/a%5Cb", Ok(("a\\b", false))),
            ("/100%", Ok(("100%", false))),
            ("/%zz", Ok(("%zz", false))),
            ("/.well-known/x", Ok((".well-known/x", false))),
            ("/a/.well-known/", Ok(("a/.well-known", true))),
            ("/.", Err(NoFile::Hidden)),
            ("/..", Err(NoFile::Hidden)),
            ("/a/../b", Err(NoFile::Hidden)),
            ("/%2e%2e/x", Err(NoFile::Hidden)),
            ("/.%2e/x", Err(NoFile::Hidden)),
            ("/.git/config", Err(NoFile::Hidden)),
            ("/a/.env", Err(NoFile::Hidden)),
            ("/%2eenv", Err(NoFile::Hidden)),
            ("/.well-known.txt", Err(NoFile::Hidden)),
            ("/.Well-Known/x", Err(NoFile::Hidden)),
            ("/a%2fb", Err(NoFile::Impossible)),
            ("/a%2Fb", Err(NoFile::Impossible)),
            ("/..%2fx", Err(NoFile::Hidden)),
            ("/a%2Fb/.env", Err(NoFile::Hidden)),
            ("/a%00b", Err(NoFile::Impossible)),
            ("/%00", Err(NoFile::Impossible)),
        ] {
            let found = FilePath::parse(path_info);
            let found =
                found.as_ref().map(|path| (path.path().to_str().unwrap_or("?"), path.is_directory())).map_err(|no| *no);
            assert_eq!(found, expected, "{path_info}");
        }
    }
}
