//! Which requests lead to the response?
//!
//! `Client::send` runs [`follow`] within the time of the call. Each hop is checked like the first one.

use crate::outbound::error::Error;
use crate::outbound::hop::Hop;
use crate::outbound::pool::CallContext;
use crate::outbound::request::CallRequest;
use crate::outbound::response;
use crate::outbound::response::CallResponse;

/// Sends the request, and whatever redirects make of it, until there is a response that does not redirect.
pub(super) async fn follow(context: &CallContext, request: CallRequest) -> Result<CallResponse, Error> {
    let mut hop = Hop::first(request);
    for _ in 0..=context.limits.redirects {
        context.policy.check_host(&hop.url)?;
        let response = context.request(hop.to_request()?).await?;
        response::check_headers(response.headers(), &context.limits)?;
        match hop.next(response.status(), response.headers())? {
            Some(next) => hop = next,
            None => return response::collect(response, &context.limits, &context.memory).await,
        }
    }
    Err(Error::TooManyRedirects(context.limits.redirects))
}
