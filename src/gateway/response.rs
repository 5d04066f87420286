//! Which HTTP response does the client get?

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};

use crate::cgi::ResponseHead;
use crate::content::status::has_no_content;
use crate::observe::{Record, RequestEnd, RouteName};
use crate::static_files::StaticAnswer;

use crate::gateway::admission::cancellation::Cancellation;
use crate::gateway::admission::client_address::ClientAddress;
use crate::gateway::admission::client_shares::{Permitted, SharedPermit};
use crate::gateway::admission::readers::{ReaderSpec, ResponseReader};
use crate::gateway::failure::Failure;
use crate::gateway::guest_route::GuestRoute;
use crate::gateway::response_body::{ResponseBody, StreamingBody};
use crate::gateway::response_start::{GuestState, StartedResponse};
use crate::gateway::routed_request::RoutedRequest;
use crate::gateway::snapshot::HealthState;

/// The methods that a client can use instead of one that is not served (RFC 9110 §15.5.6 requires a list).
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// How many dropped header lines of a guest the log repeats, and how many characters of each.
const MAX_NOTES: usize = 8;
const MAX_NOTE_LENGTH: usize = 120;

/// In seconds. Runs are short: within a second a permit is usually free.
const RETRY_SOON: HeaderValue = HeaderValue::from_static("1");

/// In seconds. Modules that are still compiled after some seconds take some more.
const RETRY_LATER: HeaderValue = HeaderValue::from_static("5");

/// Makes the response to GET one to HEAD: the same fields, and no content. HTTP/2 has nothing else that leaves the content out.
pub(super) fn discard_content(response: &mut Response<ResponseBody>) {
    if let Some(length) = response.body_mut().discard() {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
    }
}

/// The constant response of the health check.
pub(super) fn health_check(mut record: Box<Record>, state: HealthState) -> Response<ResponseBody> {
    let (status, body) = match state {
        HealthState::Ok => (StatusCode::OK, "OK"),
        HealthState::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        HealthState::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    record.set_response(status, RequestEnd::None);
    let mut response = Response::new(ResponseBody::full(Bytes::from_static(body.as_bytes()), None, record));
    *response.status_mut() = status;
    response
}

/// Why a response is an error of wagi: among the extensions of the response, for programs that explain it. No client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedResponse {
    /// How the request ended, as the log has it.
    pub end: &'static str,
    /// The reason, as the log has it.
    pub reason: String,
}

/// An error status and nothing else.
pub(super) fn from_failure(failure: &Failure, mut record: Box<Record>) -> Response<ResponseBody> {
    record.set_response(failure.status(), failure.end());
    let reason = failure.to_string();
    record.reason = Some(reason.clone());
    record.trap = failure.trap();
    let mut response = Response::new(ResponseBody::full(Bytes::new(), None, record));
    *response.status_mut() = failure.status();
    response.extensions_mut().insert(FailedResponse { end: failure.end().as_str(), reason });
    match failure {
        Failure::Busy | Failure::BodyBuffersFull | Failure::VolumesHang | Failure::TooManyFiles => {
            response.headers_mut().insert(RETRY_AFTER, RETRY_SOON)
        }
        Failure::Starting => response.headers_mut().insert(RETRY_AFTER, RETRY_LATER),
        Failure::MethodNotServed => response.headers_mut().insert(ALLOW, METHODS),
        // Where the next request would begin is not known for certain (RFC 9112 §6.1).
        Failure::TransferCoding => response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close")),
        _ => None,
    };
    response
}

/// The response of a route whose module is still being compiled.
pub(super) fn starting(name: &Arc<RouteName>, mut record: Box<Record>) -> Response<ResponseBody> {
    record.set_route(name.clone());
    from_failure(&Failure::Starting, record)
}

/// The response of a route that leads to files, with the log's `end`. A file needs a permit.
pub(super) fn from_files(
    answer: StaticAnswer,
    end: RequestEnd,
    permit: impl FnOnce() -> Option<SharedPermit>,
    mut record: Box<Record>,
) -> Response<ResponseBody> {
    let (head, file) = answer.response.into_parts();
    let file = match file {
        Some(file) => match permit() {
            Some(permit) => Some(Permitted::new(file, permit)),
            None => return from_failure(&Failure::TooManyFiles, record),
        },
        None => None,
    };
    record.set_response(head.status, end);
    record.reason = answer.reason.map(Cow::into_owned);
    let body = match file {
        Some(file) => ResponseBody::file(file, record),
        None => ResponseBody::full(Bytes::new(), None, record),
    };
    Response::from_parts(head, body)
}

/// The response of a guest to a request.
pub(super) fn from_guest(
    started: StartedResponse,
    request: &RoutedRequest<'_>,
    route: &GuestRoute,
    mut record: Box<Record>,
) -> Response<ResponseBody> {
    let StartedResponse { head, printed, guest } = started;
    let end = if matches!(guest, GuestState::Stopped) { RequestEnd::Stopped } else { RequestEnd::Ok };
    record.set_response(head.status, end);
    record_dropped_lines(&head, &mut record);
    let (status, claimed, mut headers) = (head.status, head.content_length, head.headers);
    let body = match guest {
        GuestState::Stopped => ResponseBody::full(printed, None, record),
        GuestState::Ended { trailers } => ResponseBody::full(printed, trailers, record),
        GuestState::RunsOn { run, trailers } => {
            record.guest = Some(run.usage());
            run.detach(route.limits.time_between_outputs);
            ResponseBody::full(printed, trailers, record)
        }
        GuestState::Streams(run) => {
            let cancellation = Cancellation::of(&record);
            cancellation.set_run(|| Some(run.view()));
            let reader = ResponseReader::new(request.readers, &reader_of(request, route, cancellation), *run);
            let body = StreamingBody::new(printed, reader, route.limits.time_between_outputs);
            ResponseBody::streaming(body.with_length(claimed), record)
        }
    };
    // RFC 9110 §9.3.2: the length a GET would have had. If the guest printed no body, only its Content-Length says it. With a 204
    // or a 304 a GET has none.
    if request.head.method == Method::HEAD
        && !has_no_content(status)
        && let Some(length) = claimed
    {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn reader_of<'a>(request: &RoutedRequest<'_>, route: &'a GuestRoute, cancellation: Cancellation<'_>) -> ReaderSpec<'a> {
    ReaderSpec {
        client: ClientAddress::from_head(request.head),
        entry: &route.concurrency.readers,
        max_lag: request.max_lag,
        slot: cancellation.slot().cloned(),
    }
}

fn record_dropped_lines(head: &ResponseHead, record: &mut Record) {
    if head.dropped.is_empty() {
        return;
    }
    let shortened = |text: String| text.chars().take(MAX_NOTE_LENGTH).collect::<String>();
    let mut dropped: Vec<String> =
        head.dropped.iter().take(MAX_NOTES).map(|dropped| shortened(dropped.to_string())).collect();
    if head.dropped.len() > MAX_NOTES {
        dropped.push(format!("and {} more", head.dropped.len() - MAX_NOTES));
    }
    record.reason = Some(format!("left out of the head: {}", dropped.join("; ")));
}
