//! Which name of a file does a segment of a path stand for?
//!
//! Each segment is decoded by itself, so that `%2F` never separates segments. Files at routes and scripts have the same names.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The name that a segment between two slashes stands for. `None` if no file can have it.
pub fn file_name(segment: &str) -> Option<Cow<'_, [u8]>> {
    let name: Cow<'_, [u8]> = percent_decode_str(segment).into();
    if name.contains(&b'/') || name.contains(&0) { None } else { Some(name) }
}

/// Whether a name begins with a dot, as those of hidden files do, and `.` and `..`.
pub fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}
