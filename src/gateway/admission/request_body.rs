//! How does a request body get to its guest?
//!
//! As stdin for CGI, where CONTENT_LENGTH must be exact (RFC 3875 §4.1.2). A body of known length streams: the guest pulls
//! it, and what the guest does not read stays with the client. A body of unknown length is collected first, up to the
//! limit. A component of `wasi:http` reads a body of either kind as it comes, up to the limit. A body that would stream is
//! collected too if there is no permit for an upload: see `uploads`.

use std::error::Error as StdError;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt};
use http::HeaderMap;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyDataStream, BodyExt, LengthLimitError, Limited};

use crate::client_rate;
use crate::observe::Phase;
use crate::runtime::{ComponentRequestBody, InputStream};

use crate::gateway::admission::buffer_budget::{BufferBudget, Reservation};
use crate::gateway::admission::cancellation::Cancellation;
use crate::gateway::admission::client_address::ClientAddress;
use crate::gateway::admission::concurrency::EntryConcurrency;
use crate::gateway::admission::uploads::{UploadBody, UploadLimit, UploadPermit};
use crate::gateway::failure::Failure;

/// What a request body may fail with.
pub(in crate::gateway) type BoxError = Box<dyn StdError + Send + Sync>;

/// What limits a request body: its length, the permits for uploads, and the memory for collected bodies.
pub(in crate::gateway) struct BodyLimits<'a> {
    /// The limit on its length in bytes.
    pub length: u64,
    pub head: &'a Parts,
    pub entry: &'a EntryConcurrency,
    pub uploads: &'a UploadLimit,
    pub buffers: &'a BufferBudget,
    pub cancellation: Cancellation<'a>,
}

impl BodyLimits<'_> {
    fn client(&self) -> Option<ClientAddress> {
        ClientAddress::from_head(self.head)
    }

    fn upload_permit(&self) -> Option<UploadPermit> {
        self.uploads.try_acquire(&self.entry.uploads, self.client())
    }
}

/// A request body as the stdin of a guest.
pub(in crate::gateway) struct StdinBody {
    /// The exact length in bytes.
    pub length: u64,
    /// The content; `None` if the body is empty.
    pub stream: Option<InputStream>,
}

impl StdinBody {
    const EMPTY: Self = Self { length: 0, stream: None };

    /// Streams a body whose length is known if there is a permit for it, and collects any other.
    pub async fn read<B>(body: B, limits: &BodyLimits<'_>) -> Result<Self, Failure>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        if body.is_end_stream() {
            return Ok(Self::EMPTY);
        }
        let limit = limits.length;
        let permit = match body.size_hint().exact() {
            Some(0) => return Ok(Self::EMPTY),
            Some(length) if length > limit => return Err(Failure::BodyTooLarge { limit }),
            Some(length) => limits.upload_permit().map(|permit| (length, permit)),
            None => None,
        };
        if let Some((length, permit)) = permit {
            // CONTENT_LENGTH is what the body says of itself; it is held to that.
            let body = Limited::new(UploadBody::new(body, permit), usize::try_from(length).unwrap_or(usize::MAX));
            let stream = BodyDataStream::new(body).map_err(move |error| into_io(error, length));
            return Ok(Self { length, stream: Some(Box::pin(stream)) });
        }
        let collected = CollectedBody::read(body, limits).await?;
        let length = collected.content.as_ref().map_or(0, Bytes::len) as u64;
        Ok(if length == 0 { Self::EMPTY } else { Self { length, stream: Some(Box::pin(collected)) } })
    }
}

/// Returns a body as a component reads it: as it comes if there is a permit for it, and collected otherwise. It ends with an
/// error if it is longer than the limit.
pub(in crate::gateway) async fn for_component<B>(
    body: B,
    limits: &BodyLimits<'_>,
) -> Result<ComponentRequestBody, Failure>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let limit = limits.length;
    if body.size_hint().lower() > limit {
        return Err(Failure::BodyTooLarge { limit });
    }
    if body.is_end_stream() {
        return Ok(body.map_err(move |error| into_io(error.into(), limit)).boxed_unsync());
    }
    let Some(permit) = limits.upload_permit() else {
        return Ok(CollectedBody::read(body, limits).await?.boxed_unsync());
    };
    let body = Limited::new(UploadBody::new(body, permit), usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(body.map_err(move |error| into_io(error, limit)).boxed_unsync())
}

