//! What does one run of a guest get?

use crate::runtime::instance::stdio::InputStream;
use crate::strings::StringBlock;

/// The inputs of one call.
#[derive(Default)]
pub struct Invocation {
    /// argv.
    pub arguments: StringBlock,
    /// The environment, as `NAME=VALUE`.
    pub environment: StringBlock,
    /// The request body; none is the same as an empty one.
    pub stdin: Option<InputStream>,
    /// The number the log knows the request by.
    pub request: u64,
}
