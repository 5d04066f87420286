//! What is measured, and what is it measured against?

mod asleep;
mod echo;
mod events;
mod files;
mod hello;
mod http2;
mod instructions;
mod neighbours;
mod preinitialized;
mod routes;
mod start;
mod warm;

use anyhow::Result;
use serde_json::{Value, json};

use crate::site::Site;

/// Something that can be asked for by name.
pub struct Measure {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub question: &'static str,
    /// Takes it.
    pub take: fn(&Site) -> Result<Vec<Outcome>>,
}

/// All of them, in their order.
pub const MEASURES: [Measure; 14] = [
    Measure { name: "hello", question: "how many requests a second, beside other servers", take: hello::take },
    Measure { name: "http2", question: "the same over HTTP/2", take: http2::take },
    Measure { name: "files", question: "how many static files a second, beside nginx", take: files::take },
    Measure { name: "routes", question: "what 10,000 routes cost", take: routes::take },
    Measure { name: "modules", question: "how long 1,000 modules take to be ready", take: start::modules },
    Measure { name: "start", question: "how long after its start the server answers", take: start::first_answer },
    Measure { name: "asleep", question: "how much memory a sleeping guest takes", take: asleep::take },
    Measure { name: "echo", question: "how fast and in how much memory a long body passes", take: echo::take },
    Measure { name: "events", question: "how late events of a stream are, compressed or not", take: events::take },
    Measure { name: "neighbours", question: "what guests that never end do to others", take: neighbours::take },
    Measure { name: "preinitialized", question: "what initializing beforehand saves", take: preinitialized::take },
    Measure { name: "warm", question: "what it saves that an interpreter begins at its checkpoint", take: warm::take },
    Measure { name: "making", question: "what others notice while snapshots are made", take: warm::making::take },
    Measure { name: "instructions", question: "how many instructions a request takes", take: instructions::take },
];

/// What a figure is held against.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// Not less.
    AtLeast(f64),
    /// Not more.
    AtMost(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }

    /// For people.
    pub fn show(self, unit: &str) -> String {
        match self {
            Self::AtLeast(bound) => format!("≥ {}", show(bound, unit)),
            Self::AtMost(bound) => format!("≤ {}", show(bound, unit)),
        }
    }

    fn json(self) -> Value {
        match self {
            Self::AtLeast(bound) => json!({ "at_least": bound }),
            Self::AtMost(bound) => json!({ "at_most": bound }),
        }
    }
}

/// A figure with its unit, no more exact than it is.
pub fn show(value: f64, unit: &str) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 2,
    };
    if unit.is_empty() { format!("{value:.digits$}") } else { format!("{value:.digits$} {unit}") }
}

/// One figure of a measure.
pub struct Outcome {
    /// The measure it belongs to.
    pub measure: &'static str,
    /// What it is.
    pub what: String,
    /// In which unit; empty for a ratio.
    pub unit: &'static str,
    /// What it has to be.
    pub must: Option<Bound>,
    /// What it should be.
    pub aim: Option<Bound>,
    /// What it is, or why nobody knows.
    pub value: Result<f64, String>,
    /// All that was seen on the way.
    pub detail: Value,
}

impl Outcome {
    /// A figure to be told, not judged.
    pub fn new(measure: &'static str, what: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { measure, what: what.into(), unit, must: None, aim: None, value: Ok(value), detail: Value::Null }
    }

    /// What could not be measured.
    pub fn missing(measure: &'static str, what: impl Into<String>, why: String) -> Self {
        Self { value: Err(why), ..Self::new(measure, what, 0.0, "") }
    }

    /// Judges it.
    pub fn held_against(mut self, must: Bound, aim: Option<Bound>) -> Self {
        (self.must, self.aim) = (Some(must), aim);
        self
    }

    /// Adds what was seen on the way.
    pub fn with(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }

    /// How it stands, in a word.
    pub fn verdict(&self) -> &'static str {
        let Ok(value) = self.value else { return "not measured" };
        let holds = |bound: Bound| bound.holds(value);
        match (self.must, self.aim) {
            (Some(must), _) if !holds(must) => "missed",
            (_, Some(aim)) if holds(aim) => "aim reached",
            (Some(_), _) => "met",
            (None, _) => "",
        }
    }

    /// For the result file.
    pub fn json(&self) -> Value {
        json!({
            "measure": self.measure,
            "what": self.what,
            "unit": self.unit,
            "must": self.must.map(Bound::json),
            "aim": self.aim.map(Bound::json),
            "value": self.value.as_ref().ok(),
            "missing": self.value.as_ref().err(),
            "verdict": self.verdict(),
            "detail": self.detail,
        })
    }
}
