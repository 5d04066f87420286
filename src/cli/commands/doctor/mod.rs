//! `wagi doctor`: what is missing on this machine, or stands in the way?
//!
//! | file | question |
//! | --- | --- |
//! | `finding` | what was found, and what cures it? |
//! | `toolchains` | which programs are there that build modules? |
//! | `system` | are the limits, the clock and the ports such that a server can run? |
//! | `storage` | can caches, the configuration and logins be read and written? |

mod finding;
mod storage;
mod system;
mod toolchains;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use wagi::config::ListenAddress;
use wagi::printable;

use crate::cli::commands::doctor::finding::{Finding, FindingState};
use crate::cli::terminal::{OutputFormat, print_json, print_result};

/// The options of `wagi doctor`, and what it may know of the environment.
pub struct DoctorCommand {
    pub format: OutputFormat,
    pub listen: Vec<ListenAddress>,
    pub user_cache: Option<PathBuf>,
    pub credentials: Vec<PathBuf>,
    /// PATH.
    pub search_path: OsString,
}

impl DoctorCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut findings = toolchains::look(&self.search_path);
        findings.extend(system::look(&self.listen));
        findings.extend(storage::look(self.user_cache.as_deref(), &self.credentials, &self.search_path));
        match self.format {
            OutputFormat::Text => print_result(&text(&findings))?,
            OutputFormat::Json => print_json(&report(&findings))?,
        }
        let is_bad = findings.iter().any(|finding| finding.state == FindingState::Bad);
        Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let line = format!("{:<8}{:<12}{}", finding.state.name(), finding.topic, finding.what);
        text += &format!("{}\n", printable::line(&line));
        if let Some(cure) = &finding.cure {
            text += &format!("{:20}{}\n", "", printable::line(&format!("cure: {cure}")));
        }
    }
    text
}

fn report(findings: &[Finding]) -> Value {
    let shown = |finding: &Finding| {
        let Finding { topic, state, what, cure } = finding;
        json!({ "topic": topic, "state": state.name(), "what": what, "cure": cure })
    };
    findings.iter().map(shown).collect()
}
