//! How many interim responses (1xx) may come before a response?
//!
//! The HTTP library skips them and does not count them. So a server could send them all the time that a call may take, and the
//! client would read them. Over HTTP/2 only the time is limited.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Request;
use tokio::sync::Notify;

/// More than a server has reason to send: one 100, some 103 with hints, and a 102 each few seconds.
pub(crate) const MAX_INTERIM: usize = 16;

/// The interim responses to one request.
pub(crate) struct InterimResponses(Arc<Counter>);

#[derive(Default)]
struct Counter {
    seen: AtomicUsize,
    too_many: Notify,
}

impl InterimResponses {
    /// Counts those that will come to `request`.
    pub fn count<B>(request: &mut Request<B>) -> Self {
        let counter = Arc::new(Counter::default());
        let counting = counter.clone();
        hyper::ext::on_informational(request, move |_| {
            if counting.seen.fetch_add(1, Ordering::Relaxed) == MAX_INTERIM {
                counting.too_many.notify_one();
            }
        });
        Self(counter)
    }

    /// Returns the response of the exchange; `None`, and the exchange ends, after too many interim responses.
    pub async fn limit<F: Future>(&self, exchange: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            response = exchange => Some(response),
            () = self.0.too_many.notified() => None,
        }
    }
}
