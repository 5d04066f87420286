//! The options of `wagi dev`.

use std::path::PathBuf;

use clap::Args;

use wagi::config::ListenAddress;

use crate::cli::args::Variable;
use crate::cli::args::development::{GuestVariables, target_options};
use crate::cli::args::registries::RegistryArguments;
use crate::cli::args::serve::variable;
use crate::cli::commands::dev::{DevCommand, LiveReload};

/// What follows the options in the help.
pub(in crate::cli::args) const DEV_EXAMPLES: &str = "Examples:
  wagi dev                       serves the modules.toml of this directory, and runs its `build` commands
  wagi dev hello.wat --live
  wagi dev site --listen 127.0.0.1:8080";

/// The options of `wagi dev`.
#[derive(Args)]
pub(in crate::cli::args) struct DevArguments {
    /// A modules.toml, a directory with one, or a module
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    target: PathBuf,

    /// An address to listen on; if its port is busy, the next one that is free [default: 127.0.0.1:3000]
    #[arg(short, long, value_name = "ADDR")]
    listen: Vec<ListenAddress>,

    /// Let browsers load a page again when something has changed
    #[arg(long)]
    live: bool,

    /// A variable for the guests; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,

    /// A file with variables for the guests; may be repeated
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,

    #[command(flatten)]
    registries: RegistryArguments,
}

impl DevArguments {
    pub fn command(self, variable: Variable<'_>) -> DevCommand {
        let variables = GuestVariables { env: self.env, env_files: self.env_file };
        DevCommand {
            target: target_options(self.target, variables, self.registries, variable),
            listen: self.listen,
            live: if self.live { LiveReload::On } else { LiveReload::Off },
        }
    }
}
