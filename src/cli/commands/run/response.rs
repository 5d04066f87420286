//! How is a request sent through the gateway, and where does its response go? Called by the parent.

use std::time::{Duration, Instant};

use anyhow::ensure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use wagi::{Gateway, ResponseBody};

use crate::cli::commands::cgi::standard_input::{InputLength, StandardInput};
use crate::cli::commands::run::HeadOutput;
use crate::cli::commands::run::printer::OutputPrinter;
use crate::cli::commands::run::request::PreparedRequest;
use crate::cli::commands::run::run_log::FinishedRequest;

/// The longest body of a response as JSON, which is made in memory.
const MAX_KEPT_BODY: usize = 64 << 20;

/// Where the body of a response goes.
#[derive(Clone, Copy)]
pub(super) enum BodyDestination<'a> {
    Printed(&'a OutputPrinter, HeadOutput),
    /// The guest's own output is printed there, and not the response.
    Raw(&'a OutputPrinter),
    Kept,
    Discarded,
}

impl BodyDestination<'_> {
    /// Whether the reader has gone.
    fn is_gone(&self) -> bool {
        match self {
            Self::Printed(printer, _) | Self::Raw(printer) => printer.is_gone(),
            Self::Kept | Self::Discarded => false,
        }
    }
}

/// A response, to its end.
pub(super) struct ReceivedResponse {
    pub status: StatusCode,
    fields: HeaderMap,
    /// Its body, if it was to be kept.
    body: Vec<u8>,
    /// Why it is not complete.
    pub cut: Option<String>,
    /// When it began, and how long head and body took.
    pub began: Instant,
    pub to_head: Duration,
    pub took: Duration,
}

/// Sends the request, and waits for the end of its response. Fails if the body is too long to be kept.
pub(super) async fn send(
    gateway: &Gateway,
    request: &PreparedRequest,
    destination: BodyDestination<'_>,
) -> anyhow::Result<ReceivedResponse> {
    let (head, started) = (request.head(), Instant::now());
    let method = head.method().clone();
    let response = match &request.body {
        Some(body) => gateway.handle(head.map(|()| Full::new(body.clone()))).await,
        None => gateway.handle(head.map(|()| StandardInput::spawn(InputLength::Unknown))).await,
    };
    let to_head = started.elapsed();
    let (parts, mut response_body) = with_length(response, &method).into_parts();
    if let BodyDestination::Printed(printer, HeadOutput::Printed) = destination {
        printer.print_head(parts.status, &parts.headers);
    }
    let (mut body, mut cut) = (Vec::new(), None);
    while let Some(frame) = response_body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => take(&data, destination, &mut body)?,
            Ok(Err(_trailers)) => {}
            Err(error) => {
                cut = Some(error.to_string());
                break;
            }
        }
        if destination.is_gone() {
            break;
        }
    }
    // As when a client goes, a guest that runs still is ended. The log line about the request is written when its body is gone.
    drop(response_body);
    Ok(ReceivedResponse {
        status: parts.status,
        fields: parts.headers,
        body,
        cut,
        began: started,
        to_head,
        took: started.elapsed(),
    })
}

fn take(data: &Bytes, destination: BodyDestination<'_>, kept: &mut Vec<u8>) -> anyhow::Result<()> {
    match destination {
        BodyDestination::Printed(printer, _) => printer.print(data),
        BodyDestination::Kept => {
            let is_kept = kept.len() + data.len() <= MAX_KEPT_BODY;
            ensure!(is_kept, "the body is longer than {} MiB: print it without `--format json`", MAX_KEPT_BODY >> 20);
            kept.extend_from_slice(data);
        }
        BodyDestination::Raw(_) | BodyDestination::Discarded => {}
    }
    Ok(())
}

/// The response with the length that the server would have added.
fn with_length(mut response: Response<ResponseBody>, method: &Method) -> Response<ResponseBody> {
    let has_body = method != Method::HEAD
        && response.status() != StatusCode::NO_CONTENT
        && response.status() != StatusCode::NOT_MODIFIED;
    let length = response.body().size_hint().exact().filter(|_| has_body);
    if let Some(length) = length {
        response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
    }
    response
}

impl ReceivedResponse {
    /// Whether it is a complete response of the kind that a program calls a success.
    pub fn is_success(&self) -> bool {
        self.cut.is_none() && self.status.as_u16() < 400
    }

    pub fn took_us(&self) -> u64 {
        u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX)
    }

    pub fn json(&self, request: &PreparedRequest, finished: &FinishedRequest) -> Value {
        let fields = self.fields.iter();
        let fields: Vec<[String; 2]> = fields
            .map(|(name, value)| [name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()])
            .collect();
        let text = std::str::from_utf8(&self.body).ok();
        json!({
            "request": request.shown(),
            "status": self.status.as_u16(),
            "headers": fields,
            "body": text,
            "body_base64": text.is_none().then(|| STANDARD.encode(&self.body)),
            "complete": self.cut.is_none(),
            "end": finished.end,
            "reason": finished.reason,
            "route": finished.route,
            "module": finished.module,
            "total_us": finished.total_us,
            "guest_us": finished.guest_us,
        })
    }
}
