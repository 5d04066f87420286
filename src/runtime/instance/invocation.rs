//! What are the inputs of one run?

use std::sync::Arc;

use crate::outbound::CallTracer;
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
    /// What makes spans of the calls of the guest, if the request has a trace.
    pub tracer: Option<Arc<dyn CallTracer>>,
}
