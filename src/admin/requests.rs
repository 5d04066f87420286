//! Which requests does the operator see, and how does the operator end one?

use http::StatusCode;
use serde_json::{Value, json};

use crate::admin::response::{AdminResponse, json as response, text};
use crate::gateway::Gateway;
use crate::observe::{FailedRequest, InFlightRequest, RequestId};

/// The requests in flight, the oldest first, and the last that have failed, the newest first.
pub(super) fn requests(gateway: &Gateway) -> Value {
    let in_flight: Vec<Value> = gateway.requests_in_flight().iter().map(InFlightRequest::to_json).collect();
    let failed: Vec<Value> = gateway.failed_requests().iter().map(FailedRequest::to_json).collect();
    json!({ "in_flight": in_flight, "failed": failed })
}

/// Ends a request.
pub(super) fn cancel(gateway: &Gateway, id: RequestId) -> AdminResponse {
    if !gateway.cancel_request(id.as_str()) {
        return text(StatusCode::NOT_FOUND, "there is no request with this id: it may have ended\n");
    }
    tracing::warn!(id = id.as_str(), "the admin listener has ended a request");
    response(StatusCode::OK, &json!({ "id": id.as_str(), "end": "cancelled" }))
}
