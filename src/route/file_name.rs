//! Which name of a file does a segment of a path stand for?
//!
//! Each segment is decoded by itself, so that `%2F` never separates segments. Files at routes and scripts have the same names.

use std::borrow::Cow;

use percent_encoding::{percent_decode_str, percent_encode_byte};

/// The name that a segment between two slashes stands for. `None` if no file can have it.
pub fn file_name(segment: &str) -> Option<Cow<'_, [u8]>> {
    let name: Cow<'_, [u8]> = percent_decode_str(segment).into();
    if name.contains(&b'/') || name.contains(&0) { None } else { Some(name) }
}

/// The usual spelling of a path that names a file: each segment decoded, and one slash between two. Bytes that are no UTF-8 are encoded.
/// A segment that no file can have stays as it is.
pub fn plain_path(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("//") {
        return path.into();
    }
    let mut plain = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        plain.push('/');
        let Some(name) = file_name(segment) else {
            plain.push_str(segment);
            continue;
        };
        for chunk in name.utf8_chunks() {
            plain.push_str(chunk.valid());
            plain.extend(chunk.invalid().iter().copied().map(percent_encode_byte));
        }
    }
    if path.ends_with('/') {
        plain.push('/');
    }
    plain.into()
}

/// Whether a name begins with a dot, as those of hidden files do, and `.` and `..`.
pub fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}

#[cfg(test)]
mod tests {
    use crate::route::file_name::*;

    #[test]
    fn a_path_has_one_usual_spelling() {
        for (path, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/", "/a/"),
            ("//a///b//", "/a/b/"),
            ("/%61/b%20c", "/a/b c"),
            ("/%C3%A4", "/ä"),
            ("/a%2Fb//c", "/a%2Fb/c"),
            ("/%FF", "/%FF"),
            ("/%e9%c3%a4/pri%76%E9", "/%E9ä/priv%E9"),
            ("/%00", "/%00"),
            ("/100%", "/100%"),
            ("//", "/"),
            ("*", "*"),
        ] {
            assert_eq!(plain_path(path), expected, "{path}");
        }
    }
}
