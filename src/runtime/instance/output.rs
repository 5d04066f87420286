//! What does a run return when it is polled?

use bytes::Bytes;

use crate::runtime::instance::ending::Ending;

/// The head of a component's response.
pub type Head = http::response::Parts;

/// The trailer fields of a component's response.
pub type Trailers = http::HeaderMap;

/// What a run returns next. Only components of `wasi:http` have heads and trailers here; the output of all other guests is
/// bytes.
#[derive(Debug)]
pub enum Output {
    /// The head of the response.
    Head(Box<Head>),
    /// More of what the guest prints, or of the body of its response; never empty.
    Bytes(Bytes),
    /// The trailer fields of the response.
    Trailers(Trailers),
    /// The response is complete, though the guest continues: of a module, because it has closed its standard output.
    Complete,
    /// The guest has ended and all it printed has been taken.
    Ended(Ending),
}
