//! Which media type does a file have?
//!
//! By the ending of its name. Text is UTF-8.

use std::path::Path;

use http::HeaderValue;

/// What browsers take as bytes to be stored.
const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The value of `Content-Type` for the file at `path`.
pub(super) fn content_type(path: &Path) -> HeaderValue {
    let Some(media_type) = mime_guess::from_path(path).first_raw() else { return UNKNOWN };
    // RFC 9239 §6 has one name for scripts; the table still has an old one for modules.
    let media_type = if media_type == "application/javascript" { "text/javascript" } else { media_type };
    if !media_type.starts_with("text/") {
        return HeaderValue::from_static(media_type);
    }
    HeaderValue::from_str(&format!("{media_type}; charset=utf-8")).unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use crate::static_files::media_type::*;

    #[test]
    fn the_ending_says_the_media_type() {
        for (name, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.css", "text/css; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("app.mjs", "text/javascript; charset=utf-8"),
            ("notes.txt", "text/plain; charset=utf-8"),
            ("INDEX.HTML", "text/html; charset=utf-8"),
            ("data.json", "application/json"),
            ("module.wasm", "application/wasm"),
            ("logo.svg", "image/svg+xml"),
            ("photo.jpeg", "image/jpeg"),
            ("font.woff2", "font/woff2"),
            ("app.js.gz", "application/gzip"),
            ("README", "application/octet-stream"),
            ("x.unknown-ending", "application/octet-stream"),
        ] {
            assert_eq!(content_type(Path::new(name)), expected, "{name}");
        }
    }
}
