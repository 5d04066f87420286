//! In which format does a client get the metrics? By its `Accept` fields: the text of Prometheus, or OpenMetrics.

use http::HeaderMap;
use http::header::ACCEPT;

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsFormat {
    /// The text format of Prometheus, version 0.0.4.
    Text,
    /// OpenMetrics, version 1.0.0.
    OpenMetrics,
}

/// The weight of a media type without `q` (RFC 9110 §12.4.2), in thousandths.
const FULL: u32 = 1000;

impl MetricsFormat {
    /// The format for a client that sends these fields: OpenMetrics if it is named, and text is not preferred.
    pub fn accepted(headers: &HeaderMap) -> Self {
        let fields = || headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let weight = |media_type| {
            fields().flat_map(|field| field.split(',')).filter_map(|range| weight(range, media_type)).max()
        };
        let text = weight("text/plain").unwrap_or(0);
        match weight("application/openmetrics-text") {
            Some(open @ 1..) if open >= text => Self::OpenMetrics,
            _ => Self::Text,
        }
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The weight of a media range, if it names this type.
fn weight(range: &str, media_type: &str) -> Option<u32> {
    let mut parts = range.split(';').map(str::trim);
    parts.next().filter(|found| found.eq_ignore_ascii_case(media_type))?;
    let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some(q.map_or(FULL, |q| q.trim().parse::<f64>().map_or(0, |q| (q.clamp(0.0, 1.0) * f64::from(FULL)) as u32)))
}

#[cfg(test)]
mod tests {
    use crate::observe::metrics::format::*;

    #[test]
    fn open_metrics_is_for_clients_that_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, format) in [
            (None, MetricsFormat::Text),
            (Some(""), MetricsFormat::Text),
            (Some("*/*"), MetricsFormat::Text),
            (Some("text/plain"), MetricsFormat::Text),
            (Some("application/openmetrics-text"), MetricsFormat::OpenMetrics),
            (Some("APPLICATION/OpenMetrics-Text; Q=0.5"), MetricsFormat::OpenMetrics),
            (Some("text/plain, application/openmetrics-text"), MetricsFormat::OpenMetrics),
            (Some("text/plain, application/openmetrics-text;q=0.9"), MetricsFormat::Text),
            (Some("application/openmetrics-text;q=0"), MetricsFormat::Text),
            (Some("application/openmetrics-text;q=x"), MetricsFormat::Text),
            (Some("application/openmetrics-text;q=NaN"), MetricsFormat::Text),
            (Some("application/openmetrics-text;q=-1"), MetricsFormat::Text),
            (Some(";;,,;q=,"), MetricsFormat::Text),
            (Some(prometheus), MetricsFormat::OpenMetrics),
        ] {
            let mut headers = HeaderMap::new();
            accept.iter().for_each(|accept| _ = headers.insert(ACCEPT, accept.parse().unwrap()));
            assert_eq!(MetricsFormat::accepted(&headers), format, "{accept:?}");
        }
    }

    #[test]
    fn several_fields_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, "text/plain;q=0.1".parse().unwrap());
        headers.append(ACCEPT, "application/openmetrics-text;q=0.2".parse().unwrap());
        assert_eq!(MetricsFormat::accepted(&headers), MetricsFormat::OpenMetrics);
    }
}
