//! Which requests does the operator see, and how does the operator end one?

use http::StatusCode;
use serde_json::{Value, json};

use crate::admin::response::{AdminResponse, json as response, json_bytes, text};
use crate::gateway::Gateway;
use crate::observe::{FailedRequest, InFlightRequest, KeptProfile, RequestId};

/// The requests in flight, the oldest first, and the last that have failed, the newest first.
pub(super) fn requests(gateway: &Gateway) -> Value {
    let in_flight: Vec<Value> = gateway.requests_in_flight().iter().map(InFlightRequest::to_json).collect();
    let failed = gateway.failed_requests();
    let failed: Vec<Value> = failed.iter().map(|request| with_profile(gateway, request)).collect();
    json!({ "in_flight": in_flight, "failed": failed })
}

/// A failed request, with the path of its profile if there is one.
fn with_profile(gateway: &Gateway, request: &FailedRequest) -> Value {
    let mut shown = request.to_json();
    if gateway.profile(&request.id).is_some()
        && let Some(shown) = shown.as_object_mut()
    {
        shown.insert("profile".to_owned(), path_of(&request.id).into());
    }
    shown
}

fn path_of(id: &str) -> String {
    format!("/profiles/{id}")
}

/// The guests that have computed for long, the newest first, each with the path of its profile.
pub(super) fn profiles(gateway: &Gateway) -> Value {
    let shown = |kept: &KeptProfile| {
        let mut shown = kept.to_json();
        shown.as_object_mut().into_iter().for_each(|shown| {
            shown.insert("profile".to_owned(), path_of(&kept.id).into());
        });
        shown
    };
    json!({ "profiles": gateway.profiles().iter().map(shown).collect::<Vec<_>>() })
}

/// The profile of the guest of a request, for the Firefox Profiler.
pub(super) fn profile(gateway: &Gateway, id: RequestId) -> AdminResponse {
    match gateway.profile(id.as_str()) {
        Some(profile) => json_bytes(profile),
        None => text(StatusCode::NOT_FOUND, "there is no profile of this request: see `profile` of `[debug]`\n"),
    }
}

/// Ends a request.
pub(super) fn cancel(gateway: &Gateway, id: RequestId) -> AdminResponse {
    if !gateway.cancel_request(id.as_str()) {
        return text(StatusCode::NOT_FOUND, "there is no request with this id: it may have ended\n");
    }
    tracing::warn!(id = id.as_str(), "the admin listener has ended a request");
    response(StatusCode::OK, &json!({ "id": id.as_str(), "end": "cancelled" }))
}
