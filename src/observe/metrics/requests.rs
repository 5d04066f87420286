//! Which requests of all routes are in flight, and which have failed?

use std::cmp::Reverse;
use std::sync::Arc;

use crate::observe::metrics::Metrics;
use crate::observe::metrics::route::RouteCounters;
use crate::observe::requests::failures::FailedRequest;
use crate::observe::requests::slot::InFlightRequest;

impl Metrics {
    /// The requests that have not ended, the oldest first.
    pub fn in_flight(&self) -> Vec<InFlightRequest> {
        let of_route = |(route, counters): (String, Arc<RouteCounters>)| counters.requests.list(&route);
        let mut requests: Vec<_> = self.counted().into_iter().flat_map(of_route).collect();
        requests.sort_by_key(|request| Reverse(request.age));
        requests
    }

    /// The last requests that have failed, the newest first.
    pub fn failed(&self) -> Vec<FailedRequest> {
        self.failures.list()
    }

    /// Ends the request with this id. Returns whether there is one.
    pub fn cancel(&self, id: &str) -> bool {
        self.counted().iter().any(|(_, counters)| counters.requests.cancel(id))
    }
}
