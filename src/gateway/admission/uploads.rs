//! Which requests may start a guest before their bodies have arrived?
//!
//! A guest that reads a body holds its permit for as long as its client takes to send it. So guests whose bodies have not
//! arrived completely may have at most half of all permits, and half of the permits of their entry. The other half is left
//! for guests that only compute. Of the permits for uploads, one client may have a quarter. A request that gets no permit for
//! an upload is not turned away: its body is collected first, and then it needs only what a request without a body needs.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::gateway::admission::client_address::ClientAddress;
use crate::gateway::admission::client_shares::{SharedPermit, SharedPermits};

/// A limit on guests whose bodies have not arrived completely: of all entries together, and of each client.
pub(in crate::gateway) struct UploadLimit(SharedPermits);

/// The right of a guest to run although its body has not arrived completely.
pub(in crate::gateway) struct UploadPermit {
    _total: SharedPermit,
    _entry: OwnedSemaphorePermit,
}

/// The part of `concurrency` for guests whose bodies have not arrived completely, and for guests that wait for their clients to
/// take the response.
pub(in crate::gateway) fn half(concurrency: usize) -> usize {
    (concurrency / 2).clamp(1, Semaphore::MAX_PERMITS)
}

impl UploadLimit {
    /// A limit for a server with at most `concurrency` guests at once.
    pub fn new(concurrency: usize) -> Self {
        let uploads = half(concurrency);
        Self(SharedPermits::new(uploads, uploads / 4))
    }

    /// Returns a permit for a guest of the entry with these permits for uploads, if there is one now.
    pub fn try_acquire(&self, entry: &Arc<Semaphore>, client: Option<ClientAddress>) -> Option<UploadPermit> {
        let total = self.0.try_acquire(client)?;
        Some(UploadPermit { _total: total, _entry: entry.clone().try_acquire_owned().ok()? })
    }
}

pin_project! {
    /// A body that has not arrived completely. It gives its permit back when it has been read to its end, or failed.
    pub(in crate::gateway) struct UploadBody<B> {
        #[pin]
        body: B,
        permit: Option<UploadPermit>,
    }
}

impl<B> UploadBody<B> {
    pub fn new(body: B, permit: UploadPermit) -> Self {
        Self { body, permit: Some(permit) }
    }
}

impl<B: Body<Data = Bytes>> Body for UploadBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) || this.body.is_end_stream() {
            *this.permit = None;
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

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use crate::gateway::admission::client_address::tests::numbered as client;
    use crate::gateway::admission::uploads::*;

    fn entry(concurrency: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(half(concurrency)))
    }

    #[test]
    fn uploads_have_half_of_all_permits_and_one_client_a_quarter_of_these() {
        let limit = UploadLimit::new(32);
        let entry = entry(100);
        let acquired = |last| limit.try_acquire(&entry, client(last));
        let held: Vec<_> =
            (0..4).flat_map(|last| std::iter::from_fn(move || Some(last)).take(10)).map(acquired).collect();
        assert_eq!(held.iter().flatten().count(), 16);
        assert!(acquired(9).is_none());
        drop(held);
        assert!(acquired(9).is_some());
    }

    #[test]
    fn uploads_have_half_of_the_permits_of_their_module() {
        let limit = UploadLimit::new(1_000);
        let (one, other) = (entry(5), entry(1));
        let held: Vec<_> = (0..5).map(|last| limit.try_acquire(&one, client(last))).collect();
        assert_eq!(held.iter().flatten().count(), 2);
        assert!(limit.try_acquire(&other, None).is_some());
    }

    #[tokio::test]
    async fn a_body_gives_its_permit_back_at_its_last_byte() {
        let (limit, entry) = (UploadLimit::new(2), entry(2));
        let permit = limit.try_acquire(&entry, client(1)).expect("a permit");
        assert!(limit.try_acquire(&entry, client(1)).is_none());
        let mut body = UploadBody::new(Full::new(Bytes::from_static(b"all")), permit);
        assert_eq!(body.frame().await.expect("a frame").expect("data").into_data().expect("data"), "all");
        assert!(limit.try_acquire(&entry, client(1)).is_some());
    }
}
