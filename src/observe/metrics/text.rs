//! How are metrics written? In the text format of Prometheus, version 0.0.4, or in that of OpenMetrics.
//!
//! The two differ in few things: OpenMetrics names a counter without `_total` where it tells its type, writes whole bounds as
//! `1.0`, and has a last line.

use std::fmt::{Display, Write};

use crate::observe::metrics::format::MetricsFormat;
use crate::observe::metrics::histogram::BucketCounts;

/// A text of metrics, family by family.
pub(super) struct MetricsText {
    text: String,
    format: MetricsFormat,
}

/// A family of metrics: its name, its type, and what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub name: &'static str,
    pub kind: MetricKind,
    pub help: &'static str,
}

impl Family {
    /// The name and the type, as they are announced before the samples.
    fn announced(&self, format: MetricsFormat) -> (&'static str, &'static str) {
        match (format, self.kind, self.name.strip_suffix("_total")) {
            // OpenMetrics has no two families of one name, and the gauge of open connections has this one.
            (MetricsFormat::OpenMetrics, MetricKind::Counter, Some("wagi_connections")) => (self.name, "unknown"),
            (MetricsFormat::OpenMetrics, MetricKind::Counter, Some(name)) => (name, self.kind.name()),
            _ => (self.name, self.kind.name()),
        }
    }
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

impl MetricKind {
    /// As the format has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The labels of a sample.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl MetricsText {
    /// A text without a family.
    pub fn new(format: MetricsFormat) -> Self {
        Self { text: String::new(), format }
    }

    /// Begins a family.
    pub fn family(&mut self, family: &Family) {
        let (name, kind) = family.announced(self.format);
        let help = family.help;
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// Adds a sample to the family.
    pub fn sample(&mut self, family: &Family, labels: Labels<'_>, value: impl Display) {
        self.line(family.name, "", labels, None, value);
    }

    /// Adds a histogram to the family. Its bounds and its sum are divided by `unit`.
    pub fn histogram(
        &mut self,
        family: &Family,
        labels: Labels<'_>,
        (counts, bounds): (&BucketCounts, &[u64]),
        unit: f64,
    ) {
        let mut below = 0;
        for (at, count) in counts.buckets.iter().enumerate() {
            below += count;
            let bound = bounds.get(at).map_or_else(|| "+Inf".to_owned(), |bound| self.bound(*bound as f64 / unit));
            self.line(family.name, "_bucket", labels, Some(&bound), below);
        }
        self.line(family.name, "_sum", labels, None, counts.sum as f64 / unit);
        self.line(family.name, "_count", labels, None, below);
    }

    /// The text.
    pub fn finish(mut self) -> String {
        if self.format == MetricsFormat::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn bound(&self, bound: f64) -> String {
        // OpenMetrics shows that the bound is no integer ("Considerations: Canonical Numbers").
        let is_whole = self.format == MetricsFormat::OpenMetrics && bound.fract() == 0.0;
        if is_whole { format!("{bound:.1}") } else { bound.to_string() }
    }

    fn line(&mut self, name: &str, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: impl Display) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        let mut before = '{';
        for (key, value) in labels.iter().copied().chain(bound.map(|bound| ("le", bound))) {
            self.text.push(before);
            self.text.push_str(key);
            self.text.push_str("=\"");
            self.escape(value);
            self.text.push('"');
            before = ',';
        }
        if before == ',' {
            self.text.push('}');
        }
        self.write(format_args!(" {value}\n"));
    }

    fn escape(&mut self, value: &str) {
        for letter in value.chars() {
            match letter {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                letter => self.text.push(letter),
            }
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.text.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::metrics::histogram::{Histogram, TIMES};
    use crate::observe::metrics::text::*;

    const FAMILY: Family = Family { name: "a_seconds", kind: MetricKind::Histogram, help: "Some time." };

    #[test]
    fn buckets_are_cumulative_and_have_the_bounds_in_seconds() {
        let (histogram, mut text) = (Histogram::of_time(), MetricsText::new(MetricsFormat::Text));
        [40_000, 60_000, 40_000_000_000].into_iter().for_each(|value| histogram.observe(value));
        text.family(&FAMILY);
        text.histogram(&FAMILY, &[("route", "/")], (&histogram.counts(), TIMES), 1e9);
        let text = text.finish();
        assert!(text.starts_with("# HELP a_seconds Some time.\n# TYPE a_seconds histogram\n"), "{text}");
        let bounds: Vec<_> = text.lines().filter_map(|line| line.split("le=\"").nth(1)?.split('"').next()).collect();
        let expected =
            "0.00005 0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30 +Inf";
        assert_eq!(bounds.join(" "), expected);
        for line in [
            "a_seconds_bucket{route=\"/\",le=\"0.00005\"} 1",
            "a_seconds_bucket{route=\"/\",le=\"30\"} 2",
            "a_seconds_bucket{route=\"/\",le=\"+Inf\"} 3",
            "a_seconds_sum{route=\"/\"} 40.0001",
            "a_seconds_count{route=\"/\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }

    #[test]
    fn open_metrics_has_other_names_for_counters_other_bounds_and_an_end() {
        let (histogram, mut text) = (Histogram::of_time(), MetricsText::new(MetricsFormat::OpenMetrics));
        histogram.observe(1);
        text.histogram(&FAMILY, &[], (&histogram.counts(), TIMES), 1e9);
        for name in ["a_total", "wagi_connections_total"] {
            let family = Family { name, kind: MetricKind::Counter, help: "Some." };
            text.family(&family);
            text.sample(&family, &[], 2);
        }
        let text = text.finish();
        for line in [
            "a_seconds_bucket{le=\"0.00005\"} 1",
            "a_seconds_bucket{le=\"0.25\"} 1",
            "a_seconds_bucket{le=\"30.0\"} 1",
            "# TYPE a counter",
            "a_total 2",
            "# TYPE wagi_connections_total unknown",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
        assert!(text.ends_with("wagi_connections_total 2\n# EOF\n"), "{text}");
    }

    #[test]
    fn labels_are_escaped() {
        let mut text = MetricsText::new(MetricsFormat::Text);
        text.sample(&FAMILY, &[("a", "\\ \" \n é")], 1);
        text.sample(&FAMILY, &[], 0.5);
        assert_eq!(text.finish(), "a_seconds{a=\"\\\\ \\\" \\n é\"} 1\na_seconds 0.5\n");
    }
}
