//! What can others see of a request while it goes on, and how do they end it?
//!
//! The task of the request writes its phase, which is one store. What is in the lock is written when the request has to wait, and when
//! it ends. So the lock is free, unless the requests are listed just then.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::{Value, json};

use crate::runtime::{Activity, RunView};

use crate::observe::requests::facts::RequestFacts;
use crate::observe::requests::{lock, seconds, shortened};

/// Where a request is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for a permit.
    Queue,
    /// Its body is being read: before the guest starts, or since the guest waits for it.
    Reading,
    /// Its guest computes.
    Guest,
    /// Its guest waits: for a timer, a file or an upstream.
    Waiting,
    /// The client takes the response.
    Sending,
}

impl Phase {
    const ALL: [Self; 5] = [Self::Queue, Self::Reading, Self::Guest, Self::Waiting, Self::Sending];

    /// As the lists have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Reading => "reading",
            Self::Guest => "guest",
            Self::Waiting => "waiting",
            Self::Sending => "sending",
        }
    }
}

/// A place for one request after the other. Requests on different threads do not share a line of the cache.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct RequestSlot {
    phase: AtomicU8,
    is_cancelled: AtomicBool,
    content: Mutex<Option<SlotContent>>,
}

/// The request in a slot.
struct SlotContent {
    facts: RequestFacts,
    progress: SlotProgress,
    /// Wakes its task, if that waits.
    waker: Option<Waker>,
}

/// What becomes known of a request while it goes on.
#[derive(Default)]
pub(in crate::observe) struct SlotProgress {
    /// Its run, if that is known.
    pub run: Option<RunView>,
    pub times: PhaseTimes,
}

/// How long a request was in phases that few requests have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseTimes {
    /// How long it waited for a permit.
    pub queue: Duration,
    /// How long its body was read before its guest started.
    pub reading: Duration,
}

/// A request that has not ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InFlightRequest {
    /// The id, as the log has it.
    pub id: String,
    /// The pattern of its route.
    pub route: String,
    /// The address of its client.
    pub client: String,
    /// The method.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// How long ago it came.
    pub age: Duration,
    /// Where it is.
    pub phase: Phase,
    /// The CPU time of its guest so far.
    pub cpu_time: Duration,
    /// The memory of its guest in bytes.
    pub memory: u64,
}

impl InFlightRequest {
    /// An object with all of it. Durations are in seconds.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "route": self.route,
            "client": self.client,
            "method": self.method,
            "target": self.target,
            "age": seconds(self.age),
            "phase": self.phase.as_str(),
            "cpu_time": seconds(self.cpu_time),
            "memory": self.memory,
        })
    }
}

impl RequestSlot {
    /// Puts a request into the slot.
    pub(super) fn enter(&self, facts: RequestFacts) {
        let mut content = lock(&self.content);
        self.is_cancelled.store(false, Relaxed);
        self.set_phase(Phase::Guest);
        *content = Some(SlotContent { facts, progress: SlotProgress::default(), waker: None });
    }

    /// Takes the request out of the slot.
    pub(super) fn leave(&self) -> SlotProgress {
        let content = lock(&self.content).take();
        content.map(|content| content.progress).unwrap_or_default()
    }

    /// Notes where the request is.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// Notes how long the request has waited for a permit, or for its body.
    pub(crate) fn set_time(&self, phase: Phase, time: Duration) {
        let mut content = lock(&self.content);
        let Some(times) = content.as_mut().map(|content| &mut content.progress.times) else { return };
        match phase {
            Phase::Queue => times.queue = time,
            Phase::Reading => times.reading = time,
            Phase::Guest | Phase::Waiting | Phase::Sending => {}
        }
    }

    /// Notes the run of the request.
    pub(crate) fn set_run(&self, run: RunView) {
        lock(&self.content).iter_mut().for_each(|content| content.progress.run = Some(run.clone()));
    }

    /// Whether an operator wants the request to end.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Relaxed)
    }

    /// Ready if an operator wants the request to end. For a request that has to wait: its task is woken then.
    pub(crate) fn poll_cancelled(&self, cx: &Context<'_>, run: impl FnOnce() -> Option<RunView>) -> Poll<()> {
        if let Some(SlotContent { progress, waker, .. }) = &mut *lock(&self.content) {
            if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            if progress.run.is_none() {
                progress.run = run();
            }
        }
        if self.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ends the request if it has this id. Returns whether it has.
    pub(super) fn cancel(&self, id: &str) -> bool {
        let mut content = lock(&self.content);
        let Some(found) = content.as_mut().filter(|content| content.facts.id.as_str() == id) else {
            return false;
        };
        self.is_cancelled.store(true, Relaxed);
        let waker = found.waker.take();
        drop(content);
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// The request in the slot, at this route.
    pub(super) fn view(&self, route: &str) -> Option<InFlightRequest> {
        let content = lock(&self.content);
        let SlotContent { facts, progress: SlotProgress { run, .. }, .. } = content.as_ref()?;
        Some(InFlightRequest {
            id: facts.id.as_str().to_owned(),
            route: route.to_owned(),
            client: facts.client(),
            method: shortened(facts.method.as_str()),
            target: shortened(facts.target()),
            age: facts.started.elapsed(),
            phase: self.phase(run.as_ref()),
            cpu_time: run.as_ref().map_or(Duration::ZERO, RunView::cpu_time),
            memory: run.as_ref().map_or(0, RunView::memory),
        })
    }

    fn phase(&self, run: Option<&RunView>) -> Phase {
        let noted = Phase::ALL.get(usize::from(self.phase.load(Relaxed))).copied().unwrap_or(Phase::Guest);
        match (noted, run.map(RunView::activity)) {
            (Phase::Guest, Some(Activity::Reads)) => Phase::Reading,
            (Phase::Guest, Some(Activity::Waits)) => Phase::Waiting,
            (noted, _) => noted,
        }
    }
}
