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
    let media_type = match media_type {
        // SVG in gzip: without a Content-Encoding, no browser reads it as SVG.
        "image/svg+xml" if is_svgz(path) => "application/gzip",
        media_type => registered(media_type),
    };
    if !media_type.starts_with("text/") {
        return HeaderValue::from_static(media_type);
    }
    HeaderValue::from_str(&format!("{media_type}; charset=utf-8")).unwrap_or(UNKNOWN)
}

fn is_svgz(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svgz"))
}

/// The registered name of a media type for which the table has an older one.
fn registered(media_type: &'static str) -> &'static str {
    match media_type {
        // RFC 9239 §6
        "application/javascript" => "text/javascript",
        // RFC 8081 §4.4
        "application/font-sfnt" => "font/otf",
        "application/font-woff" => "font/woff",
        // RFC 8216 §4 and §3.2
        "audio/x-mpegurl" | "audio/mpegurl" | "application/x-mpegurl" => "application/vnd.apple.mpegurl",
        "video/vnd.dlna.mpeg-tts" => "video/mp2t",
        media_type => media_type,
    }
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
            ("font.woff", "font/woff"),
            ("font.otf", "font/otf"),
            ("font.ttf", "font/ttf"),
            ("live.m3u8", "application/vnd.apple.mpegurl"),
            ("live.ts", "video/mp2t"),
            ("logo.SVGZ", "application/gzip"),
            ("app.js.gz", "application/gzip"),
            ("README", "application/octet-stream"),
            ("x.unknown-ending", "application/octet-stream"),
        ] {
            assert_eq!(content_type(Path::new(name)), expected, "{name}");
        }
    }
}
