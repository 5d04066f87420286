//! How are spans written for a collector? As OTLP has it, in protobuf or in JSON.

use bytes::Bytes;

use crate::observe::traces::settings::OtlpEncoding;
use crate::observe::traces::span::Span;

impl OtlpEncoding {
    /// The media type of a request.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// A request with these spans of this server.
#[cfg(feature = "otel")]
pub(super) fn encode(spans: &[Span], resource: &[(String, String)], encoding: OtlpEncoding) -> Bytes {
    use prost::Message;

    let request = messages::request(spans, resource);
    match encoding {
        OtlpEncoding::Protobuf => request.encode_to_vec().into(),
        // The messages have no keys but texts, so that this does not fail.
        OtlpEncoding::Json => serde_json::to_vec(&request).unwrap_or_default().into(),
    }
}

/// How many spans a collector has refused, and why.
#[cfg(feature = "otel")]
pub(super) fn rejected(response: &[u8], encoding: OtlpEncoding) -> Option<(usize, String)> {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
    use prost::Message;

    let response: ExportTraceServiceResponse = match encoding {
        OtlpEncoding::Protobuf => Message::decode(response).ok()?,
        OtlpEncoding::Json => serde_json::from_slice(response).ok()?,
    };
    let partial = response.partial_success?;
    let spans = usize::try_from(partial.rejected_spans).ok().filter(|spans| *spans > 0)?;
    Some((spans, partial.error_message))
}

// Without the feature there are no settings, so that nothing gets here.
#[cfg(not(feature = "otel"))]
pub(super) fn encode(_: &[Span], _: &[(String, String)], _: OtlpEncoding) -> Bytes {
    Bytes::new()
}

#[cfg(not(feature = "otel"))]
pub(super) fn rejected(_: &[u8], _: OtlpEncoding) -> Option<(usize, String)> {
    None
}

#[cfg(feature = "otel")]
mod messages {
    use std::time::SystemTime;

    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
    use opentelemetry_proto::tonic::trace::v1::{self, ResourceSpans, ScopeSpans, Status};

    use crate::observe::traces::span::{Span, SpanKind, SpanStatus, SpanValue};

    /// Bits of a span's flags: whether it is known where the parent is, and whether it is in another program.
    const PARENT_IS_KNOWN: u32 = 0x100;
    const PARENT_IS_REMOTE: u32 = 0x200;

    pub fn request(spans: &[Span], resource: &[(String, String)]) -> ExportTraceServiceRequest {
        let attributes = resource.iter().map(|(key, value)| attribute(key, Value::StringValue(value.clone())));
        let resource = Resource { attributes: attributes.collect(), ..Resource::default() };
        let scope = InstrumentationScope {
            name: "wagi".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let spans = spans.iter().map(span).collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }];
        let resource_spans = ResourceSpans { resource: Some(resource), scope_spans, schema_url: String::new() };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
    }

    fn span(span: &Span) -> v1::Span {
        let remote = if span.has_remote_parent { PARENT_IS_REMOTE } else { 0 };
        let kind = match span.kind {
            SpanKind::Server => v1::span::SpanKind::Server,
            SpanKind::Internal => v1::span::SpanKind::Internal,
            SpanKind::Client => v1::span::SpanKind::Client,
        };
        let attributes = span.attributes.iter().map(|(key, found)| attribute(key, value(found))).collect();
        v1::Span {
            trace_id: span.context.trace.to_vec(),
            span_id: span.context.span.to_vec(),
            trace_state: span.context.state().to_owned(),
            parent_span_id: span.parent.map_or_else(Vec::new, |parent| parent.to_vec()),
            flags: u32::from(span.context.flags()) | PARENT_IS_KNOWN | remote,
            name: span.name.to_string(),
            kind: kind.into(),
            start_time_unix_nano: nanoseconds(span.began),
            end_time_unix_nano: nanoseconds(span.began + span.took),
            attributes,
            status: Some(status(&span.status)),
            ..v1::Span::default()
        }
    }

    fn status(status: &SpanStatus) -> Status {
        match status {
            SpanStatus::Unset => Status::default(),
            SpanStatus::Error(message) => Status { message: message.clone(), code: StatusCode::Error.into() },
        }
    }

    fn attribute(key: &str, value: Value) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    fn value(value: &SpanValue) -> Value {
        match value {
            SpanValue::Text(text) => Value::StringValue(text.to_string()),
            SpanValue::Number(number) => Value::IntValue(*number),
            SpanValue::Float(number) => Value::DoubleValue(*number),
            SpanValue::Truth(is_true) => Value::BoolValue(*is_true),
        }
    }

    fn nanoseconds(time: SystemTime) -> u64 {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}
