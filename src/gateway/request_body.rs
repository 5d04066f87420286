//! How does a request body get to its guest?
//!
//! As stdin for CGI, where CONTENT_LENGTH must be exact (RFC 3875 §4.1.2). A body of known length streams: the guest pulls
//! it, and what the guest does not read stays with the client. A body of unknown length is collected first, up to the
//! limit. A component of `wasi:http` reads a body of either kind as it comes, up to the limit.

use std::error::Error as StdError;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt};
use http_body::Body;
use http_body_util::{BodyDataStream, BodyExt, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::runtime::{InputStream, RequestBody};

use crate::gateway::failure::Failure;

/// What a request body may fail with.
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// What all collected bodies together may take: a limit per body alone would let many clients fill the memory.
const COLLECTED_AT_ONCE: usize = 256 << 20;

/// How slowly a body that is collected may come in after a while: it holds memory that other requests wait for.
const RATE_CHECKED_AFTER: Duration = Duration::from_secs(30);
const MIN_BYTES_PER_SECOND: u64 = 4 * 1024;

/// A budget in bytes that all collected bodies share.
pub(super) struct BufferBudget(Arc<Semaphore>);

impl BufferBudget {
    /// A budget of 256 MiB.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(COLLECTED_AT_ONCE)))
    }

    /// Reserves bytes or fails at once: a request that waited for them would hold what others wait for.
    fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Failure> {
        let bytes = u32::try_from(bytes).map_err(|_| Failure::BodyBuffersFull)?;
        self.0.clone().try_acquire_many_owned(bytes).map_err(|_| Failure::BodyBuffersFull)
    }
}

/// A request body as the stdin of a guest.
pub(super) struct StdinBody {
    /// The exact length in bytes.
    pub length: u64,
    /// The content; `None` if the body is empty.
    pub stream: Option<InputStream>,
}

impl StdinBody {
    const EMPTY: Self = Self { length: 0, stream: None };

    /// Streams a body whose length is known, and collects one whose length is not.
    pub async fn new<B>(body: B, limit: u64, budget: &BufferBudget) -> Result<Self, Failure>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        if body.is_end_stream() {
            return Ok(Self::EMPTY);
        }
        match body.size_hint().exact() {
            Some(0) => Ok(Self::EMPTY),
            Some(length) if length > limit => Err(Failure::BodyTooLarge { limit }),
            Some(length) => {
                let stream = BodyDataStream::new(body).map_err(io::Error::other);
                Ok(Self { length, stream: Some(Box::pin(stream)) })
            }
            None => Self::collect(body, limit, budget).await,
        }
    }

    async fn collect<B>(body: B, limit: u64, budget: &BufferBudget) -> Result<Self, Failure>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>>,
    {
        let mut body = pin!(body);
        let mut collected = BytesMut::new();
        let mut reserved = budget.reserve(0)?;
        let started = Instant::now();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::from_body_error(&io::Error::other(error)))?;
            let Ok(data) = frame.into_data() else { continue };
            if collected.len() as u64 + data.len() as u64 > limit {
                return Err(Failure::BodyTooLarge { limit });
            }
            let checked = started.elapsed().saturating_sub(RATE_CHECKED_AFTER).as_secs();
            if (collected.len() as u64) < checked * MIN_BYTES_PER_SECOND {
                return Err(Failure::BodyTimeout);
            }
            reserved.merge(budget.reserve(data.len())?);
            collected.extend_from_slice(&data);
        }
        if collected.is_empty() {
            return Ok(Self::EMPTY);
        }
        let length = collected.len() as u64;
        let body = CollectedBody { content: Some(collected.freeze()), _reserved: reserved };
        Ok(Self { length, stream: Some(Box::pin(body)) })
    }
}

/// A collected body in one chunk. Dropping it returns its bytes to the budget.
struct CollectedBody {
    content: Option<Bytes>,
    _reserved: OwnedSemaphorePermit,
}

impl Stream for CollectedBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.content.take().map(Ok))
    }
}

/// A body that a component reads as it comes. It ends with an error if it is longer than `limit` bytes.
pub(super) fn limited<B>(body: B, limit: u64) -> Result<RequestBody, Failure>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    if body.size_hint().lower() > limit {
        return Err(Failure::BodyTooLarge { limit });
    }
    let body = Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(body.map_err(move |error| into_io(error, limit)).boxed_unsync())
}

/// The error as an I/O error, whose kind tells a component why its request body ended.
fn into_io(error: BoxError, limit: u64) -> io::Error {
    if error.is::<LengthLimitError>() {
        return io::Error::new(io::ErrorKind::FileTooLarge, Failure::BodyTooLarge { limit });
    }
    let timed_out = matches!(Failure::from_body_error(&*error), Failure::BodyTimeout);
    io::Error::new(if timed_out { io::ErrorKind::TimedOut } else { io::ErrorKind::Other }, error)
}
