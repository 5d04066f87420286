//! What does a request for a reload get? It waits until the reload is over.

use http::StatusCode;
use serde_json::{Value, json};

use crate::admin::response::{self, AdminResponse};
use crate::config::{Diagnostic, Severity};
use crate::gateway::{ReloadHandle, ReloadOutcome, ReloadReport};

/// The problems that are shown. A file may have tens of thousands.
const MAX_PROBLEMS: usize = 1_000;

/// Reloads, and says what came of it.
pub(super) async fn reload(handle: &ReloadHandle) -> AdminResponse {
    let Some(outcome) = handle.reload().await else {
        return response::text(StatusCode::SERVICE_UNAVAILABLE, "the server is ending\n");
    };
    match &*outcome {
        ReloadOutcome::Swapped(done) => response::json(StatusCode::OK, &report(done)),
        ReloadOutcome::Unchanged(done) => {
            let mut value = report(done);
            value["changed"] = false.into();
            response::json(StatusCode::OK, &value)
        }
        ReloadOutcome::Refused { generation, problems } => {
            let value = json!({
                "generation": generation,
                "errors": shown(problems, Severity::Error),
                "warnings": shown(problems, Severity::Warning),
            });
            response::json(StatusCode::UNPROCESSABLE_ENTITY, &value)
        }
    }
}

fn report(report: &ReloadReport) -> Value {
    let ReloadReport { generation, routes, modules, compiled, took, warnings } = report;
    json!({
        "generation": generation,
        "routes": routes,
        "modules": modules,
        "compiled": compiled,
        "took_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "warnings": shown(warnings, Severity::Warning),
    })
}

/// The problems of this severity, each with its place.
pub(super) fn shown(problems: &[Diagnostic], severity: Severity) -> Vec<Value> {
    let of_severity = problems.iter().filter(|problem| problem.severity == severity);
    of_severity.take(MAX_PROBLEMS).map(problem).collect()
}

/// A problem, with its place.
pub fn problem(problem: &Diagnostic) -> Value {
    let location = problem.location.as_ref();
    let position = location.map(|location| location.position());
    let Diagnostic { message, route, label, help, causes, .. } = problem;
    json!({
        "message": message,
        "file": location.map(|location| location.file_name()),
        "line": position.map(|(line, _)| line),
        "column": position.map(|(_, column)| column),
        "route": route,
        "label": label,
        "causes": causes,
        "help": help,
    })
}
