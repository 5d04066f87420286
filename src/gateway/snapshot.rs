//! What does a request see of the configuration?
//!
//! One immutable value, with the permits of its entries. What stays when the configuration changes, such as the total permits
//! and the numbers of requests, is in `Shared`, which the [`Gateway`](crate::Gateway) holds.

use std::time::Duration;

use http::request::Parts;

use crate::cgi::{Endpoint, Host};
use crate::config::{GatewayLimits, ServerConfig, TrustedProxies};
use crate::route::RouteMatch;

use crate::gateway::admission::concurrency::QueueLimits;
use crate::gateway::failure::Failure;
use crate::gateway::guest_route::RouteTarget;
use crate::gateway::hosts::HostRoutes;

/// The routes of a configuration, with the endpoint and the limits that hold for all of them.
pub(crate) struct Snapshot {
    pub(super) routes: HostRoutes<RouteTarget>,
    pub(super) endpoint: Endpoint,
    pub(super) trusted_proxies: TrustedProxies,
    /// Whether responses carry the id of their request.
    pub(super) shows_request_id: bool,
    pub(super) queue: QueueLimits,
    /// How far behind a client may be with its response.
    pub(super) max_lag: Duration,
}

impl Snapshot {
    /// A snapshot over finished routes. A client that takes no byte of its response for `send_timeout` is cut, so
    /// one that takes little may be as far behind.
    pub fn new(
        routes: HostRoutes<RouteTarget>,
        endpoint: Endpoint,
        limits: &GatewayLimits,
        server: &ServerConfig,
    ) -> Self {
        Self {
            routes,
            endpoint,
            trusted_proxies: server.trusted_proxies.clone(),
            shows_request_id: server.request_id_header,
            queue: QueueLimits { length: limits.queue, wait: limits.queue_wait },
            max_lag: server.limits.send_timeout,
        }
    }

    /// How many routes lead to guests.
    pub fn guests(&self) -> usize {
        self.routes.rows().iter().filter(|row| matches!(row.target, RouteTarget::Guest(_))).count()
    }

    /// The route for a request to `host`, as its head names it.
    pub(super) fn find<'a>(
        &'a self,
        request: &'a Parts,
        host: Option<Host<'a>>,
    ) -> Result<RouteMatch<'a, 'a, RouteTarget>, Failure> {
        self.routes.find(request.uri.path(), || self.endpoint.requested(host)).ok_or(Failure::NoRoute)
    }
}
