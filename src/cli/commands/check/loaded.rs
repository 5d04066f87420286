//! What is configured, and what is wrong with it? Everything is loaded as for a server, and nothing is served.

use std::process::ExitCode;

use anyhow::Context;
use serde_json::Value;

use wagi::Gateway;
use wagi::admin::reload::problem;
use wagi::config::{Config, Diagnostic, Options, Severity};
use wagi::counted;
use wagi::observe::LogWriter;
use wagi::startup::ReadConfiguration;

use crate::cli::terminal::print_message;
use crate::cli::terminal::progress::Bars;

/// Whether a configuration with warnings is good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningPolicy {
    Accept,
    Deny,
}

/// A configuration that was loaded as far as it goes.
pub struct CheckedConfig {
    pub config: Config,
    /// `None` if there is an error.
    pub gateway: Option<Gateway>,
    pub problems: Vec<Diagnostic>,
}

impl CheckedConfig {
    pub async fn load(options: &Options) -> anyhow::Result<Self> {
        // A check must not write log files.
        let options = Options { check: true, log_dir: None, ..options.clone() };
        let bars = Bars::on_stderr();
        let log = LogWriter::spawn_with_format(bars.stderr(), options.log_format).context("cannot start the log")?;
        let mut problems = Vec::new();
        let read = ReadConfiguration::read(options, &mut problems);
        let config = read.config().clone();
        let loaded = read.load(&log, bars.progress(), &mut problems).await;
        log.flush();
        let has_errors = problems.iter().any(Diagnostic::is_error);
        let gateway = if has_errors { None } else { Some(loaded?.gateway().clone()) };
        Ok(Self { config, gateway, problems })
    }

    /// The problems in JSON, of one severity.
    pub fn shown(&self, severity: Severity) -> Vec<Value> {
        self.problems.iter().filter(|found| found.severity == severity).map(problem).collect()
    }

    /// Says in one line what was found.
    pub fn conclude(&self) {
        let errors = self.problems.iter().filter(|problem| problem.is_error()).count();
        let warnings = self.problems.len() - errors;
        let routes = self.gateway.as_ref().map(|gateway| counted(gateway.routes().len(), "route", "routes"));
        let found = [
            routes,
            (errors > 0).then(|| counted(errors, "error", "errors")),
            Some(if warnings == 0 { "no warnings".to_owned() } else { counted(warnings, "warning", "warnings") }),
        ];
        let found: Vec<String> = found.into_iter().flatten().collect();
        print_message(format_args!("checked: {}", found.join(", ")));
    }

    /// Whether it is good enough.
    pub fn exit_code(&self, policy: WarningPolicy) -> ExitCode {
        let is_denied = policy == WarningPolicy::Deny && !self.problems.is_empty();
        if self.gateway.is_none() || is_denied { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }
}
