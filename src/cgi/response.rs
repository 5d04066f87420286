//! What does the head of a guest's output mean?
//!
//! RFC 3875 §6.2 and §6.3. WAGI 0.8 is more lenient in three ways: Status alone is a response, a path in Location goes to the
//! client instead of being looked up by the server, and fields that are not valid are dropped instead of failing the
//! response. wagi is more lenient in a fourth way: a status line of HTTP is taken for Status. `head_reader` calls this when it has
//! found the end of the head.

use std::fmt;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::status::StatusCode;

use crate::hop_by_hop::is_hop_by_hop;

/// More fields than any guest needs; a header map would panic at 32768 names.
const MAX_FIELDS: usize = 256;

/// The head of a guest's response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status the client gets.
    pub status: StatusCode,
    /// The fields the client gets, Content-Type and Location among them.
    pub headers: HeaderMap,
    /// The length of the body, if the guest claims one.
    pub content_length: Option<u64>,
    /// The lines that have no effect, for the developer to read in the log.
    pub dropped: Vec<Dropped>,
    /// The type of the response.
    pub kind: ResponseType,
}

/// The response types of RFC 3875 §6.2, for users of the parser alone: the gateway sends all of them in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    /// A document response, RFC 3875 §6.2.1.
    Document,
    /// A local redirect response, RFC 3875 §6.2.2.
    LocalRedirect,
    /// A client redirect response, RFC 3875 §6.2.3.
    ClientRedirect,
    /// A client redirect response with a document, RFC 3875 §6.2.4.
    ClientRedirectDocument,
}

/// A line of the head that has no effect as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The line, its name or its value, whichever is not valid.
    pub text: String,
    /// Why it was dropped.
    pub reason: Reason,
}

/// Why a line has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// There is no colon in it.
    NoColon,
    /// No header field can have such a name.
    InvalidName,
    /// The field's value holds a control character.
    ControlCharacter,
    /// The field is about the connection, which is not the guest's (RFC 3875 §6.3.4).
    Connection,
    /// The Content-Length is not a number, or not the same number as the one before.
    InvalidLength,
    /// The Content-Length is not the length of the body.
    WrongLength,
    /// The Status is not a code of three digits; the client gets a 502.
    InvalidStatus,
}

/// Why the head is not the head of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// The output ended before a blank line.
    #[error("the output has no blank line to end its header part")]
    NoBlankLine,
    /// The head does not end within the limit.
    #[error("the header part is longer than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The head is not text.
    #[error("the header part is not UTF-8")]
    NotUtf8,
    /// There are too many lines.
    #[error("the header part has more than {MAX_FIELDS} fields")]
    TooManyFields,
    /// RFC 3875 §6.2: at least one field must be CGI's own.
    #[error("the header part has none of content-type, location and status")]
    Insufficient,
    /// The status is a 1xx, which only the server may send.
    #[error("the status {0} is informational, it cannot be a script's answer")]
    Informational(u16),
}

impl ResponseHead {
    /// Parses a head without carriage returns.
    pub(super) fn parse(block: &[u8]) -> Result<Self, HeadError> {
        let text = std::str::from_utf8(block).map_err(|_| HeadError::NotUtf8)?;
        let head = HeadFields::parse(text).and_then(HeadFields::into_head);
        // NULs have been seen in the output of programs that are correct otherwise, and mean nothing. A line with one is not valid.
        let is_clean = head.as_ref().is_ok_and(|head| head.dropped.is_empty());
        if !is_clean && text.contains('\0') {
            return HeadFields::parse(&text.replace('\0', ""))?.into_head();
        }
        head
    }