/// A collected body in one chunk. Dropping it returns its bytes to the budget.
struct CollectedBody {
    content: Option<Bytes>,
    trailers: Option<HeaderMap>,
    _reserved: Reservation,
}

impl CollectedBody {
    /// Reads a body to its end, unless the request is cancelled.
    async fn read<B>(body: B, limits: &BodyLimits<'_>) -> Result<Self, Failure>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        limits.cancellation.wait(Phase::Reading, pin!(Self::collect(body, limits))).await
    }

    async fn collect<B>(body: B, limits: &BodyLimits<'_>) -> Result<Self, Failure>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        let limit = limits.length;
        let (mut body, mut content, mut trailers) = (pin!(body), BytesMut::new(), None);
        let mut reserved = limits.buffers.reservation(limits.client());
        let started = Instant::now();
        loop {
            let left = client_rate::longest_wait(content.len() as u64).saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(Failure::BodyTimeout);
            }
            let frame = tokio::time::timeout(left, body.frame()).await.map_err(|_| Failure::BodyTimeout)?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| Failure::from_body_error(&io::Error::other(error)))?;
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(frame) => {
                    trailers = frame.into_trailers().ok();
                    continue;
                }
            };
            if content.len() as u64 + data.len() as u64 > limit {
                return Err(Failure::BodyTooLarge { limit });
            }
            reserved.grow(data.len())?;
            content.extend_from_slice(&data);
        }
        let content = (!content.is_empty()).then(|| content.freeze());
        Ok(Self { content, trailers, _reserved: reserved })
    }
}

impl Stream for CollectedBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.content.take().map(Ok))
    }
}

impl Body for CollectedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let data = self.content.take().map(Frame::data);
        Poll::Ready(data.or_else(|| self.trailers.take().map(Frame::trailers)).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.content.as_ref().map_or(0, Bytes::len) as u64)
    }
}

/// The error as an I/O error, whose kind tells a component why its request body ended.
fn into_io(error: BoxError, limit: u64) -> io::Error {
    if error.is::<LengthLimitError>() {
        return io::Error::new(io::ErrorKind::FileTooLarge, Failure::BodyTooLarge { limit });
    }
    let timed_out = matches!(Failure::from_body_error(&*error), Failure::BodyTimeout);
    io::Error::new(if timed_out { io::ErrorKind::TimedOut } else { io::ErrorKind::Other }, error)
}

#[cfg(test)]
mod tests {
    use crate::gateway::admission::request_body::*;

    /// A body that says of itself what is not true.
    struct Liar {
        claimed: u64,
        pieces: Vec<&'static str>,
    }

    impl Body for Liar {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.pieces.pop().map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.claimed)
        }
    }

    #[tokio::test]
    async fn a_body_is_held_to_the_length_it_claims() {
        let (entry, uploads, buffers) = (EntryConcurrency::new(8), UploadLimit::new(8), BufferBudget::new());
        for (claimed, is_accepted) in [(6, true), (7, true), (5, false), (3, false), (1, false)] {
            let (head, ()) = http::Request::new(()).into_parts();
            let limits = BodyLimits {
                length: 10,
                head: &head,
                entry: &entry,
                uploads: &uploads,
                buffers: &buffers,
                cancellation: Cancellation::default(),
            };
            let body = Liar { claimed, pieces: vec!["abc", "def"] };
            let body = StdinBody::read(body, &limits).await.unwrap();
            assert_eq!(body.length, claimed);
            let read: io::Result<Vec<Bytes>> = body.stream.unwrap().try_collect().await;
            let failure = read.err().map(|error| Failure::from_body_error(&error));
            assert_eq!(failure.is_none(), is_accepted, "{claimed}");
            assert!(failure.is_none_or(|failure| matches!(failure, Failure::BodyTooLarge { .. })), "{claimed}");
        }
    }
}
