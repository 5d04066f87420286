//! How does a request body get to its guest?
//!
//! As stdin for most: CONTENT_LENGTH must be exact (RFC 3875 §4.1.2). A body of known length streams: the guest pulls it, and what it does
//! not read stays with the client. One of unknown length is collected first, up to the limit. A component that is asked
//! over HTTP reads whatever comes, of either kind, up to the limit.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::runtime::{InputStream, RequestBody};

use crate::gateway::failure::Failure;

/// What all collected bodies together may take: a limit per body alone would let many clients fill the memory.
const COLLECTED_AT_ONCE: usize = 256 << 20;

/// How slowly a body that is collected may come in after a while: it holds memory that others wait for.
const RATE_LOOKED_AT_AFTER: Duration = Duration::from_secs(30);
const SLOWEST_BYTES_PER_SECOND: u64 = 4 * 1024;

/// The memory for collected bodies.
pub(super) struct Shelf(Arc<Semaphore>);

impl Shelf {
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(COLLECTED_AT_ONCE)))
    }

    /// Room for so many bytes, or none: whoever waited for it would hold what others wait for.
    fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Failure> {
        let bytes = u32::try_from(bytes).map_err(|_| Failure::NoRoomForBody)?;
        self.0.clone().try_acquire_many_owned(bytes).map_err(|_| Failure::NoRoomForBody)
    }
}

/// A body as the guest gets it.
pub(super) struct Intake {
    /// Its exact length in bytes.
    pub length: u64,
    /// Its content; none when empty.
    pub stdin: Option<InputStream>,
}

/// Takes a body in.
pub(super) async fn intake<B>(body: B, limit: u64, shelf: &Shelf) -> Result<Intake, Failure>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    if body.is_end_stream() {
        return Ok(Intake { length: 0, stdin: None });
    }
    match body.size_hint().exact() {
        Some(0) => Ok(Intake { length: 0, stdin: None }),
        Some(length) if length > limit => Err(Failure::BodyTooLarge { limit }),
        Some(length) => Ok(Intake { length, stdin: Some(Box::pin(DataStream { body })) }),
        None => collect(body, limit, shelf).await,
    }
}

/// A request body went over its limit while it was read.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("longer than {limit} bytes")]
pub(super) struct TooLong {
    pub limit: u64,
}

/// A body for a guest that reads it as it comes.
pub(super) fn passing<B>(body: B, limit: u64) -> Result<RequestBody, Failure>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    if body.size_hint().lower() > limit {
        return Err(Failure::BodyTooLarge { limit });
    }
    Ok(Passing { body, limit, left: limit }.boxed_unsync())
}

pin_project! {
    /// A body that ends with an error when it is longer than it may be.
    struct Passing<B> {
        #[pin]
        body: B,
        limit: u64,
        left: u64,
    }
}

impl<B> Body for Passing<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx)).map(|frame| frame.map_err(into_io));
        Poll::Ready(frame.map(|frame| {
            let frame = frame?;
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            let too_long = TooLong { limit: *this.limit };
            *this.left =
                this.left.checked_sub(length).ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, too_long))?;
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The same error, with its kind if it is one of silence.
fn into_io(error: impl Into<Box<dyn StdError + Send + Sync>>) -> io::Error {
    let error = error.into();
    let late = matches!(Failure::of_body(&*error), Failure::BodyLate);
    io::Error::new(if late { io::ErrorKind::TimedOut } else { io::ErrorKind::Other }, error)
}

async fn collect<B>(body: B, limit: u64, shelf: &Shelf) -> Result<Intake, Failure>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut body = std::pin::pin!(body);
    let mut collected = BytesMut::new();
    let mut room = shelf.room(0)?;
    let started = Instant::now();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::of_body(&io::Error::other(error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if collected.len() as u64 + data.len() as u64 > limit {
            return Err(Failure::BodyTooLarge { limit });
        }
        let late = started.elapsed().saturating_sub(RATE_LOOKED_AT_AFTER).as_secs();
        if (collected.len() as u64) < late * SLOWEST_BYTES_PER_SECOND {
            return Err(Failure::BodyLate);
        }
        room.merge(shelf.room(data.len())?);
        collected.extend_from_slice(&data);
    }
    let length = collected.len() as u64;
    let whole = Once { chunk: Some(collected.freeze()), _room: room };
    let stdin: Option<InputStream> = (length > 0).then(|| Box::pin(whole) as InputStream);
    Ok(Intake { length, stdin })
}

/// One chunk, which gives its room back when its reader is done.
struct Once {
    chunk: Option<Bytes>,
    _room: OwnedSemaphorePermit,
}

impl Stream for Once {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.chunk.take().map(Ok))
    }
}

pin_project! {
    /// The data of a body, without its trailers.
    struct DataStream<B> {
        #[pin]
        body: B,
    }
}

impl<B> Stream for DataStream<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.project().body;
        loop {
            return match body.as_mut().poll_frame(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(error)))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Poll::Ready(Some(Ok(data))),
                    Err(_) => continue,
                },
            };
        }
    }
}
