//! `wagi pull`: pull modules into the module cache.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use wagi::config::{Diagnostic, Registries};
use wagi::fetch;

use crate::cli::commands::serve::print_problems;
use crate::cli::terminal::progress::Bars;

/// The options of `wagi pull`.
pub struct Pull {
    pub references: Vec<String>,
    pub module_cache: Option<PathBuf>,
    pub registries: Registries,
}

impl Pull {
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
                    lines += &format!("{} {}\n", module.reference, module.path.display());
                    problems.extend(module.warning);
                }
                Err(problem) => problems.push(*problem),
            }
        }
        io::stdout().write_all(lines.as_bytes()).context("cannot print what was pulled")?;
        print_problems(&problems);
        let is_success = !problems.iter().any(Diagnostic::is_error);
        Ok(if is_success { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
