//! What do FastCGI and SCGI look like on the wire, and which HTTP request do they stand for?
//!
//! Pure functions and state machines over bytes: no I/O, nothing async, no clock. `server::web_server` feeds them.
//!
//! | file | question |
//! | --- | --- |
//! | `record` | what a FastCGI record is, and what wagi writes |
//! | `reader` | what a web server says over FastCGI |
//! | `scgi` | what a web server says over SCGI |
//! | `parameters` | which parameters a request has |
//! | `head` | which HTTP request the parameters stand for |
//! | `response` | how an HTTP response becomes one of CGI |

mod head;
mod parameters;
mod reader;
mod record;
mod response;
mod scgi;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub(crate) use crate::fastcgi::head::{BodyLength, StatedFacts, WebServerRequest};
pub(crate) use crate::fastcgi::parameters::Parameters;
pub(crate) use crate::fastcgi::reader::FastCgiReader;
pub(crate) use crate::fastcgi::record::{append_end, append_output};
pub(crate) use crate::fastcgi::response::ResponseDecoder;
pub(crate) use crate::fastcgi::scgi::ScgiReader;

/// What a web server has sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The parameters of a request are complete.
    Request(Parameters),
    /// A request is complete whose parameters make no sense.
    BadRequest(BadInput),
    /// A piece of the request body.
    Body(Bytes),
    /// The request body is complete.
    BodyEnd,
    /// Bytes that the web server gets at once.
    Reply(Bytes),
    /// The same, and then the connection ends.
    LastReply(Bytes),
    /// The web server gives up its request.
    Abort,
}

/// Why the bytes of a web server make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadInput {
    /// A record or a head is malformed.
    #[error("malformed FastCGI or SCGI")]
    Malformed,
    /// The parameters are too long or too many.
    #[error("the parameters of the request are too long or too many")]
    TooLong,
}
