//! Which status and which fields does the client get?

use std::borrow::Cow;
use std::time::SystemTime;

use http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, LOCATION,
    RETRY_AFTER, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::static_files::body::FileBody;
use crate::static_files::conditions::{Validators, Verdict};
use crate::static_files::lookup::FoundFile;
use crate::static_files::media_type::content_type;
use crate::static_files::range::FilePart;
use crate::static_files::root::{FileError, OpenFile};

/// What the responses with files of an entry carry.
pub(super) struct FileFields {
    /// Beside what is known of the file.
    pub headers: HeaderMap,
    /// Whether they depend on what compressed files a client takes.
    pub precompressed: bool,
}

/// The response to a request, and what the log says of it.
pub(crate) struct StaticAnswer {
    /// The head, and the file if one is sent.
    pub response: Response<Option<FileBody>>,
    /// Why no file is sent.
    pub reason: Option<Cow<'static, str>>,
}

const BYTES: HeaderValue = HeaderValue::from_static("bytes");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const ACCEPT_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");

/// How many fields a response has beside those of its entry.
const MORE_FIELDS: usize = 8;

/// In seconds. Files are closed as soon as they are sent.
const RETRY_SOON: HeaderValue = HeaderValue::from_static("1");

impl StaticAnswer {
    fn new(status: StatusCode, mut headers: HeaderMap, body: Option<FileBody>) -> Self {
        headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(NOSNIFF);
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Self { response, reason: None }
    }

    fn status(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: Some(reason.into()), ..Self::new(status, HeaderMap::new(), None) }
    }

    /// That of a method that files do not have.
    pub(super) fn method_not_allowed() -> Self {
        let mut answer = Self::status(StatusCode::METHOD_NOT_ALLOWED, "files have the methods GET and HEAD");
        answer.response.headers_mut().insert(ALLOW, METHODS);
        answer
    }

    /// Whether there is a file, though it may not be sent.
    pub(super) fn is_about_a_file(&self) -> bool {
        let status = self.response.status();
        status != StatusCode::NOT_FOUND && !status.is_server_error()
    }

    /// That of a path at which nothing is served, and why.
    pub(super) fn refused(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::status(StatusCode::NOT_FOUND, reason)
    }
}

/// The response if there is no file.
pub(super) fn from_error(error: &FileError) -> StaticAnswer {
    match error {
        FileError::Missing | FileError::Refused(_) => StaticAnswer::refused(error.to_string()),
        FileError::Busy | FileError::TooSlow | FileError::WouldWait => {
            let mut answer = StaticAnswer::status(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
            answer.response.headers_mut().insert(RETRY_AFTER, RETRY_SOON);
            answer
        }
        FileError::Failed(_) => StaticAnswer::status(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// The redirect from a directory to its path with a slash. Other methods than GET and HEAD stay what they are.
pub(super) fn redirect(request: &Parts) -> StaticAnswer {
    let uri = &request.uri;
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    let status = if is_read { StatusCode::MOVED_PERMANENTLY } else { StatusCode::PERMANENT_REDIRECT };
    // One slash at the begin: browsers take `//x/` and `/\x/` for another server.
    let path = uri.path().trim_start_matches(['/', '\\']).replace('\\', "%5C");
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let slash = if path.is_empty() { "" } else { "/" };
    let location = format!("/{path}{slash}{query}");
    let Ok(location) = HeaderValue::from_bytes(location.as_bytes()) else {
        return StaticAnswer::refused("the path cannot be repeated in a response");
    };
    let headers = HeaderMap::from_iter([(LOCATION, location), (CONTENT_LENGTH, HeaderValue::from_static("0"))]);
    StaticAnswer::new(status, headers, None)
}

/// The response with a file, or without if the client has it.
pub(super) fn with_file(fields: &FileFields, request: &Parts, found: FoundFile) -> StaticAnswer {
    let FoundFile { opened, path, coding } = found;
    let validators = Validators::new(&opened.facts, coding, SystemTime::now());
    let mut headers = fields.headers.clone();
    headers.reserve(MORE_FIELDS);
    headers.insert(ETAG, validators.etag.clone());
    headers.extend(validators.last_modified().map(|date| (LAST_MODIFIED, date)));
    if fields.precompressed {
        headers.append(VARY, ACCEPT_ENCODING);
    }
    match validators.check(&request.headers) {
        Verdict::Failed => return StaticAnswer::status(StatusCode::PRECONDITION_FAILED, "a condition does not hold"),
        Verdict::NotModified => return StaticAnswer::new(StatusCode::NOT_MODIFIED, headers, None),
        Verdict::Send => {}
    }
    headers.entry(CONTENT_TYPE).or_insert_with(|| content_type(&path));
    headers.insert(ACCEPT_RANGES, BYTES);
    headers.extend(coding.map(|coding| (CONTENT_ENCODING, HeaderValue::from_static(coding.name()))));
    // RFC 9110 §14.2: only a GET has ranges.
    let has_range = request.method == Method::GET && validators.allow_range(&request.headers);
    let length = opened.facts.length;
    let part = if has_range { FilePart::of(&request.headers, length) } else { FilePart::Whole };
    with_part(part, opened, headers, &request.method)
}

fn with_part(part: FilePart, opened: OpenFile, mut headers: HeaderMap, method: &Method) -> StaticAnswer {
    let whole = opened.facts.length;
    let (status, start, length) = match part {
        FilePart::Whole => (StatusCode::OK, 0, whole),
        FilePart::Range { start, length } => {
            let last = start + length.saturating_sub(1);
            headers.extend(content_range(&format!("{start}-{last}"), whole));
            (StatusCode::PARTIAL_CONTENT, start, length)
        }
        FilePart::Unsatisfiable => {
            let mut answer = StaticAnswer::status(StatusCode::RANGE_NOT_SATISFIABLE, "the range is behind the end");
            answer.response.headers_mut().extend(content_range("*", whole));
            return answer;
        }
    };
    headers.insert(CONTENT_LENGTH, length.into());
    let body = (method == Method::GET).then(|| FileBody::new(opened, start, length));
    StaticAnswer::new(status, headers, body)
}

fn content_range(range: &str, whole: u64) -> Option<(http::HeaderName, HeaderValue)> {
    HeaderValue::from_str(&format!("bytes {range}/{whole}")).ok().map(|value| (CONTENT_RANGE, value))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use crate::static_files::answer::*;

    #[test]
    fn a_redirect_stays_on_the_server_and_keeps_the_query_and_the_method() {
        for (method, target, expected) in [
            ("GET", "/a", (301, "/a/")),
            ("HEAD", "/a?b=c/d&e", (301, "/a/?b=c/d&e")),
            ("GET", "/a?", (301, "/a/?")),
            ("GET", "//example.com", (301, "/example.com/")),
            ("GET", "///example.com", (301, "/example.com/")),
            ("GET", "/a//b", (301, "/a//b/")),
            ("GET", "/%5Cexample.com", (301, "/%5Cexample.com/")),
            ("POST", "/a?b", (308, "/a/?b")),
        ] {
            let request = Request::builder().method(method).uri(target).body(()).expect("a request");
            let answer = redirect(&request.into_parts().0);
            let location = answer.response.headers().get(LOCATION).expect("a location");
            assert_eq!((answer.response.status().as_u16(), location.to_str().expect("text")), expected, "{target}");
        }
    }
}
