//! How does a response come into memory?
//!
//! `hop` collects the body here, within the limits of the call and the memory that all entries share; `open_responses` shows
//! the parts of it to the guest.

use std::fmt::Write;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::outbound::budget::CallLimits;
use crate::outbound::error::Error;

/// What is allocated at once for a body of known length. A length is only announced.
const MAX_PREALLOCATED: u64 = 64 * 1024;

/// A complete response.
#[derive(Debug)]
pub struct CallResponse {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

impl CallResponse {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The header fields as lines of `name:value`, each ended by LF; one for each value. Fails if a value is
    /// not UTF-8 or has a control character; a tab, and those of Unicode beyond ASCII, are control characters too.
    pub fn headers_text(&self) -> Result<String, Error> {
        let mut text = String::new();
        for (name, value) in &self.headers {
            let value = std::str::from_utf8(value.as_bytes()).map_err(|_| Error::HeadersNotText)?;
            if value.chars().any(char::is_control) {
                return Err(Error::HeadersNotText);
            }
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name}:{value}");
        }
        Ok(text)
    }
}

/// Whether the headers are within the limit. HTTP/1 enforces it while it reads, HTTP/2 in terms of its own.
pub(super) fn check_headers(headers: &HeaderMap, limits: &CallLimits) -> Result<(), Error> {
    // As a line has them, with a colon, a blank and the end of the line.
    let length: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if length > limits.headers { Err(Error::HeadersTooLarge(limits.headers)) } else { Ok(()) }
}

/// Reads the body of a response to its end.
pub(super) async fn collect(
    response: http::Response<Incoming>,
    limits: &CallLimits,
    memory: &Arc<Semaphore>,
) -> Result<CallResponse, Error> {
    let (head, mut incoming) = response.into_parts();
    let promised = incoming.size_hint().lower();
    if promised > limits.body as u64 {
        return Err(Error::TooLarge(limits.body));
    }
    let mut body = BytesMut::with_capacity(promised.min(MAX_PREALLOCATED) as usize);
    let mut reserved = None;
    while let Some(frame) = timeout(limits.idle, incoming.frame()).await.map_err(|_| Error::TimedOut)? {
        // Trailers are not shown to guests.
        let Ok(piece) = frame.map_err(Error::from_exchange)?.into_data() else { continue };
        if piece.len() > limits.body - body.len() {
            return Err(Error::TooLarge(limits.body));
        }
        reserve(memory, piece.len(), &mut reserved)?;
        body.extend_from_slice(&piece);
    }
    Ok(CallResponse { status: head.status.as_u16(), headers: head.headers, body: body.freeze(), _memory: reserved })
}

/// Reserves memory for `bytes`. Calls that waited for it could all wait for each other.
fn reserve(memory: &Arc<Semaphore>, bytes: usize, reserved: &mut Option<OwnedSemaphorePermit>) -> Result<(), Error> {
    let bytes = u32::try_from(bytes).map_err(|_| Error::NoRoom)?;
    let more = memory.clone().try_acquire_many_owned(bytes).map_err(|_| Error::NoRoom)?;
    match reserved {
        Some(reserved) => reserved.merge(more),
        None => *reserved = Some(more),
    }
    Ok(())
}

#[cfg(test)]
impl CallResponse {
    /// A response that no server has sent.
    pub(super) fn of(headers: &[(&'static str, &[u8])], body: &'static [u8]) -> Self {
        let mut map = HeaderMap::new();
        for &(name, value) in headers {
            map.append(name, http::HeaderValue::from_bytes(value).expect("a header value"));
        }
        Self { status: 200, headers: map, body: Bytes::from_static(body), _memory: None }
    }
}
