//! Which requests lead to the response?
//!
//! `Client::send` runs [`follow`] within the time of the call. Each hop is checked like the first one.

use crate::outbound::error::Error;
use crate::outbound::hop::Hop;
use crate::outbound::pool::Shared;
use crate::outbound::request::Request;
use crate::outbound::response;
use crate::outbound::response::Response;

/// Sends the request, and whatever redirects make of it, until there is a response that does not redirect.
pub(super) async fn follow(shared: &Shared, request: Request) -> Result<Response, Error> {
    let mut hop = Hop::first(request);
    for _ in 0..=shared.limits.redirects {
        shared.policy.check_host(&hop.url)?;
        let response = shared.request(hop.to_request()?).await?;
        response::check_headers(response.headers(), &shared.limits)?;
        match hop.next(response.status(), response.headers())? {
            Some(next) => hop = next,
            None => return response::collect(response, &shared.limits, &shared.memory).await,
        }
    }
    Err(Error::TooManyRedirects(shared.limits.redirects))
}
