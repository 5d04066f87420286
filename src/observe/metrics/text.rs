//! How are metrics written? In the text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write};

use crate::observe::metrics::histogram::BucketCounts;

/// A text of metrics, family by family.
#[derive(Default)]
pub(super) struct MetricsText(String);

/// A family of metrics: its name, its type, and what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub name: &'static str,
    pub kind: MetricKind,
    pub help: &'static str,
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
    /// Begins a family.
    pub fn family(&mut self, family: &Family) {
        let Family { name, kind, help } = family;
        self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.name()));
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
            let bound = bounds.get(at).map_or_else(|| "+Inf".to_owned(), |bound| (*bound as f64 / unit).to_string());
            self.line(family.name, "_bucket", labels, Some(&bound), below);
        }
        self.line(family.name, "_sum", labels, None, counts.sum as f64 / unit);
        self.line(family.name, "_count", labels, None, below);
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }

    fn line(&mut self, name: &str, suffix: &str, labels: Labels<'_>, bound: Option<&str>, value: impl Display) {
        self.0.push_str(name);
        self.0.push_str(suffix);
        let mut before = '{';
        for (key, value) in labels.iter().copied().chain(bound.map(|bound| ("le", bound))) {
            self.0.push(before);
            self.0.push_str(key);
            self.0.push_str("=\"");
            self.escape(value);
            self.0.push('"');
            before = ',';
        }
        if before == ',' {
            self.0.push('}');
        }
        self.write(format_args!(" {value}\n"));
    }

    fn escape(&mut self, value: &str) {
        for letter in value.chars() {
            match letter {
                '\\' => self.0.push_str("\\\\"),
                '"' => self.0.push_str("\\\""),
                '\n' => self.0.push_str("\\n"),
                letter => self.0.push(letter),
            }
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.0.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::metrics::histogram::{Histogram, TIMES};
    use crate::observe::metrics::text::*;

    const FAMILY: Family = Family { name: "a_seconds", kind: MetricKind::Histogram, help: "Some time." };

    #[test]
    fn buckets_are_cumulative_and_have_the_bounds_in_seconds() {
        let (histogram, mut text) = (Histogram::of_time(), MetricsText::default());
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
    fn labels_are_escaped() {
        let mut text = MetricsText::default();
        text.sample(&FAMILY, &[("a", "\\ \" \n é")], 1);
        text.sample(&FAMILY, &[], 0.5);
        assert_eq!(text.finish(), "a_seconds{a=\"\\\\ \\\" \\n é\"} 1\na_seconds 0.5\n");
    }
}
