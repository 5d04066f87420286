//! What is the body of a response of `wagi dev`? Called by `service`.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::watch;

use wagi::{ResponseAborted, ResponseBody};

/// How often an event stream shows that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// A body.
pub(super) enum DevBody {
    /// That of the gateway, with what follows it.
    Gateway(Box<ResponseBody>, Bytes),
    /// A page.
    Page(Bytes),
    /// Events for browsers.
    Live(Pin<Box<dyn Stream<Item = Bytes> + Send>>),
}

impl DevBody {
    /// An event for each time that pages are to be loaded again.
    pub fn live(reloads: watch::Receiver<u64>) -> Self {
        Self::Live(Box::pin(stream::unfold(reloads, |mut reloads| async {
            match tokio::time::timeout(HEARTBEAT, reloads.changed()).await {
                Err(_) => Some((Bytes::from_static(b":\n\n"), reloads)),
                Ok(Ok(())) => Some((Bytes::from_static(b"data: reload\n\n"), reloads)),
                Ok(Err(_)) => None,
            }
        })))
    }
}

/// What of some bytes has not been sent yet.
fn rest(bytes: &mut Bytes) -> Option<Result<Frame<Bytes>, ResponseAborted>> {
    let bytes = std::mem::take(bytes);
    (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)))
}

impl Body for DevBody {
    type Data = Bytes;
    type Error = ResponseAborted;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ResponseAborted>>> {
        Poll::Ready(match self.get_mut() {
            Self::Gateway(body, end) => match ready!(Pin::new(&mut **body).poll_frame(cx)) {
                None => rest(end),
                frame => frame,
            },
            Self::Page(page) => rest(page),
            Self::Live(events) => ready!(events.as_mut().poll_next(cx)).map(|event| Ok(Frame::data(event))),
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Gateway(body, end) => end.is_empty() && body.is_end_stream(),
            Self::Page(page) => page.is_empty(),
            Self::Live(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Gateway(body, end) => match body.size_hint().exact() {
                Some(length) => SizeHint::with_exact(length.saturating_add(end.len() as u64)),
                None => SizeHint::default(),
            },
            Self::Page(page) => SizeHint::with_exact(page.len() as u64),
            Self::Live(_) => SizeHint::default(),
        }
    }
}
