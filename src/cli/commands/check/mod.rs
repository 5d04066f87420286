//! `wagi check` and `wagi routes`: is the configuration right, where do its values come from, and which routes does it make?
//!
//! | file | question |
//! | --- | --- |
//! | `loaded` | what is configured, and what is wrong with it? |
//! | `module` | what is one module, what does it get, and what will go wrong? |
//! | `explain` | where does each value come from? |
//! | `warm` | which routes begin warm, and do they answer the same then? |
//! | `routes` | in which order are routes tried, and what does each lead to? |

mod explain;
mod loaded;
mod module;
mod routes;
mod warm;

use std::process::ExitCode;

use serde_json::{Map, Value};

use wagi::admin::configuration;
use wagi::config::{Config, Options, Severity, Source};

pub use crate::cli::commands::check::explain::GivenOption;
pub use crate::cli::commands::check::loaded::WarningPolicy;
pub use crate::cli::commands::check::routes::RoutesCommand;
pub use crate::cli::commands::check::warm::{WarmRequests, warm_start_json};

use crate::cli::commands::check::explain::ConfigExplanation;
use crate::cli::commands::check::loaded::CheckedConfig;
use crate::cli::commands::check::module::ModuleReport;
use crate::cli::commands::check::warm::WarmReport;
use crate::cli::commands::serve::route_lines;
use crate::cli::terminal::{OutputFormat, print_json, print_problems, print_result};

/// What is shown of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckView {
    /// Its routes, or what the one module is.
    Summary,
    /// Where each value comes from.
    Sources,
}

/// The options of `wagi check`.
pub struct CheckCommand {
    pub options: Options,
    pub given: Vec<GivenOption>,
    pub format: OutputFormat,
    pub view: CheckView,
    pub warnings: WarningPolicy,
    /// `None` if routes are not tried warm.
    pub warm: Option<WarmRequests>,
}

impl CheckCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let checked = CheckedConfig::load(&self.options).await?;
        let module = match &self.options.source {
            Source::Module(path) => Some(ModuleReport::new(path, &checked.config).await),
            Source::Manifest(_) | Source::Bindle { .. } => None,
        };
        // What is no module is among the problems.
        let module = module.and_then(Result::ok);
        // As a server has it: a check itself writes no logs.
        let explained = (self.view == CheckView::Sources)
            .then(|| ConfigExplanation::new(&Config::load(&self.options).0, &self.options, &self.given));
        let warm = match (&checked.gateway, self.warm) {
            (Some(gateway), Some(requests)) => Some(WarmReport::new(gateway, requests).await?),
            _ => None,
        };
        match self.format {
            OutputFormat::Json => {
                let mut report = report(&checked, module.as_ref(), explained.as_ref());
                report.extend(warm.as_ref().map(|warm| ("warm_start".to_owned(), warm.json())));
                print_json(&report.into())?;
            }
            OutputFormat::Text => {
                print_problems(&checked.problems);
                let shown = match (&explained, &module, &checked.gateway) {
                    (Some(explained), _, _) => explained.text(),
                    (None, Some(module), _) => module.text(),
                    (None, None, Some(gateway)) => route_lines(gateway),
                    (None, None, None) => String::new(),
                };
                print_result(&(shown + &warm.as_ref().map(WarmReport::text).unwrap_or_default()))?;
                checked.conclude();
            }
        }
        let is_warm = warm.as_ref().is_none_or(WarmReport::is_warm);
        Ok(if is_warm { checked.exit_code(self.warnings) } else { ExitCode::FAILURE })
    }
}

fn report(
    checked: &CheckedConfig,
    module: Option<&ModuleReport>,
    explained: Option<&ConfigExplanation>,
) -> Map<String, Value> {
    let routes = checked.gateway.iter().flat_map(|gateway| gateway.routes());
    let mut report = Map::new();
    report.insert("errors".to_owned(), checked.shown(Severity::Error).into());
    report.insert("warnings".to_owned(), checked.shown(Severity::Warning).into());
    report.insert("routes".to_owned(), routes.map(|route| configuration::route(&route)).collect());
    report.extend(module.map(|module| ("module".to_owned(), module.json())));
    report.extend(explained.map(|explained| ("values".to_owned(), explained.json())));
    report
}
