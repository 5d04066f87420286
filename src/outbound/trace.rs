//! How do the calls of a run join the trace of its request?
//!
//! Each call that is sent has a [`CallSpan`], which adds the fields by which the server learns of the trace, and tells the
//! [`CallTracer`] of the request what came of the call. A run without a trace has none.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Method};

use crate::outbound::error::{CallResult, Error};

/// What makes spans of the calls of one run.
pub trait CallTracer: Send + Sync {
    /// Begins a span, and adds its context to the fields of the call unless the guest has done so. Returns its id.
    fn begin(&self, headers: &mut HeaderMap) -> u64;

    /// Ends a span.
    fn end(&self, call: &CallReport);
}

/// A call of a guest.
#[derive(Debug)]
pub struct CallReport {
    /// The id of its span.
    pub span: u64,
    /// The method.
    pub method: Method,
    /// The URL, as it was called.
    pub url: String,
    /// When it began.
    pub began: Instant,
    /// The status of its response.
    pub status: Option<u16>,
    /// Why it failed, in a word and in a sentence.
    pub failure: Option<(&'static str, String)>,
}

/// The span of a call. A span that is dropped before there is a response was cancelled with its guest.
#[derive(Default)]
pub(super) struct CallSpan(Option<Box<OpenSpan>>);

struct OpenSpan {
    tracer: Arc<dyn CallTracer>,
    call: CallReport,
}

impl std::fmt::Debug for CallSpan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CallSpan").field(&self.0.as_ref().map(|open| &open.call)).finish()
    }
}

impl CallSpan {
    /// Begins the span of a call to `url`, if the run has a trace.
    pub fn begin(
        tracer: Option<Arc<dyn CallTracer>>,
        method: &Method,
        url: &impl ToString,
        headers: &mut HeaderMap,
    ) -> Self {
        Self(tracer.map(|tracer| {
            let (span, method, url) = (tracer.begin(headers), method.clone(), url.to_string());
            let call = CallReport { span, method, url, began: Instant::now(), status: None, failure: None };
            Box::new(OpenSpan { tracer, call })
        }))
    }

    /// Notes the status of the response.
    pub fn set_status(&mut self, status: u16) {
        self.0.iter_mut().for_each(|open| open.call.status = Some(status));
    }

    /// Notes why the call has failed.
    pub fn fail(&mut self, error: &Error) {
        if let Some(open) = &mut self.0 {
            open.call.failure = Some((CallResult::from(error.kind()).as_str(), error.to_string()));
        }
    }

    /// Ends the span.
    pub fn finish(&mut self) {
        if let Some(OpenSpan { tracer, mut call }) = self.0.take().map(|open| *open) {
            if call.status.is_none() && call.failure.is_none() {
                call.failure = Some((CallResult::Cancelled.as_str(), "the guest ended before".to_owned()));
            }
            tracer.end(&call);
        }
    }
}

impl Drop for CallSpan {
    fn drop(&mut self) {
        self.finish();
    }
}
