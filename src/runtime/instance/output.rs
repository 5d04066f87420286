//! What does a run yield?

use bytes::Bytes;

use crate::runtime::instance::ending::Ending;

/// The head of an answer.
pub type Head = http::response::Parts;

/// The trailer fields of an answer.
pub type Trailers = http::HeaderMap;

/// What a run yields next. Heads, trailers and the end of an answer are known only of components that are asked over
/// `wasi:http`; all that other guests say is bytes.
#[derive(Debug)]
pub enum Output {
    /// The head of the answer.
    Head(Box<Head>),
    /// More of what the guest prints, or of the body of its answer; never empty.
    Bytes(Bytes),
    /// The trailer fields of the answer.
    Trailers(Trailers),
    /// The answer is complete, though the guest goes on.
    Complete,
    /// The guest has ended and all it printed has been taken.
    Ended(Ending),
}
