//! `wagi push`: publish a module in a registry.

use std::process::ExitCode;

use wagi::config::Registries;
use wagi::fetch::{self, Publication};
use wagi::printable;

use crate::cli::terminal::progress::Bars;
use crate::cli::terminal::{print_problems, print_result};

/// The options of `wagi push`.
pub struct PushCommand {
    pub publication: Publication,
    pub registries: Registries,
}

impl PushCommand {
    /// Prints the reference by digest.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match fetch::push(self.publication, self.registries, Bars::on_stderr().progress()).await {
            Ok(reference) => {
                print_result(&format!("{}\n", printable::line(&reference)))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(problem) => {
                print_problems(&[*problem]);
                Ok(ExitCode::FAILURE)
            }
        }
    }
}
