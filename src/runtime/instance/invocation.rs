//! What are the inputs of one run?

use crate::strings::StringBlock;

use crate::runtime::instance::stdio::InputStream;

/// The inputs of one run.
#[derive(Default)]
pub struct Invocation {
    /// argv.
    pub arguments: StringBlock,
    /// The environment, as `NAME=VALUE`.
    pub environment: StringBlock,
    /// The request body; `None` is the same as an empty one.
    pub stdin: Option<InputStream>,
    /// The number by which the log knows the request.
    pub request: u64,
}
