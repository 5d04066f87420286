//! `wagi pull`: pull modules into the module cache.

use std::path::PathBuf;
use std::process::ExitCode;

use wagi::config::{Diagnostic, Registries};
use wagi::fetch;
use wagi::printable;

use crate::cli::terminal::progress::Bars;
use crate::cli::terminal::{print_problems, print_result};

/// The options of `wagi pull`.
pub struct PullCommand {
    pub references: Vec<String>,
    pub module_cache: Option<PathBuf>,
    pub registries: Registries,
}

impl PullCommand {
    /// Prints one line for each module: its reference by digest, and its file.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let Some(cache) = self.module_cache else {
            let problem = Diagnostic::error("there is no directory for the module cache");
            print_problems(&[problem.help("give `--module-cache DIR`")]);
            return Ok(ExitCode::FAILURE);
        };
        let (mut lines, mut problems) = (String::new(), Vec::new());
        for pulled in fetch::pull(self.references, cache, self.registries, Bars::on_stderr().progress()).await {
            match pulled {
                Ok(module) => {
                    let line = format!("{} {}", module.reference, module.path.display());
                    lines += &(printable::line(&line) + "\n");
                    problems.extend(module.warning);
                }
                Err(problem) => problems.push(*problem),
            }
        }
        print_result(&lines)?;
        print_problems(&problems);
        let is_success = !problems.iter().any(Diagnostic::is_error);
        Ok(if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
