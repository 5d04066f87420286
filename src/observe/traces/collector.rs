//! How are spans sent, and what if the collector does not take them?
//!
//! As OTLP over HTTP has it: one POST for a batch. What may go away by itself is tried again, with pauses, until the time for
//! the batch is over. Then the batch is lost, and the log says so at most once a minute.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::{Instant, sleep, timeout_at};
use url::Url;

use crate::format::causes;
use crate::net::client::{ClientError, ClientOptions, Fetch, FetchRequest, FetchResponse, HttpClient};
use crate::net::connect::policy::NamedBy;
use crate::net::upload::Upload;
use crate::net::url::redacted;

use crate::observe::traces::otlp;
use crate::observe::traces::settings::{OtlpEncoding, TraceSettings};
use crate::observe::traces::span::{Span, shortened};
use crate::observe::warning_interval::WarningInterval;

/// The first pause before another attempt, and the shortest; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The most that is read of a response.
const MAX_RESPONSE: u64 = 64 << 10;

/// Where spans are sent.
pub(super) struct Collector {
    client: HttpClient,
    endpoint: Url,
    headers: HeaderMap,
    encoding: OtlpEncoding,
    timeout: Duration,
    resource: Vec<(String, String)>,
    warning: WarningInterval,
}

/// Why an attempt has failed.
struct FailedDelivery {
    reason: String,
    /// Whether another attempt makes sense, and after which pause if the collector says it.
    retry: Retry,
}

enum Retry {
    Never,
    Later(Option<Duration>),
}

impl Collector {
    /// The collector of these settings. Must be called within a tokio runtime.
    pub fn new(settings: &TraceSettings) -> Result<Self, ClientError> {
        let options = ClientOptions { roots: settings.certificates.clone(), accept_any_certificate: false };
        let mut headers = settings.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(settings.encoding.media_type()));
        Ok(Self {
            client: HttpClient::new(&options)?.patient(settings.timeout),
            endpoint: settings.endpoint.clone(),
            headers,
            encoding: settings.encoding,
            timeout: settings.timeout,
            resource: settings.resource.clone(),
            warning: WarningInterval::default(),
        })
    }

    /// Sends spans, within the time for all attempts.
    pub async fn send(&self, spans: &[Span], limit: Duration) {
        let (deadline, mut pause) = (Instant::now() + limit, FIRST_PAUSE);
        let body = otlp::encode(spans, &self.resource, self.encoding);
        loop {
            let Err(failed) = self.attempt(&body, deadline).await else { return };
            let wait = match failed.retry {
                // `Retry-After: 0` is no leave to ask without a pause.
                Retry::Later(wait) => wait.unwrap_or(pause).max(FIRST_PAUSE),
                Retry::Never => Duration::MAX,
            };
            if Instant::now().checked_add(wait).is_none_or(|next| next >= deadline) {
                self.warn(spans.len(), &failed.reason);
                return;
            }
            sleep(wait).await;
            pause = pause.saturating_mul(2);
        }
    }

    async fn attempt(&self, body: &Bytes, deadline: Instant) -> Result<(), FailedDelivery> {
        let request = FetchRequest {
            method: Method::POST,
            url: &self.endpoint,
            named_by: NamedBy::Operator,
            headers: &self.headers,
            body: &|| Upload::from(body.clone()),
            fetch: Fetch::start_sized(body.len() as u64),
        };
        let exchange = async {
            let mut response = self.client.send(&request).await?;
            // Of a refusal the status says enough, whether or not its body can be read.
            let is_taken = response.status.is_success();
            let content = if is_taken { response.bytes(MAX_RESPONSE).await? } else { Vec::new() };
            Ok::<_, ClientError>((response, content))
        };
        let in_time = deadline.min(Instant::now() + self.timeout);
        match timeout_at(in_time, exchange).await {
            Ok(Ok((response, content))) => self.outcome(&response, &content),
            Ok(Err(error)) => {
                let retry = if error.is_transient() { Retry::Later(None) } else { Retry::Never };
                Err(FailedDelivery { reason: causes(&error).collect::<Vec<_>>().join(": "), retry })
            }
            Err(_) => {
                Err(FailedDelivery { reason: "it does not answer in time".to_owned(), retry: Retry::Later(None) })
            }
        }
    }

    /// What a response means.
    fn outcome(&self, response: &FetchResponse, content: &[u8]) -> Result<(), FailedDelivery> {
        if response.status.is_success() {
            if let Some((spans, reason)) = otlp::rejected(content, self.encoding) {
                self.warn(spans, &format!("it has refused spans: {}", shortened(&reason)));
            }
            return Ok(());
        }
        let retry = match response.status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Retry::Later(retry_after(&response.headers)),
            _ => Retry::Never,
        };
        Err(FailedDelivery { reason: format!("it answers with status {}", response.status.as_u16()), retry })
    }

    fn warn(&self, spans: usize, reason: &str) {
        if self.warning.is_over() {
            let collector = redacted(&self.endpoint);
            tracing::warn!(collector, spans, reason, "spans are lost: the collector has not taken them");
        }
    }
}

/// How many seconds the collector asks to wait. A date is not understood, and counts as nothing.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}
