//! What is known after a load?

pub mod h2load;
pub mod open_loop;
pub mod wrk;

use serde_json::{Value, json};

/// The result of asking as fast as a server answers.
#[derive(Clone, Debug)]
pub struct Load {
    /// Answers.
    pub requests: f64,
    /// Answers per second.
    pub per_second: f64,
    /// Half of the answers took no longer than this, in milliseconds; unknown for HTTP/2.
    pub median: Option<f64>,
}

impl Load {
    /// For the result file.
    pub fn json(&self) -> Value {
        json!({ "requests": self.requests, "per_second": self.per_second.round(), "median_ms": self.median })
    }
}

/// The value in the middle; of an even number, the upper of both.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