    /// The head of a `wasi:http` response, without the fields that only the server may set.
    pub fn from_http(status: StatusCode, mut headers: HeaderMap, limit: usize) -> Result<Self, HeadError> {
        if status.is_informational() {
            return Err(HeadError::Informational(status.as_u16()));
        }
        // As in a line, with a colon, a blank and the end of the line.
        let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if length > limit {
            return Err(HeadError::TooLong { limit });
        }
        if headers.len() > MAX_FIELDS {
            return Err(HeadError::TooManyFields);
        }
        let mut fields = HeadFields::default();
        for value in headers.get_all(CONTENT_LENGTH) {
            fields.add_length(&String::from_utf8_lossy(value.as_bytes()));
        }
        headers.remove(CONTENT_LENGTH);
        // Trailer names the fields that come after the body, and HTTP/1.1 sends no others (RFC 9110 §6.6.2).
        let dropped = |name: &&HeaderName| is_hop_by_hop(name) && name.as_str() != "trailer";
        for name in headers.keys().filter(dropped).cloned().collect::<Vec<_>>() {
            headers.remove(&name);
            fields.drop(name.as_str(), Reason::Connection);
        }
        let content_length = fields.content_length.known();
        Ok(Self { status, headers, content_length, dropped: fields.dropped, kind: ResponseType::Document })
    }

    /// Leaves out the length that the guest claims, which is not that of its body.
    pub fn drop_wrong_length(&mut self) {
        if let Some(length) = self.content_length.take() {
            self.dropped.push(Dropped { text: length.to_string(), reason: Reason::WrongLength });
        }
    }
}

/// Removes the trailer fields that may not come after the body of a response.
pub fn keep_allowed_trailers(trailers: &mut HeaderMap) {
    // RFC 9110 §6.5.1: nothing about framing, routing or the connection, which would come too late there.
    let is_too_late = |name: &HeaderName| is_hop_by_hop(name) || [CONTENT_LENGTH, CONTENT_TYPE, HOST].contains(name);
    for name in trailers.keys().filter(|name| is_too_late(name)).cloned().collect::<Vec<_>>() {
        trailers.remove(&name);
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, reason } = self;
        match reason {
            Reason::NoColon => write!(f, "header line without a colon: {text:?}"),
            Reason::InvalidName => write!(f, "invalid header name: {text:?}"),
            Reason::ControlCharacter => write!(f, "control character in the value of header {text:?}"),
            Reason::Connection => write!(f, "header {text:?} is the server's to set"),
            Reason::InvalidLength => write!(f, "unusable content-length: {text:?}"),
            Reason::WrongLength => write!(f, "content-length is not the body's: {text:?}"),
            Reason::InvalidStatus => write!(f, "status is not a three-digit code: {text:?}"),
        }
    }
}

/// The fields of a head, with those of CGI apart from the others. Of a CGI field the last one counts.
#[derive(Default)]
struct HeadFields<'a> {
    status: Option<&'a str>,
    content_type: Option<HeaderValue>,
    location: Option<HeaderValue>,
    content_length: ContentLength,
    others: HeaderMap,
    dropped: Vec<Dropped>,
}

/// The value of all Content-Length fields together.
#[derive(Clone, Copy, Default, PartialEq)]
enum ContentLength {
    #[default]
    Absent,
    Known(u64),
    Invalid,
}

impl ContentLength {
    fn known(self) -> Option<u64> {
        if let Self::Known(length) = self { Some(length) } else { None }
    }
}

impl<'a> HeadFields<'a> {
    fn parse(text: &'a str) -> Result<Self, HeadError> {
        let mut fields = Self::default();
        let lines = text.split('\n').map(trimmed).filter(|line| !line.is_empty());
        for (count, line) in lines.enumerate() {
            if count >= MAX_FIELDS {
                return Err(HeadError::TooManyFields);
            }
            // Other servers accept the first line of HTTP in place of Status, and programs print it.
            if count == 0
                && let Some(status) = status_of_line(line)
            {
                fields.status = Some(status);
                continue;
            }
            match split_at_colon(line) {
                Some((name, value)) => fields.add(trimmed(name), trimmed(value.strip_prefix(' ').unwrap_or(value))),
                None => fields.drop(line, Reason::NoColon),
            }
        }
        Ok(fields)
    }

