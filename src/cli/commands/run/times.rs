//! How long do requests take? A small table, as a text and as JSON. Called by the parent.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The times of requests, in microseconds.
#[derive(Debug, Default)]
pub(super) struct RequestTimes {
    /// From the request to the end of its response.
    pub total: Vec<u64>,
    /// What the guest has computed.
    pub guest: Vec<u64>,
    /// How many requests got which status.
    pub statuses: BTreeMap<u16, usize>,
}

/// What a table says of a series.
#[derive(Debug, PartialEq, Eq)]
struct Distribution {
    minimum: u64,
    median: u64,
    percentile_95: u64,
    maximum: u64,
    mean: u64,
}

impl Distribution {
    fn of(series: &[u64]) -> Option<Self> {
        let mut sorted = series.to_owned();
        sorted.sort_unstable();
        let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        let sum: u64 = sorted.iter().sum();
        Some(Self {
            minimum: *sorted.first()?,
            median: rank(50)?,
            percentile_95: rank(95)?,
            maximum: *sorted.last()?,
            mean: sum.checked_div(sorted.len() as u64)?,
        })
    }

    fn columns(&self) -> [u64; 5] {
        [self.minimum, self.median, self.percentile_95, self.maximum, self.mean]
    }
}

impl RequestTimes {
    pub fn table(&self, request: &str) -> String {
        let statuses: Vec<String> = self.statuses.iter().map(|(status, count)| format!("{status} x {count}")).collect();
        let mut lines = vec![
            format!("{} x {request}", self.total.len()),
            format!("status  {}", statuses.join(", ")),
            format!("{:<10}{:>12}{:>12}{:>12}{:>12}{:>12}", "", "minimum", "median", "95 %", "maximum", "mean"),
        ];
        for (name, series) in [("total", &self.total), ("guest", &self.guest)] {
            let Some(distribution) = Distribution::of(series) else { continue };
            let columns: String = distribution.columns().iter().map(|time| format!("{:>12}", shown(*time))).collect();
            lines.push(format!("{name:<10}{columns}"));
        }
        lines.join("\n") + "\n"
    }

    pub fn json(&self) -> Value {
        let series = |series: &[u64]| {
            Distribution::of(series).map(|of| {
                json!({
                    "minimum_us": of.minimum,
                    "median_us": of.median,
                    "p95_us": of.percentile_95,
                    "maximum_us": of.maximum,
                    "mean_us": of.mean,
                })
            })
        };
        let statuses: BTreeMap<String, usize> =
            self.statuses.iter().map(|(status, count)| (status.to_string(), *count)).collect();
        json!({
            "requests": self.total.len(),
            "statuses": statuses,
            "total": series(&self.total),
            "guest": series(&self.guest),
        })
    }
}

fn shown(microseconds: u64) -> String {
    format!("{}.{:03} ms", microseconds / 1000, microseconds % 1000)
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::run::times::*;

    #[test]
    fn a_series_is_told_by_five_numbers() {
        assert_eq!(Distribution::of(&[]), None);
        let series: Vec<u64> = (1..=100).rev().collect();
        let expected = Distribution { minimum: 1, median: 50, percentile_95: 95, maximum: 100, mean: 50 };
        assert_eq!(Distribution::of(&series), Some(expected));
        let one = Distribution { minimum: 7, median: 7, percentile_95: 7, maximum: 7, mean: 7 };
        assert_eq!(Distribution::of(&[7]), Some(one));
    }

    #[test]
    fn a_table_has_a_line_for_the_request_and_one_for_the_guest() {
        let times = RequestTimes { total: vec![1500, 2500], guest: vec![10], statuses: [(200, 2)].into() };
        let table = times.table("GET /");
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[..2], ["2 x GET /", "status  200 x 2"]);
        assert!(lines[3].starts_with("total ") && lines[3].contains("1.500 ms") && lines[4].contains("0.010 ms"));
    }
}
