//! The options of `wagi check`, `wagi routes` and `wagi doctor`.

use clap::Args;

use wagi::config::ListenAddress;

use crate::cli::args::format::FormatArgument;
use crate::cli::args::serve::ServeArguments;
use crate::cli::args::{UsageError, Variable, registries};
use crate::cli::commands::Command;
use crate::cli::commands::check::{CheckCommand, CheckView, RoutesCommand, WarmRequests, WarningPolicy};
use crate::cli::commands::doctor::DoctorCommand;

/// What follows the options of `wagi check` in the help.
const CHECK_EXAMPLES: &str = "Examples:
  wagi check                                     checks the modules.toml of this directory
  wagi check hello.wasm
  wagi check --config modules.toml --deny-warnings
  wagi check --explain
  wagi check --warm 1000
  wagi check --format json

Exit codes:
  0  a server would start
  1  it would not, there is a warning and --deny-warnings, or --warm and a route that begins cold
  2  the command line is not valid";

/// What follows the options of `wagi routes` in the help.
const ROUTES_EXAMPLES: &str = "Examples:
  wagi routes
  wagi routes --config modules.toml --format json";

/// What follows the options of `wagi doctor` in the help.
const DOCTOR_EXAMPLES: &str = "Examples:
  wagi doctor
  wagi doctor --listen 0.0.0.0:443 --format json

Exit codes:
  0  a server would run; toolchains may be missing
  1  something stands in the way; its line says bad";

/// A subcommand that checks.
#[derive(clap::Subcommand)]
pub(super) enum CheckSubcommand {
    /// Check a configuration or a module as a start does, and serve nothing
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Box<CheckArguments>),
    /// Show the routes of a configuration in their order, with what each leads to and what hides it
    #[command(after_help = ROUTES_EXAMPLES)]
    Routes(Box<RoutesArguments>),
    /// Look for what is missing on this machine, or stands in the way of a server
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(Box<DoctorArguments>),
}

/// The options of `wagi check`.
#[derive(Args)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    serve: ServeArguments,

    /// Show each value, and where it comes from: a place in a file, an option, a variable, a default
    #[arg(long)]
    explain: bool,

    /// Answer N requests cold and warm at each route with `warm_start`, and fail if one begins cold or differs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    warm: Option<u32>,

    /// Fail if there is a warning
    #[arg(long)]
    deny_warnings: bool,

    /// The form of the output
    #[arg(long, value_name = "FORM", value_enum, default_value_t = FormatArgument::Text)]
    format: FormatArgument,
}

/// The options of `wagi routes`.
#[derive(Args)]
pub(super) struct RoutesArguments {
    #[command(flatten)]
    serve: ServeArguments,

    /// The form of the output
    #[arg(long, value_name = "FORM", value_enum, default_value_t = FormatArgument::Text)]
    format: FormatArgument,
}

/// The options of `wagi doctor`.
#[derive(Args)]
pub(super) struct DoctorArguments {
    /// An address that a server would listen on; may be repeated [default: 127.0.0.1:3000]
    #[arg(short, long, value_name = "ADDR")]
    listen: Vec<ListenAddress>,

    /// The form of the output
    #[arg(long, value_name = "FORM", value_enum, default_value_t = FormatArgument::Text)]
    format: FormatArgument,
}

impl CheckSubcommand {
    pub fn command(self, variable: Variable<'_>) -> Result<Command, UsageError> {
        Ok(match self {
            Self::Check(arguments) => Command::Check(Box::new(arguments.command(variable)?)),
            Self::Routes(arguments) => Command::Routes(Box::new(arguments.command(variable)?)),
            Self::Doctor(arguments) => Command::Doctor(arguments.command(variable)),
        })
    }
}

impl CheckArguments {
    fn command(self, variable: Variable<'_>) -> Result<CheckCommand, UsageError> {
        Ok(CheckCommand {
            given: self.serve.given(variable),
            options: self.serve.options(variable)?,
            format: self.format.into(),
            view: if self.explain { CheckView::Sources } else { CheckView::Summary },
            warm: self.warm.map(|requests| WarmRequests(requests as usize)),
            warnings: if self.deny_warnings { WarningPolicy::Deny } else { WarningPolicy::Accept },
        })
    }
}

impl RoutesArguments {
    fn command(self, variable: Variable<'_>) -> Result<RoutesCommand, UsageError> {
        Ok(RoutesCommand { options: self.serve.options(variable)?, format: self.format.into() })
    }
}

impl DoctorArguments {
    fn command(self, variable: Variable<'_>) -> DoctorCommand {
        DoctorCommand {
            format: self.format.into(),
            listen: self.listen,
            user_cache: registries::user_cache(variable),
            credentials: registries::credentials(variable),
            search_path: variable("PATH").unwrap_or_default(),
        }
    }
}
