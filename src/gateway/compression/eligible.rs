//! Does a response gain by compression, and may it be compressed? Asked by the parent, whatever the client accepts.

use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body;

use crate::content::status::has_whole_content;

/// The shortest body that is compressed, in bytes. Shorter ones fit in one packet as they are.
const MIN_LENGTH: u64 = 1024;

/// Media types that gain, besides `text/*` and those with a suffix below.
const MEDIA_TYPES: [&str; 39] = [
    "application/atom+xml",
    "application/dash+xml",
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/json",
    "application/json-seq",
    "application/jsonl",
    "application/jsonlines",
    "application/mbox",
    "application/n-quads",
    "application/n-triples",
    "application/ndjson",
    "application/postscript",
    "application/rtf",
    "application/sql",
    "application/toml",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-json",
    "application/x-mpegurl",
    "application/x-ndjson",
    "application/x-sh",
    "application/x-tex",
    "application/x-www-form-urlencoded",
    "application/x-yaml",
    "application/xml",
    "application/xml-dtd",
    "application/yaml",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
    "image/x-ms-bmp",
    "model/obj",
    "model/stl",
];

/// Suffixes of media types that are text (RFC 6839, RFC 9512).
const SUFFIXES: [&str; 4] = ["+json", "+xml", "+json-seq", "+yaml"];

/// Digests of the bytes that are sent (RFC 9530, RFC 3230, RFC 1864): they would be wrong.
const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// Whether a response is sent in the coding that its client prefers, or one to GET if this is one to HEAD.
pub(super) fn is_eligible<B: Body>(method: &Method, response: &Response<B>) -> bool {
    let headers = response.headers();
    has_whole_content(response.status())
        && length(method, response).is_none_or(|length| length >= MIN_LENGTH)
        && media_type(headers).is_some_and(gains)
        && !headers.contains_key(CONTENT_RANGE)
        && may_be_encoded(headers)
}

/// Whether a response without content, or with a part of it, has the fields of a whole one that may be eligible (RFC 9110 §15.3.7,
/// §15.4.5). A 304 need not say of which type and how long that is.
pub(super) fn may_stand_for_eligible<B>(response: &Response<B>) -> bool {
    let (headers, status) = (response.headers(), response.status());
    let length = match status {
        StatusCode::NOT_MODIFIED => None,
        StatusCode::PARTIAL_CONTENT => {
            let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
            range.and_then(|range| range.rsplit_once('/')).and_then(|(_, all)| all.parse().ok())
        }
        _ => return false,
    };
    length.is_none_or(|length: u64| length >= MIN_LENGTH)
        && media_type(headers).map_or(status == StatusCode::NOT_MODIFIED, gains)
        && may_be_encoded(headers)
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

/// Whether the content may be sent in another coding.
fn may_be_encoded(headers: &HeaderMap) -> bool {
    !headers.contains_key(CONTENT_ENCODING)
        && !DIGESTS.iter().any(|name| headers.contains_key(HeaderName::from_static(name)))
        && !forbids_transformation(headers)
}

/// The length of the content, if it is known. Of the content that a response to HEAD leaves out only its field says it.
fn length<B: Body>(method: &Method, response: &Response<B>) -> Option<u64> {
    if *method != Method::HEAD {
        return response.body().size_hint().exact();
    }
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether content of this type gets shorter.
fn gains(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type.starts_with("text/")
        || MEDIA_TYPES.contains(&&*media_type)
        || SUFFIXES.iter().any(|suffix| media_type.ends_with(suffix))
}

/// RFC 9111 §5.2.2.6.
fn forbids_transformation(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    values.map(<[u8]>::trim_ascii).any(|directive| directive.eq_ignore_ascii_case(b"no-transform"))
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;
    use http_body_util::Full;

    use crate::gateway::compression::eligible::*;

    fn response(length: usize, fields: &[(&'static str, &'static str)]) -> Response<Full<bytes::Bytes>> {
        let mut response = Response::new(Full::new(vec![b'x'; length].into()));
        for (name, value) in fields {
            response.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        response
    }

    #[test]
    fn types_that_gain_are_text_and_code() {
        for (content_type, expected) in [
            ("text/plain", true),
            ("text/html; charset=utf-8", true),
            ("TEXT/CSS", true),
            ("text/event-stream", true),
            ("application/json", true),
            ("Application/JSON ;charset=utf-8", true),
            ("application/problem+json", true),
            ("image/svg+xml", true),
            ("application/wasm", true),
            ("font/ttf", true),
            ("font/woff2", false),
            ("image/png", false),
            ("image/jpeg", false),
            ("video/mp4", false),
            ("application/zip", false),
            ("application/pdf", false),
            ("application/octet-stream", false),
            ("application/grpc", false),
            ("application/jsonx", false),
            ("multipart/form-data", false),
            ("", false),
            ("text", false),
        ] {
            assert_eq!(gains(content_type), expected, "{content_type}");
        }
    }

    #[test]
    fn responses_without_whole_content_stand_for_whole_ones() {
        let (text, image) = (("content-type", "text/plain"), ("content-type", "image/png"));
        let (long, short) = (("content-range", "bytes 0-0/1024"), ("content-range", "bytes 0-0/1023"));
        for (status, fields, expected) in [
            (200, &[text][..], false),
            (206, &[text, long], true),
            (206, &[text, short], false),
            (206, &[image, long], false),
            (206, &[text, ("content-range", "bytes 0-0/*")], true),
            (304, &[], true),
            (304, &[text], true),
            (304, &[image], false),
            (304, &[("cache-control", "no-transform")], false),
        ] {
            let mut response = response(0, fields);
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            assert_eq!(may_stand_for_eligible(&response), expected, "{status} {fields:?}");
        }
    }

    #[test]
    fn short_partial_coded_and_fixed_responses_are_left_alone() {
        let text = ("content-type", "text/plain");
        assert!(is_eligible(&Method::GET, &response(1024, &[text])));
        assert!(is_eligible(&Method::POST, &response(1024, &[text, ("cache-control", "max-age=1, no-store")])));
        assert!(!is_eligible(&Method::GET, &response(1023, &[text])));
        assert!(is_eligible(&Method::HEAD, &response(0, &[text])));
        assert!(is_eligible(&Method::HEAD, &response(0, &[text, ("content-length", "1024")])));
        assert!(!is_eligible(&Method::HEAD, &response(0, &[text, ("content-length", "1023")])));
        assert!(!is_eligible(&Method::GET, &response(1024, &[])));
        for field in [
            ("content-encoding", "identity"),
            ("content-range", "bytes 0-1023/2048"),
            ("cache-control", "no-transform"),
            ("cache-control", "public,No-Transform ,max-age=1"),
            ("content-digest", "sha-256=:AA==:"),
        ] {
            assert!(!is_eligible(&Method::GET, &response(1024, &[text, field])), "{field:?}");
        }
        for status in [204, 205, 206, 304] {
            let mut response = response(1024, &[text]);
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            assert!(!is_eligible(&Method::GET, &response), "{status}");
        }
        for status in [200, 201, 404, 500] {
            let mut response = response(1024, &[text]);
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            assert!(is_eligible(&Method::GET, &response), "{status}");
        }
    }
}
