//! Which requests are in flight, which have failed, whose guests have computed for long, and how does an operator end one?

use bytes::Bytes;

use crate::observe::{FailedRequest, InFlightRequest, KeptProfile};

use crate::gateway::Gateway;

impl Gateway {
    /// The requests with a route that have not ended, the oldest first.
    pub fn requests_in_flight(&self) -> Vec<InFlightRequest> {
        self.in_force.load().shared.metrics.in_flight()
    }

    /// The last 100 requests that have failed, the newest first.
    pub fn failed_requests(&self) -> Vec<FailedRequest> {
        self.in_force.load().shared.metrics.failed()
    }

    /// The profiles of guests that have computed for long, the newest first.
    pub fn profiles(&self) -> Vec<KeptProfile> {
        self.in_force.load().shared.metrics.profiles.list()
    }

    /// The profile of the guest of the request with this id.
    pub fn profile(&self, id: &str) -> Option<Bytes> {
        self.in_force.load().shared.metrics.profiles.find(id)
    }

    /// Ends the request with this id, and its guest. Returns whether there is one. Its client gets 504 if the head of the response is
    /// not out.
    pub fn cancel_request(&self, id: &str) -> bool {
        let shared = &self.in_force.load().shared;
        let is_found = shared.metrics.cancel(id);
        if is_found {
            shared.concurrency.readers.end_cancelled();
        }
        is_found
    }
}