    fn add(&mut self, name: &str, value: &'a str) {
        if name.eq_ignore_ascii_case("status") {
            self.status = Some(value);
            return;
        }
        // Nearly every guest prints this one, and comparing is faster than looking names up.
        if name.eq_ignore_ascii_case("content-type") {
            match HeaderValue::from_bytes(value.as_bytes()) {
                Ok(value) => self.content_type = Some(value),
                Err(_) => self.drop(CONTENT_TYPE.as_str(), Reason::ControlCharacter),
            }
            return;
        }
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return self.drop(name, Reason::InvalidName);
        };
        if name == CONTENT_LENGTH {
            return self.add_length(value);
        }
        if is_hop_by_hop(&name) {
            return self.drop(name.as_str(), Reason::Connection);
        }
        let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else {
            return self.drop(name.as_str(), Reason::ControlCharacter);
        };
        match name {
            LOCATION => self.location = Some(value),
            name => {
                self.others.append(name, value);
            }
        }
    }

    fn add_length(&mut self, value: &str) {
        let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
        let length = value.parse().ok().filter(|_| is_number).map_or(ContentLength::Invalid, ContentLength::Known);
        if length == ContentLength::Invalid || ![ContentLength::Absent, length].contains(&self.content_length) {
            self.content_length = ContentLength::Invalid;
            self.drop(value, Reason::InvalidLength);
        } else {
            self.content_length = length;
        }
    }

    fn drop(&mut self, text: &str, reason: Reason) {
        self.dropped.push(Dropped { text: text.to_owned(), reason });
    }

    fn into_head(mut self) -> Result<ResponseHead, HeadError> {
        if self.status.is_none() && self.content_type.is_none() && self.location.is_none() {
            return Err(HeadError::Insufficient);
        }
        let status = self.status_code()?;
        let kind = self.kind();
        let mut headers = self.others;
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if let Some(location) = self.location {
            headers.insert(LOCATION, location);
        }
        let content_length = self.content_length.known();
        Ok(ResponseHead { status, headers, content_length, dropped: self.dropped, kind })
    }

    /// RFC 3875 §6.3.3 and §6.2.4: a Status decides, before or after Location.
    fn status_code(&mut self) -> Result<StatusCode, HeadError> {
        let Some(value) = self.status else {
            return Ok(if self.location.is_some() { StatusCode::FOUND } else { StatusCode::OK });
        };
        let code = value.split([' ', '\t']).next().unwrap_or_default();
        match StatusCode::from_bytes(code.as_bytes()) {
            Ok(status) if status.is_informational() => Err(HeadError::Informational(status.as_u16())),
            Ok(status) => Ok(status),
            Err(_) => {
                self.drop(value, Reason::InvalidStatus);
                Ok(StatusCode::BAD_GATEWAY)
            }
        }
    }

    fn kind(&self) -> ResponseType {
        match &self.location {
            None => ResponseType::Document,
            Some(_) if self.content_type.is_some() => ResponseType::ClientRedirectDocument,
            Some(location) if location.as_bytes().starts_with(b"/") => ResponseType::LocalRedirect,
            Some(_) => ResponseType::ClientRedirect,
        }
    }
}

/// A text without blanks at its ends. Most have none.
fn trimmed(text: &str) -> &str {
    let is_plain = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_graphic);
    if is_plain(text.as_bytes().first()) && is_plain(text.as_bytes().last()) { text } else { text.trim() }
}

/// What is before and behind the first colon of a line. For a short line faster than `split_once`.
fn split_at_colon(line: &str) -> Option<(&str, &str)> {
    let colon = line.bytes().position(|byte| byte == b':')?;
    Some((line.get(..colon)?, line.get(colon + 1..)?))
}

/// Code and reason of a status line of HTTP (RFC 9112 §4), such as `HTTP/1.1 404 Not Found`.
fn status_of_line(line: &str) -> Option<&str> {
    let (version, status) = line.strip_prefix("HTTP/")?.split_once(' ')?;
    let is_version = version.starts_with(|c: char| c.is_ascii_digit())
        && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let status = status.trim_start();
    let code = status.split([' ', '\t']).next()?;
    (is_version && code.len() == 3 && StatusCode::from_bytes(code.as_bytes()).is_ok()).then_some(status)
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
