//! Which spans have the calls of a guest, and what do their servers learn of the trace?

use std::borrow::Cow;

use http::HeaderMap;
use url::Url;

use crate::outbound::{CallReport, CallTracer};

use crate::observe::traces::context::TRACEPARENT;
use crate::observe::traces::request::{RequestTrace, new_span_id};
use crate::observe::traces::settings::Propagation;
use crate::observe::traces::span::{Span, SpanKind, SpanStatus, SpanValue, method, redacted_query, shortened, text};

impl CallTracer for RequestTrace {
    fn begin(&self, headers: &mut HeaderMap) -> u64 {
        let span = new_span_id().unwrap_or(self.guest.id);
        if self.propagation == Propagation::TraceContext && !headers.contains_key(TRACEPARENT) {
            self.context.with_span(span).write(headers);
        }
        u64::from_be_bytes(span)
    }

    fn end(&self, call: &CallReport) {
        if !self.context.is_sampled() {
            return;
        }
        let (known, mut attributes) = method(&call.method);
        attributes.extend(url_attributes(&call.url));
        attributes.extend(call.status.map(|status| ("http.response.status_code", status.into())));
        let error: Option<(Cow<'static, str>, &str)> = match (&call.failure, call.status) {
            (Some((error, reason)), _) => Some(((*error).into(), reason)),
            (None, Some(status @ 400..)) => Some((status.to_string().into(), "")),
            (None, _) => None,
        };
        let status = error.as_ref().map_or(SpanStatus::Unset, |(_, reason)| SpanStatus::Error(shortened(reason)));
        attributes.extend(error.map(|(error, _)| ("error.type", SpanValue::Text(error))));
        self.queue.push(Span {
            context: self.context.with_span(call.span.to_be_bytes()),
            parent: Some(self.guest.id),
            has_remote_parent: false,
            kind: SpanKind::Client,
            name: known.unwrap_or("HTTP").into(),
            began: self.clock.at(call.began),
            took: call.began.elapsed(),
            attributes,
            status,
        });
    }
}

/// What is told of the URL of a call.
fn url_attributes(url: &str) -> Vec<(&'static str, SpanValue)> {
    let Ok(mut url) = Url::parse(url) else { return vec![("url.full", text(url))] };
    if let Some(query) = url.query().map(redacted_query) {
        url.set_query(Some(&query));
    }
    let mut attributes = vec![("url.full", text(url.as_str()))];
    attributes.extend(url.host_str().map(|host| ("server.address", text(host))));
    attributes.extend(url.port_or_known_default().map(|port| ("server.port", port.into())));
    attributes
}
