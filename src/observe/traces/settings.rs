//! Which traces are kept, and where do they go? The variables of OpenTelemetry say it, and nothing else does.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use http::HeaderMap;
use url::Url;

use crate::config::Diagnostic;
use crate::net::tls;
use crate::net::url::{has_user, is_http};
use crate::printable;

use crate::observe::traces::sampler::{SampleRate, Sampler};
use crate::observe::traces::variables::OtelVariables;

/// Where a collector on the same machine listens for OTLP over HTTP.
const USUAL_ENDPOINT: &str = "http://localhost:4318";

/// The path for traces below the endpoint for all signals.
const TRACES_PATH: &str = "v1/traces";

const OFF: &str = "no traces are sent";

/// OtelVariables that have no effect here, and what to do instead.
const UNSUPPORTED: [(&str, &str); 6] = [
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "send to a collector on this machine that has the certificate"),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "send to a collector on this machine that has the certificate"),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "send to a collector on this machine that has the certificate"),
    ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "send to a collector on this machine that has the certificate"),
    ("OTEL_CONFIG_FILE", "use the other variables"),
    ("OTEL_EXPERIMENTAL_CONFIG_FILE", "use the other variables"),
];

/// What becomes of traces.
#[derive(Debug)]
pub struct TraceSettings {
    pub(super) endpoint: Url,
    pub(super) encoding: OtlpEncoding,
    pub(super) headers: HeaderMap,
    /// Certificates that are trusted beside those of the system.
    pub(super) certificates: Option<PathBuf>,
    /// The time for one request to the collector.
    pub(super) timeout: Duration,
    pub(super) queue: SpanQueueLimits,
    pub(super) sampler: Sampler,
    pub(super) propagation: Propagation,
    pub(super) resource: Vec<(String, String)>,
}

/// How spans are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OtlpEncoding {
    Protobuf,
    Json,
}

/// Whether traces go on over programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Propagation {
    /// By the fields `traceparent` and `tracestate`.
    TraceContext,
    /// Each trace begins and ends here.
    None,
}

/// How spans wait for the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpanQueueLimits {
    /// How many may wait.
    pub length: usize,
    /// How many are sent at a time.
    pub batch: usize,
    /// How long they are gathered.
    pub delay: Duration,
    /// The time for a batch, with all attempts.
    pub timeout: Duration,
}

impl TraceSettings {
    /// What the variables say; `None` if they ask for no traces. What is wrong with them is added to `problems`.
    pub fn from_variables(read: &dyn Fn(&str) -> Option<OsString>, problems: &mut Vec<Diagnostic>) -> Option<Self> {
        let mut variables = OtelVariables { read, problems };
        let endpoint = endpoint(&mut variables)?;
        let encoding = encoding(&mut variables)?;
        if cfg!(not(feature = "otel")) {
            variables.warn(format!("this program was built without the feature `otel`: {OFF}"), "build it with `otel`");
            return None;
        }
        for (name, help) in UNSUPPORTED {
            if variables.text(name).is_some() {
                variables.warn(format!("`{name}` is not supported here"), help);
            }
        }
        let compression = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
        if let Some((name, value)) = variables.first(compression) {
            variables.choice(name, &value, &[("none", ())]);
        }
        let headers = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
        let headers = variables.first(headers).map(|(name, _)| variables.fields(name)).unwrap_or_default();
        let timeout = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
        let timeout = variables.first(timeout).map_or("OTEL_EXPORTER_OTLP_TIMEOUT", |(name, _)| name);
        let certificates = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
        Some(Self {
            endpoint,
            encoding,
            headers,
            certificates: variables.first(certificates).and_then(|found| certificates_of(&mut variables, found)),
            timeout: variables.time(timeout, 1, 10_000),
            queue: queue(&mut variables),
            sampler: sampler(&mut variables),
            propagation: propagation(&mut variables),
            resource: resource(&mut variables),
        })
    }
}

/// A file with certificates that are trusted too.
fn certificates_of(variables: &mut OtelVariables<'_>, (name, path): (&str, String)) -> Option<PathBuf> {
    let path = PathBuf::from(path);
    if let Err(error) = tls::check_file(&path) {
        let problem = Diagnostic::warning(format!("cannot use the certificates of `{name}`")).caused_by(&error);
        let help = "the file must be PEM text with `BEGIN CERTIFICATE` sections; only those of the system are trusted";
        variables.problems.push(problem.help(help));
        return None;
    }
    Some(path)
}

