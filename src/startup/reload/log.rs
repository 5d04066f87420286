//! What does the log say about a reload?

use crate::config::{Diagnostic, Severity};
use crate::format::counted;
use crate::gateway::{ReloadOutcome, ReloadReport};

/// The problems that are logged. A file may have tens of thousands.
const MAX_PROBLEMS: usize = 1_000;

/// Logs what came of a reload.
pub(super) fn outcome(outcome: &ReloadOutcome) {
    match outcome {
        ReloadOutcome::Swapped(report) => {
            let ReloadReport { generation, routes, modules, compiled, took, warnings } = report;
            problems(warnings);
            tracing::info!(generation, routes, modules, compiled, ?took, "reloaded");
        }
        ReloadOutcome::Unchanged(report) => {
            problems(&report.warnings);
            tracing::info!("reload: nothing has changed");
        }
        ReloadOutcome::Refused { generation, problems: found } => {
            let errors = found.iter().filter(|problem| problem.is_error()).count();
            let errors = counted(errors, "error", "errors");
            tracing::error!("reload refused: {errors}; generation {generation} goes on serving");
            problems(found);
        }
    }
}

/// Logs each problem as one event.
fn problems(problems: &[Diagnostic]) {
    for problem in problems.iter().take(MAX_PROBLEMS) {
        let location = problem.location.as_ref();
        let file = location.map(|location| location.file_name());
        let (line, column) = location.map(|location| location.position()).unzip();
        let Diagnostic { severity, message, route, label, help, causes, .. } = problem;
        let causes = Some(causes.join(": ")).filter(|causes| !causes.is_empty());
        match severity {
            Severity::Error => tracing::error!(file, line, column, route, label, causes, help, "{message}"),
            Severity::Warning => tracing::warn!(file, line, column, route, label, causes, help, "{message}"),
        }
    }
    if let Some(more @ 1..) = problems.len().checked_sub(MAX_PROBLEMS) {
        tracing::warn!("{} not logged", counted(more, "more problem is", "more problems are"));
    }
}
