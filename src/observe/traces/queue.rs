//! How do spans leave the process without holding up a request?
//!
//! They wait in a bounded queue. One task takes them from there and sends them, several at a time. If the queue is full, spans
//! are dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::observe::traces::collector::Collector;
use crate::observe::traces::settings::SpanQueueLimits;
use crate::observe::traces::span::Span;
use crate::observe::warning_interval::WarningInterval;

/// How long the end of the process waits for the collector.
const LAST_SPANS: Duration = Duration::from_secs(3);

/// Why spans do not leave whose sender has ended.
const NOT_SENT: &str = "nothing sends them any more";

/// The spans that wait for the collector.
#[derive(Clone)]
pub(super) struct SpanQueue {
    sender: mpsc::Sender<QueueItem>,
    dropped: Arc<DroppedSpans>,
}

enum QueueItem {
    Span(Box<Span>),
    /// Says when all that was before it has been sent, or given up.
    Flush(oneshot::Sender<()>),
}

/// The spans for which there was no room.
#[derive(Default)]
struct DroppedSpans {
    count: AtomicU64,
    warning: WarningInterval,
}

impl SpanQueue {
    /// A queue to this collector. Must be called within a tokio runtime.
    pub fn start(collector: Collector, limits: SpanQueueLimits) -> Self {
        let (queue, receiver) = Self::with_length(limits.length);
        tokio::spawn(send_all(receiver, collector, limits));
        queue
    }

    fn with_length(length: usize) -> (Self, mpsc::Receiver<QueueItem>) {
        let (sender, receiver) = mpsc::channel(length);
        (Self { sender, dropped: Arc::default() }, receiver)
    }

    /// Adds a span, or drops it if the queue is full.
    pub fn push(&self, span: Span) {
        let Err(error) = self.sender.try_send(QueueItem::Span(Box::new(span))) else { return };
        let spans = self.dropped.count.fetch_add(1, Relaxed) + 1;
        if self.dropped.warning.is_over() {
            let reason = match error {
                TrySendError::Full(_) => "the collector takes them too slowly",
                TrySendError::Closed(_) => NOT_SENT,
            };
            tracing::warn!(spans, "spans are dropped: {reason}");
        }
    }

    /// Waits until the spans that are there are sent, but not for long.
    pub async fn flush(&self) {
        self.flush_within(LAST_SPANS).await;
    }

    async fn flush_within(&self, limit: Duration) {
        let flush = async {
            let (sender, done) = oneshot::channel();
            self.sender.send(QueueItem::Flush(sender)).await.ok()?;
            done.await.ok()
        };
        match timeout(limit, flush).await {
            Ok(Some(())) => {}
            Ok(None) => tracing::warn!("the last spans are lost: {NOT_SENT}"),
            Err(_) => tracing::warn!("the last spans are lost: the collector did not take them within 3 s"),
        }
        let spans = self.dropped.count.load(Relaxed);
        if spans > 0 {
            let reason = if self.sender.is_closed() { NOT_SENT } else { "the collector took them too slowly" };
            tracing::warn!(spans, "spans were dropped since the start: {reason}");
        }
    }
}

async fn send_all(mut receiver: mpsc::Receiver<QueueItem>, collector: Collector, limits: SpanQueueLimits) {
    while let Some(first) = receiver.recv().await {
        let Batch { spans, flush } = gather(&mut receiver, first, limits).await;
        if !spans.is_empty() {
            collector.send(&spans, limits.timeout).await;
        }
        if let Some(flush) = flush {
            // Perhaps nothing waits for it any more.
            let _ = flush.send(());
        }
    }
}

/// Spans that are sent together.
#[derive(Default)]
struct Batch {
    spans: Vec<Span>,
    flush: Option<oneshot::Sender<()>>,
}

/// Gathers spans until they are enough, have waited for long enough, or are asked for.
async fn gather(receiver: &mut mpsc::Receiver<QueueItem>, first: QueueItem, limits: SpanQueueLimits) -> Batch {
    let (mut batch, mut next) = (Batch::default(), first);
    let end = Instant::now() + limits.delay;
    loop {
        match next {
            QueueItem::Span(span) => batch.spans.push(*span),
            QueueItem::Flush(flush) => return Batch { flush: Some(flush), ..batch },
        }
        if batch.spans.len() >= limits.batch {
            return batch;
        }
        match timeout_at(end, receiver.recv()).await {
            Ok(Some(item)) => next = item,
            Ok(None) | Err(_) => return batch,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use crate::observe::log_writer::tests::Memory;
    use crate::observe::traces::context::TraceContext;
    use crate::observe::traces::queue::*;
    use crate::observe::traces::span::{SpanKind, SpanStatus};

    fn span() -> Span {
        Span {
            context: TraceContext::root([1; 16], [2; 8]),
            parent: None,
            has_remote_parent: false,
            kind: SpanKind::Server,
            name: "GET".into(),
            began: SystemTime::UNIX_EPOCH,
            took: Duration::ZERO,
            attributes: Vec::new(),
            status: SpanStatus::Unset,
        }
    }

    fn limits(batch: usize, delay: Duration) -> SpanQueueLimits {
        SpanQueueLimits { length: 8, batch, delay, timeout: Duration::from_secs(1) }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let (queue, receiver) = SpanQueue::with_length(3);
        (0..10).for_each(|_| queue.push(span()));
        assert_eq!((receiver.len(), queue.dropped.count.load(Relaxed)), (3, 7));
    }

    #[tokio::test]
    async fn spans_are_gathered_until_they_are_enough_or_have_waited_or_are_asked_for() {
        let (queue, mut receiver) = SpanQueue::with_length(8);
        (0..5).for_each(|_| queue.push(span()));
        let hour = Duration::from_secs(3600);
        let first = receiver.recv().await.unwrap();
        assert_eq!(gather(&mut receiver, first, limits(4, hour)).await.spans.len(), 4);
        let first = receiver.recv().await.unwrap();
        let short = Duration::from_millis(1);
        assert_eq!(gather(&mut receiver, first, limits(4, short)).await.spans.len(), 1);
        queue.push(span());
        let flushing = tokio::spawn(async move { queue.flush().await });
        let first = receiver.recv().await.unwrap();
        let batch = gather(&mut receiver, first, limits(4, hour)).await;
        assert_eq!(batch.spans.len(), 1);
        batch.flush.unwrap().send(()).unwrap();
        flushing.await.unwrap();
    }

    #[tokio::test]
    async fn without_a_sender_it_is_not_the_collector_that_is_slow() {
        let (queue, receiver) = SpanQueue::with_length(8);
        drop(receiver);
        let memory = Memory::default();
        let written = memory.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || memory.clone()).finish();
        let _default = tracing::subscriber::set_default(subscriber);
        queue.push(span());
        queue.flush_within(Duration::from_secs(3600)).await;
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches("nothing sends them any more").count(), 3, "{text}");
        assert!(!text.contains("slowly") && !text.contains("within"), "{text}");
    }

    #[tokio::test]
    async fn a_collector_that_hangs_does_not_hold_up_the_end() {
        let (queue, _receiver) = SpanQueue::with_length(1);
        queue.push(span());
        // Nothing takes the span, so that there is not even room to ask.
        queue.flush_within(Duration::from_millis(10)).await;
    }
}