/// Where the spans go, if they go anywhere.
fn endpoint(variables: &mut OtelVariables<'_>) -> Option<Url> {
    if variables.is_true("OTEL_SDK_DISABLED") {
        return None;
    }
    let exporter = variables.text("OTEL_TRACES_EXPORTER");
    let is_on = match &exporter {
        Some(exporter) => {
            variables.choice("OTEL_TRACES_EXPORTER", exporter, &[("otlp", true), ("none", false)]).unwrap_or(false)
        }
        None => true,
    };
    let names = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    let found = variables.first(names).filter(|_| is_on);
    let usual = || Some((names[1], USUAL_ENDPOINT.to_owned())).filter(|_| is_on && exporter.is_some());
    let (name, text) = found.or_else(usual)?;
    let mut url = match Url::parse(&text) {
        Ok(url) if is_http(&url) && url.has_host() && !has_user(&url) => url,
        Ok(url) if is_http(&url) && has_user(&url) => {
            let message = format!("`{name}` is a URL with a user name: {OFF}");
            variables.warn(message, "write credentials into `OTEL_EXPORTER_OTLP_HEADERS`");
            return None;
        }
        _ => {
            // What is before an `@` may be a password.
            let shown = if text.contains('@') { "not shown" } else { &text };
            let message = format!("`{name}` is `{}`, and no URL of http or https: {OFF}", printable::line(shown));
            variables.warn(message, "write it as `http://localhost:4318`");
            return None;
        }
    };
    if name == names[1] {
        let path = format!("{}/{TRACES_PATH}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Some(url)
}

/// How spans are written; `None` if they are to be written as they cannot be.
fn encoding(variables: &mut OtelVariables<'_>) -> Option<OtlpEncoding> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    let Some((name, protocol)) = variables.first(names) else { return Some(OtlpEncoding::Protobuf) };
    if protocol == "grpc" {
        let message = format!("`{name}` is `grpc`, and only OTLP over HTTP is spoken here: {OFF}");
        variables.warn(message, "use `http/protobuf`; collectors take it at port 4318, and gRPC at port 4317");
        return None;
    }
    let choices = [("http/protobuf", OtlpEncoding::Protobuf), ("http/json", OtlpEncoding::Json)];
    variables.choice(name, &protocol, &choices).or(Some(OtlpEncoding::Protobuf))
}

fn queue(variables: &mut OtelVariables<'_>) -> SpanQueueLimits {
    let length = variables.number("OTEL_BSP_MAX_QUEUE_SIZE", 1..=1_000_000, 2048);
    let default = length.min(512);
    let batch = variables.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1..=length.min(10_000), default);
    SpanQueueLimits {
        length: usize::try_from(length).unwrap_or(usize::MAX),
        batch: usize::try_from(batch).unwrap_or(usize::MAX),
        delay: variables.time("OTEL_BSP_SCHEDULE_DELAY", 0, 5_000),
        timeout: variables.time("OTEL_BSP_EXPORT_TIMEOUT", 1, 30_000),
    }
}

fn sampler(variables: &mut OtelVariables<'_>) -> Sampler {
    let Some(name) = variables.text("OTEL_TRACES_SAMPLER") else { return Sampler::default() };
    let choices = [
        ("always_on", (false, Some(SampleRate::All))),
        ("always_off", (false, Some(SampleRate::None))),
        ("traceidratio", (false, None)),
        ("parentbased_always_on", (true, Some(SampleRate::All))),
        ("parentbased_always_off", (true, Some(SampleRate::None))),
        ("parentbased_traceidratio", (true, None)),
    ];
    let Some((obeys_parent, rate)) = variables.choice("OTEL_TRACES_SAMPLER", &name, &choices) else {
        return Sampler::default();
    };
    Sampler { obeys_parent, rate: rate.unwrap_or_else(|| share(variables)) }
}

/// The share of `OTEL_TRACES_SAMPLER_ARG`.
fn share(variables: &mut OtelVariables<'_>) -> SampleRate {
    let Some(text) = variables.text("OTEL_TRACES_SAMPLER_ARG") else { return SampleRate::All };
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => SampleRate::Share(share),
        _ => {
            let text = printable::line(&text);
            let message = format!("`OTEL_TRACES_SAMPLER_ARG` is `{text}`, and not a number from 0 to 1");
            variables.warn(message, "all traces are kept, which is the default");
            SampleRate::All
        }
    }
}

fn propagation(variables: &mut OtelVariables<'_>) -> Propagation {
    let Some(list) = variables.text("OTEL_PROPAGATORS") else { return Propagation::TraceContext };
    let mut propagation = Propagation::None;
    for name in list.split(',').map(str::trim) {
        // Guests get the field `baggage` as they get any other, and pass it on themselves.
        let choices = [("tracecontext", Propagation::TraceContext), ("baggage", propagation), ("none", propagation)];
        propagation = variables.choice("OTEL_PROPAGATORS", name, &choices).unwrap_or(propagation);
    }
    propagation
}

/// What the collector is told of this server.
fn resource(variables: &mut OtelVariables<'_>) -> Vec<(String, String)> {
    let mut resource = variables.pairs("OTEL_RESOURCE_ATTRIBUTES");
    if let Some(name) = variables.text("OTEL_SERVICE_NAME") {
        resource.retain(|(key, _)| key != "service.name");
        resource.push(("service.name".to_owned(), name));
    }
    let ours = [
        ("service.name", "wagi"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("telemetry.sdk.name", "wagi"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    for (key, value) in ours {
        if resource.iter().all(|(known, _)| known != key) {
            resource.push((key.to_owned(), value.to_owned()));
        }
    }
    resource
}
