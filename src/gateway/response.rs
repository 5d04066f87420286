//! Which HTTP response does the client get?

use http::header::{ALLOW, CONTENT_LENGTH, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};

use bytes::Bytes;

use crate::cgi::ResponseHead;
use crate::observe::Record;

use crate::gateway::GuestRoute;
use crate::gateway::failure::Failure;
use crate::gateway::response_body::{ResponseBody, Rest};
use crate::gateway::response_start::Opened;

/// The methods that make sense to repeat a refused request with (RFC 9110 §15.5.6 wants some named).
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// How much of what a guest printed in vain the log repeats.
const MOST_NOTES: usize = 8;
const LONGEST_NOTE: usize = 120;

/// A moment later another guest is done.
const RETRY_SOON: HeaderValue = HeaderValue::from_static("1");

/// The constant answer of the health check.
pub(super) fn healthy(mut record: Box<Record>) -> Response<ResponseBody> {
    record.answered(StatusCode::OK, "none");
    Response::new(ResponseBody::known(Bytes::from_static(b"OK"), record))
}

/// An error status and nothing else.
pub(super) fn refused(failure: &Failure, mut record: Box<Record>) -> Response<ResponseBody> {
    record.answered(failure.status(), failure.ending());
    record.reason = Some(failure.to_string());
    let mut response = Response::new(ResponseBody::known(Bytes::new(), record));
    *response.status_mut() = failure.status();
    match failure {
        Failure::Busy | Failure::NoRoomForBody => response.headers_mut().insert(RETRY_AFTER, RETRY_SOON),
        Failure::MethodNotServed => response.headers_mut().insert(ALLOW, METHODS),
        _ => None,
    };
    response
}

/// What the script has answered.
pub(super) fn answered(
    opened: Opened,
    method: &Method,
    script: &GuestRoute,
    mut record: Box<Record>,
) -> Response<ResponseBody> {
    let Opened { head, body, trailers, more, goes_on, stopped } = opened;
    record.answered(head.status, if stopped { "stopped" } else { "ok" });
    note_dropped(&head, &mut record);
    if let Some(run) = goes_on {
        record.cpu_time = run.cpu_time();
        run.detach(script.time_between_outputs);
    }
    let (status, claimed, mut headers) = (head.status, head.content_length, head.headers);
    let body = match more {
        // What CGI scripts say of it has never been passed on; with components it is part of the protocol.
        Some(run) => {
            let length = claimed.filter(|_| script.speaks_http());
            let rest = Rest { printed: body, length, run, longest_pause: script.time_between_outputs };
            ResponseBody::running(rest, record)
        }
        None => ResponseBody::known(body, record).with_trailers(trailers),
    };
    // RFC 9110 §9.3.2: the length a GET would have had. Only the guest can know it if it printed no body. §8.6: never
    // with a 204.
    if *method == Method::HEAD
        && status != StatusCode::NO_CONTENT
        && let Some(length) = claimed
    {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn note_dropped(head: &ResponseHead, record: &mut Record) {
    if head.dropped.is_empty() {
        return;
    }
    let shortened = |text: String| text.chars().take(LONGEST_NOTE).collect::<String>();
    let mut dropped: Vec<String> =
        head.dropped.iter().take(MOST_NOTES).map(|dropped| shortened(dropped.to_string())).collect();
    if head.dropped.len() > MOST_NOTES {
        dropped.push(format!("and {} more", head.dropped.len() - MOST_NOTES));
    }
    record.reason = Some(format!("left out of the head: {}", dropped.join("; ")));
}
