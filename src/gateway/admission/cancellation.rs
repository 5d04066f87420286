//! How does an operator end a request?
//!
//! A request that waits looks at its slot when it is polled, and is woken when an operator has ended it. A request that never waits
//! looks at nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::observe::{Phase, Record, RequestSlot};
use crate::runtime::RunView;

use crate::gateway::failure::Failure;

/// The slot of a request, if it has one.
#[derive(Default)]
pub(in crate::gateway) struct Cancellation(Option<Arc<RequestSlot>>);

impl Cancellation {
    /// That of the request with this record.
    pub fn of(record: &Record) -> Self {
        Self(record.slot().cloned())
    }

    /// The slot.
    pub fn slot(&self) -> Option<&Arc<RequestSlot>> {
        self.0.as_ref()
    }

    /// Notes where the request is.
    pub fn set_phase(&self, phase: Phase) {
        self.0.iter().for_each(|slot| slot.set_phase(phase));
    }

    /// Notes the run of the request.
    pub fn set_run(&self, run: impl FnOnce() -> Option<RunView>) {
        if let Some(slot) = &self.0 {
            run().into_iter().for_each(|run| slot.set_run(run));
        }
    }

    /// Ready if the request is to end. Its task waits, for this run if there is one.
    pub fn poll(&self, cx: &Context<'_>, run: impl FnOnce() -> Option<RunView>) -> Poll<()> {
        self.0.as_ref().map_or(Poll::Pending, |slot| slot.poll_cancelled(cx, run))
    }

    /// Waits for the end of some work in this phase, or until the request is to end.
    pub async fn wait<T>(
        &self,
        phase: Phase,
        mut work: Pin<&mut impl Future<Output = Result<T, Failure>>>,
    ) -> Result<T, Failure> {
        let started = Instant::now();
        self.set_phase(phase);
        let done = std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Pending => self.poll(cx, || None).map(|()| Err(Failure::Cancelled)),
            done => done,
        })
        .await;
        if let Some(slot) = &self.0 {
            slot.set_time(phase, started.elapsed());
            slot.set_phase(Phase::Guest);
        }
        done
    }
}
