//! What do all responses of the admin listener have in common?
//!
//! They are complete, small, and never stored. A browser shows them in no frame, runs nothing in them, and lets no other page read
//! them.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use crate::admin::access::AccessError;
use crate::admin::page::PAGE;
use crate::printable;

pub(super) type AdminResponse = Response<Full<Bytes>>;

/// The policy of responses that are no page.
const NO_CONTENT_POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// The fields of each response.
const COMMON: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, NO_CONTENT_POLICY),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// A response with a body of this type.
pub(super) fn response(status: StatusCode, media_type: &'static str, body: impl Into<Bytes>) -> AdminResponse {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    for (name, value) in COMMON {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> AdminResponse {
    response(status, TEXT, text)
}

/// A JSON value. Many read it on a terminal, and it has text of guests and clients.
pub(super) fn json(status: StatusCode, value: &Value) -> AdminResponse {
    response(status, JSON, printable::json(&value.to_string()).into_owned() + "\n")
}

/// A JSON value that is written already.
pub(super) fn json_bytes(bytes: Bytes) -> AdminResponse {
    response(StatusCode::OK, JSON, bytes)
}

/// The page, in which its own script runs.
pub(super) fn page() -> AdminResponse {
    let mut response = response(StatusCode::OK, HTML, PAGE.html.as_str());
    if let Ok(policy) = HeaderValue::from_str(&PAGE.policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The response to a request that is not answered.
pub(super) fn refused(refusal: AccessError) -> AdminResponse {
    match refusal {
        AccessError::ForeignOrigin => text(StatusCode::FORBIDDEN, "the request comes from a page of another origin\n"),
        AccessError::ForeignHost => text(
            StatusCode::FORBIDDEN,
            "the Host of the request is neither the address of this listener nor `localhost`; other names stand in `hosts` of `[admin]`\n",
        ),
        AccessError::Token => {
            let body = "this listener needs `Authorization: Bearer` with the token of `token_file` in `[admin]`\n";
            with_field(text(StatusCode::UNAUTHORIZED, body), WWW_AUTHENTICATE, "Bearer realm=\"wagi\"")
        }
    }
}

pub(super) fn not_found() -> AdminResponse {
    text(StatusCode::NOT_FOUND, "there is nothing here\n")
}

pub(super) fn method_not_allowed(allow: &'static str) -> AdminResponse {
    with_field(text(StatusCode::METHOD_NOT_ALLOWED, format!("the methods are {allow}\n")), ALLOW, allow)
}

fn with_field(mut response: AdminResponse, name: HeaderName, value: &'static str) -> AdminResponse {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

/// The response as `method` gets it: HEAD gets the length of a body, and none.
pub(super) fn for_method(method: &Method, mut response: AdminResponse) -> AdminResponse {
    if method == Method::HEAD {
        let length = http_body::Body::size_hint(response.body()).exact().unwrap_or_default();
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        *response.body_mut() = Full::default();
    }
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use crate::admin::response::*;

    #[tokio::test]
    async fn what_a_terminal_may_take_for_more_than_text_is_escaped() {
        let value = serde_json::json!({ "stderr": "\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{e4}" });
        let body = json(StatusCode::OK, &value).into_body().collect().await.expect("it is in memory").to_bytes();
        assert!(!String::from_utf8_lossy(&body).trim_end().contains(printable::is_unprintable));
        assert_eq!(serde_json::from_slice::<Value>(&body).expect("JSON"), value);
    }
}
