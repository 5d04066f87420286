//! How does an operator end a request?
//!
//! A request that waits takes a slot, looks at it when it is polled, and is woken when an operator has ended it. A request that never
//! waits has no slot, and looks at nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use crate::observe::{Phase, Record, Registration, RequestSlot};
use crate::runtime::RunView;

use crate::gateway::failure::Failure;

/// How an operator ends a request, if it has a route.
#[derive(Clone, Copy, Default)]
pub(in crate::gateway) struct Cancellation<'a>(Option<Registration<'a>>);

impl<'a> From<Option<Registration<'a>>> for Cancellation<'a> {
    fn from(registration: Option<Registration<'a>>) -> Self {
        Self(registration)
    }
}

impl<'a> Cancellation<'a> {
    /// That of the request with this record.
    pub fn of(record: &'a Record) -> Self {
        Self(record.registration())
    }

    /// The slot, which the request has from now on.
    pub fn slot(&self) -> Option<&'a Arc<RequestSlot>> {
        self.0.as_ref().map(Registration::slot)
    }

    /// Notes the run of the request.
    pub fn set_run(&self, run: impl FnOnce() -> Option<RunView>) {
        if let Some(registration) = &self.0 {
            run().into_iter().for_each(|run| registration.slot().set_run(run));
        }
    }

    /// Ready if the request is to end. Its task waits, for this run if there is one.
    pub fn poll(&self, cx: &Context<'_>, run: impl FnOnce() -> Option<RunView>) -> Poll<()> {
        self.slot().map_or(Poll::Pending, |slot| slot.poll_cancelled(cx, run))
    }

    /// Waits for the end of some work in this phase, or until the request is to end.
    pub async fn wait<T>(
        &self,
        phase: Phase,
        mut work: Pin<&mut impl Future<Output = Result<T, Failure>>>,
    ) -> Result<T, Failure> {
        let mut waits_since = None;
        let done = std::future::poll_fn(|cx| {
            let done = work.as_mut().poll(cx);
            let Some(slot) = self.0.as_ref().filter(|_| done.is_pending()).map(Registration::slot) else { return done };
            if waits_since.is_none() {
                waits_since = Some(Instant::now());
                slot.set_phase(phase);
            }
            slot.poll_cancelled(cx, || None).map(|()| Err(Failure::Cancelled))
        })
        .await;
        if let (Some(slot), Some(began)) = (self.0.as_ref().and_then(Registration::noted), waits_since) {
            slot.set_time(phase, began.elapsed());
            slot.set_phase(Phase::Guest);
        }
        done
    }
}
