//! What does a request see of the configuration?
//!
//! One immutable value, with the permits of its entries. What stays when the configuration changes, such as the total permits
//! and the numbers of requests, is in `Shared`, which the [`Gateway`](crate::Gateway) holds.

use std::borrow::Cow;
use std::time::Duration;

use http::request::Parts;

use crate::cgi::{Endpoint, RequestedHost};
use crate::config::{GatewayLimits, ServerConfig};
use crate::observe::RouteName;
use crate::route::{RouteMatch, plain_path};
use crate::server::RequestScheme;

use crate::gateway::admission::concurrency::QueueLimits;
use crate::gateway::failure::Failure;
use crate::gateway::forwarded::ProxyTrust;
use crate::gateway::guest_route::{GuestRoute, RouteTarget};
use crate::gateway::hosts::HostRoutes;

/// The routes of a configuration, with the endpoint and the limits that hold for all of them.
pub(crate) struct Snapshot {
    pub(super) routes: HostRoutes<RouteTarget>,
    /// The same for paths in their usual spelling, if some routes lead to files: several paths name the same file.
    plain_routes: Option<HostRoutes<usize>>,
    /// The server as clients without TLS address it.
    plain: Endpoint,
    /// The server as clients with TLS address it.
    secure: Endpoint,
    /// Whether the server itself has TLS.
    has_tls: bool,
    pub(super) proxies: ProxyTrust,
    /// Whether responses carry the id of their request.
    pub(super) shows_request_id: bool,
    /// What the health check says as long as the server is not to stop.
    pub(super) health: HealthState,
    pub(super) queue: QueueLimits,
    /// How far behind a client may be with its response.
    pub(super) max_lag: Duration,
}

/// What the health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HealthState {
    Ok,
    /// Not all routes can be served yet.
    Starting,
    /// The server was asked to stop.
    Stopping,
}

impl Snapshot {
    /// A snapshot over finished routes. A client that takes no byte of its response for `send_timeout` is cut, so
    /// one that takes little may be as far behind.
    pub fn new(
        routes: HostRoutes<RouteTarget>,
        hostname: Option<&str>,
        limits: &GatewayLimits,
        server: &ServerConfig,
    ) -> Self {
        let is_starting = routes.rows().iter().any(|row| matches!(row.target, RouteTarget::Starting(_)));
        Self {
            health: if is_starting { HealthState::Starting } else { HealthState::Ok },
            plain_routes: routes.rows().iter().any(|row| row.target.names_files()).then(|| routes.of_plain_paths()),
            routes,
            plain: Endpoint::new(false, hostname),
            secure: Endpoint::new(true, hostname),
            has_tls: server.tls.is_some(),
            proxies: ProxyTrust::new(server),
            shows_request_id: server.request_id_header,
            queue: QueueLimits { length: limits.queue, wait: limits.queue_wait },
            max_lag: server.limits.send_timeout,
        }
    }

    /// The server as a client addresses it that has reached it by `scheme`. Without one it is as the configuration says.
    pub(super) fn endpoint(&self, scheme: Option<RequestScheme>) -> &Endpoint {
        match scheme {
            Some(RequestScheme::Http) => &self.plain,
            Some(RequestScheme::Https) => &self.secure,
            None if self.has_tls => &self.secure,
            None => &self.plain,
        }
    }

    /// The names of the routes that are counted.
    pub fn route_names(&self) -> impl Iterator<Item = &RouteName> {
        self.routes.rows().iter().filter_map(|row| match &row.target {
            RouteTarget::Health => None,
            RouteTarget::Guest(route) => Some(route.name.as_ref()),
            RouteTarget::Files(route) => Some(route.name.as_ref()),
            RouteTarget::Starting(name) => Some(name.as_ref()),
        })
    }

    /// How many routes can be served that come from the configuration.
    pub fn ready(&self) -> usize {
        let is_ready = |target: &RouteTarget| !matches!(target, RouteTarget::Health | RouteTarget::Starting(_));
        self.routes.rows().iter().filter(|row| is_ready(&row.target)).count()
    }

    /// The routes that lead to guests.
    pub(super) fn guest_routes(&self) -> impl Iterator<Item = &GuestRoute> {
        self.routes.rows().iter().filter_map(|row| match &row.target {
            RouteTarget::Guest(route) => Some(route.as_ref()),
            _ => None,
        })
    }

    /// How many routes come from the configuration.
    pub fn configured(&self) -> usize {
        self.routes.rows().iter().filter(|row| !matches!(row.target, RouteTarget::Health)).count()
    }

    /// The route for a request to `host`, which is asked for only if that can make a difference.
    pub(super) fn find<'a>(
        &'a self,
        request: &'a Parts,
        host: impl Fn() -> Option<RequestedHost<'a>>,
    ) -> Result<RouteMatch<'a, 'a, RouteTarget>, Failure> {
        let path = request.uri.path();
        let found = self.routes.find(path, &host).ok_or(Failure::NoRoute)?;
        if found.target.names_files() && self.belongs_to_another(path, host, found.target) {
            return Err(Failure::NoRoute);
        }
        Ok(found)
    }

    /// Whether a path names a file that another route serves, or keeps, under its usual spelling: so no spelling leads past the route
    /// of a program that looks at requests first.
    fn belongs_to_another<'a>(
        &'a self,
        path: &str,
        host: impl FnOnce() -> Option<RequestedHost<'a>>,
        target: &RouteTarget,
    ) -> bool {
        let (Cow::Owned(plain), Some(routes)) = (plain_path(path), &self.plain_routes) else { return false };
        let first = routes.find(&plain, host).and_then(|first| self.routes.rows().get(*first.target));
        first.is_some_and(|row| !std::ptr::eq(&raw const row.target, target))
    }
}
