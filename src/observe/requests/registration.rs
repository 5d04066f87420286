//! When is a request noted where others see it?
//!
//! When it has to wait for the first time. Most requests are over before an operator could look at them, and pay nothing.

use std::sync::{Arc, OnceLock};

use crate::observe::metrics::RouteCounters;
use crate::observe::requests::facts::RequestFacts;
use crate::observe::requests::slot::RequestSlot;

/// How others see and end a request with a route.
#[derive(Clone, Copy)]
pub(crate) struct Registration<'a> {
    pub(in crate::observe) facts: &'a RequestFacts,
    pub(in crate::observe) counters: &'a RouteCounters,
    pub(in crate::observe) slot: &'a OnceLock<Arc<RequestSlot>>,
}

impl<'a> Registration<'a> {
    /// The slot of the request in the register of its route, where it is noted from now on.
    pub fn slot(&self) -> &'a Arc<RequestSlot> {
        self.slot.get_or_init(|| self.counters.requests.begin(self.facts.clone()))
    }

    /// The slot of a request that is noted already.
    pub fn noted(&self) -> Option<&'a Arc<RequestSlot>> {
        self.slot.get()
    }
}
