//! How many bytes of a request body are read, and when?

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::observe::{RequestEnd, RequestStep, RequestTrace, RouteCounters, RouteName, StepSpan};

pin_project! {
    /// A request body whose bytes are counted at its route.
    pub(in crate::gateway) struct CountedBody<B> {
        #[pin]
        body: B,
        counters: Option<Arc<RouteCounters>>,
        span: Option<Box<BodySpan>>,
    }
}

/// The span of a body: from the time when its guest first asks for it to its end.
enum BodySpan {
    Waiting(Arc<RequestTrace>),
    Reading { span: StepSpan, bytes: u64 },
    Over,
}

impl BodySpan {
    fn begin(&mut self) {
        if let Self::Waiting(trace) = self {
            *self = trace.begin(RequestStep::Body).map_or(Self::Over, |span| Self::Reading { span, bytes: 0 });
        }
    }

    /// Adds bytes. The span ends with the last.
    fn add(&mut self, count: usize, is_end: bool) {
        if let Self::Reading { bytes, .. } = self {
            *bytes += count as u64;
        }
        if is_end {
            *self = Self::Over;
        }
    }

    fn fail(&mut self, error: &str) {
        if let Self::Reading { span, .. } = self {
            span.fail(RequestEnd::BadBody.as_str(), error);
        }
        *self = Self::Over;
    }
}

impl Drop for BodySpan {
    fn drop(&mut self) {
        if let Self::Reading { span, bytes } = self {
            span.set_size(*bytes);
        }
    }
}

impl<B: Body<Data = Bytes>> CountedBody<B> {
    /// An empty body needs no counters, and has no span.
    pub fn new(body: B, route: &RouteName, trace: Option<&Arc<RequestTrace>>) -> Self {
        if body.is_end_stream() {
            return Self { body, counters: None, span: None };
        }
        let span = trace.map(|trace| Box::new(BodySpan::Waiting(trace.clone())));
        Self { body, counters: route.shared_counters(), span }
    }
}

impl<B: Body<Data = Bytes>> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        this.span.iter_mut().for_each(|span| span.begin());
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let (Some(data), Some(counters)) = (frame.data_ref(), this.counters)
        {
            counters.add_request_bytes(data.len() as u64);
        }
        if let Some(span) = this.span {
            match &frame {
                Some(Ok(frame)) => span.add(frame.data_ref().map_or(0, Bytes::len), this.body.is_end_stream()),
                Some(Err(_)) => span.fail("the body cannot be read to its end"),
                None => span.add(0, true),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
