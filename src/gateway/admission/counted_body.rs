//! How many bytes of a request body are read?

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::observe::{RouteCounters, RouteName};

pin_project! {
    /// A request body whose bytes are counted at its route.
    pub(in crate::gateway) struct CountedBody<B> {
        #[pin]
        body: B,
        counters: Option<Arc<RouteCounters>>,
    }
}

impl<B: Body<Data = Bytes>> CountedBody<B> {
    /// An empty body needs no counters.
    pub fn new(body: B, route: &RouteName) -> Self {
        let counters = if body.is_end_stream() { None } else { route.shared_counters() };
        Self { body, counters }
    }
}

impl<B: Body<Data = Bytes>> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let (Some(data), Some(counters)) = (frame.data_ref(), this.counters)
        {
            counters.add_request_bytes(data.len() as u64);
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
