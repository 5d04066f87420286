//! How are the calls of a guest to upstreams counted?
//!
//! Each has a [`CountedCall`], which tells the log of the guest what came of the call.

use std::sync::Arc;
use std::time::Instant;

use crate::outbound::{CallResult, Error};

use crate::runtime::instance::stdio::Stdio;

/// A call that has begun. A call that is dropped before its end was cancelled with its guest.
pub(in crate::runtime) struct CountedCall {
    stdio: Arc<Stdio>,
    began: Instant,
    result: CallResult,
}

impl CountedCall {
    /// Begins a call of the guest with these streams.
    pub fn begin(stdio: &Arc<Stdio>) -> Self {
        Self { stdio: stdio.clone(), began: Instant::now(), result: CallResult::Cancelled }
    }

    /// Ends the call with a response, or with an error.
    pub fn end<T>(mut self, response: &Result<T, Error>) {
        self.result = response.as_ref().map_or_else(|error| error.kind().into(), |_| CallResult::Ok);
    }
}

impl Drop for CountedCall {
    fn drop(&mut self) {
        self.stdio.stderr().count_call(self.result, self.began.elapsed());
    }
}
