//! What does the server do while modules are still being compiled? It serves the routes that are ready, and ends if the rest cannot be
//! loaded, or at a signal. The ready line comes when everything is served.

use std::process::ExitCode;

use wagi::counted;
use wagi::observe::LogWriter;
use wagi::server::Signals;
use wagi::startup::{PartialStart, Reloader, ServedRoutes};

use crate::cli::terminal::print_problems;

/// What has become of the rest of a start.
pub enum Completion {
    /// Everything is served.
    Complete(Box<Reloader>),
    /// The server has to end.
    End(anyhow::Result<ExitCode>),
}

/// Logs how much is served at these addresses, and returns that.
pub fn announce(routes: ServedRoutes, urls: &str) -> String {
    let ServedRoutes { ready, known, compiling } = routes;
    let modules = counted(compiling, "module is", "modules are");
    let said = format!("serving {ready} of {known} routes while {modules} compiled");
    tracing::info!(url = urls, "{said}");
    said
}

/// Waits until everything is served, and prints what is wrong.
pub async fn complete(start: PartialStart, log: &LogWriter, signals: &mut Signals) -> Completion {
    let mut problems = Vec::new();
    let completed = tokio::select! {
        biased;
        () = signals.next() => return Completion::End(Ok(ExitCode::SUCCESS)),
        completed = start.complete(&mut problems) => completed,
    };
    log.flush();
    print_problems(&problems);
    match completed {
        Ok(Some(reloader)) => Completion::Complete(Box::new(reloader)),
        Ok(None) => Completion::End(Ok(ExitCode::FAILURE)),
        Err(error) => Completion::End(Err(error.into())),
    }
}
