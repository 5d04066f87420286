//! What is known of a request once its route is found?

use std::net::IpAddr;

use http::request::Parts;

use crate::cgi::Endpoint;

use crate::gateway::admission::concurrency::QueueLimits;

/// A request with a route, without its body.
pub(super) struct RoutedRequest<'a> {
    pub head: &'a Parts,
    /// The address of the client.
    pub client: IpAddr,
    /// The part of the path below the route's prefix, still encoded.
    pub path_info: &'a str,
    /// The server as the client addresses it.
    pub endpoint: &'a Endpoint,
    /// The limits on the queue in which the request may have to wait.
    pub queue: QueueLimits,
    /// The number by which the log knows the request.
    pub id: u64,
}
