//! `wagi push`: publish a module in a registry.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;

use wagi::config::Registries;
use wagi::fetch::{self, Publication};

use crate::cli::commands::serve::print_problems;
use crate::cli::terminal::progress::Bars;

/// The options of `wagi push`.
pub struct Push {
    pub publication: Publication,
    pub registries: Registries,
}

impl Push {
    /// Prints the reference by digest.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match fetch::push(self.publication, self.registries, Bars::on_stderr().progress()).await {
            Ok(reference) => {
                writeln!(io::stdout(), "{reference}").context("cannot print what was published")?;
                Ok(ExitCode::SUCCESS)
            }
            Err(problem) => {
                print_problems(&[*problem]);
                Ok(ExitCode::FAILURE)
            }
        }
    }
}
