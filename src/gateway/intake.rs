//! How does a request body become a guest's stdin?
//!
//! CONTENT_LENGTH must be exact (RFC 3875 §4.1.2). A body of known length streams: the guest pulls it, and what it does
//! not read stays with the client. One of unknown length is collected first, up to the limit.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body::Body;
use http_body_util::BodyExt;
use pin_project_lite::pin_project;

use crate::wasm::InputStream;

use super::failure::Failure;

/// A body as the guest gets it.
pub(super) struct Intake {
    /// Its exact length in bytes.
    pub length: u64,
    /// Its content; none when empty.
    pub stdin: Option<InputStream>,
}

/// Takes a body in.
pub(super) async fn intake<B>(body: B, limit: u64) -> Result<Intake, Failure>
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
        None => collect(body, limit).await,
    }
}

async fn collect<B>(body: B, limit: u64) -> Result<Intake, Failure>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut body = std::pin::pin!(body);
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::of_body(&io::Error::other(error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if collected.len() as u64 + data.len() as u64 > limit {
            return Err(Failure::BodyTooLarge { limit });
        }
        collected.extend_from_slice(&data);
    }
    let length = collected.len() as u64;
    let stdin: Option<InputStream> = (length > 0).then(|| Box::pin(Once(Some(collected.freeze()))) as InputStream);
    Ok(Intake { length, stdin })
}

/// One chunk.
struct Once(Option<Bytes>);

impl Stream for Once {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
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
