//! What does the guest get, and what does it print? Called by the parent.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use wagi::printable;
use wagi::{HostCall, RunInputs, RunWatcher};

use crate::cli::commands::run::printer::OutputPrinter;
use crate::cli::commands::run::trace::TraceRecorder;

/// Sees the guests of `wagi run`.
pub(super) struct GuestWatcher {
    /// Where their output goes, if it is the result.
    printer: Option<OutputPrinter>,
    /// Where its calls go, if they are traced.
    trace: Option<Arc<TraceRecorder>>,
    inputs: Mutex<Option<RunInputs>>,
}

/// What a guest got, to be shown.
pub(super) struct ShownInputs(RunInputs);

impl GuestWatcher {
    pub fn new(printer: Option<OutputPrinter>, trace: Option<Arc<TraceRecorder>>) -> Self {
        Self { printer, trace, inputs: Mutex::default() }
    }

    /// What the last guest got, if there was one.
    pub fn inputs(&self) -> Option<ShownInputs> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).clone().map(ShownInputs)
    }

    /// Whether the guest is a component of `wasi:http`, which prints no response.
    pub fn serves_http(&self) -> bool {
        self.inputs().is_some_and(|inputs| !inputs.0.request.is_empty())
    }
}

impl RunWatcher for GuestWatcher {
    fn begins(&self, inputs: &RunInputs) {
        if let Some(trace) = &self.trace {
            trace.begins(inputs);
        }
        *self.inputs.lock().unwrap_or_else(PoisonError::into_inner) = Some(inputs.clone());
    }

    fn prints(&self, bytes: &[u8]) {
        if let Some(printer) = &self.printer {
            printer.print(bytes);
        }
    }

    fn sees_calls(&self) -> bool {
        self.trace.is_some()
    }

    fn calls(&self, call: &HostCall) -> Option<i32> {
        self.trace.as_ref()?.calls(call)
    }
}

impl ShownInputs {
    pub fn text(&self) -> String {
        let RunInputs { arguments, environment, request } = &self.0;
        let mut text = String::new();
        let kinds = [("Request:", request), ("Arguments:", arguments), ("Environment:", environment)];
        for (heading, lines) in kinds {
            if lines.is_empty() {
                continue;
            }
            text += heading;
            for line in lines {
                text += "\n  ";
                // Whole, where `printable::line` would shorten it.
                text += &printable::lines(&line.replace(['\n', '\t'], " "));
            }
            text.push('\n');
        }
        text
    }

    pub fn json(&self) -> Value {
        let RunInputs { arguments, environment, request } = &self.0;
        let variables: serde_json::Map<String, Value> = environment
            .iter()
            .filter_map(|variable| variable.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        json!({ "arguments": arguments, "environment": variables, "request": request })
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::run::watching::*;

    #[test]
    fn inputs_are_shown_with_a_heading_for_each_kind() {
        let watcher = GuestWatcher::new(None, None);
        assert!(watcher.inputs().is_none());
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (arguments, environment) = (owned(&["/a", "b\u{1b}"]), owned(&["A=1", "B=x=y"]));
        watcher.begins(&RunInputs { arguments, environment, request: Vec::new() });
        let inputs = watcher.inputs().expect("a guest has begun");
        assert_eq!(inputs.text(), "Arguments:\n  /a\n  b\\u{1b}\nEnvironment:\n  A=1\n  B=x=y\n");
        assert_eq!(inputs.json()["environment"]["B"], "x=y");
        assert!(!watcher.serves_http());
    }
}
