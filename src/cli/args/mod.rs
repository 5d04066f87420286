//! How does a command line become a [`Command`]?
//!
//! The only room that knows clap. `main` calls [`parse`]; tests call [`parse_from`] with an environment of their own.
//! What cannot be meant is answered here, with clap's own words and exit code 2.
//!
//! | file | question |
//! | --- | --- |
//! | `serve` | what is a server started with? |
//! | `registries` | how are registries asked, and where are modules kept? |
//! | `verbs` | which commands are there besides serving? |

mod registries;
mod serve;
#[cfg(test)]
mod tests;
mod verbs;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use wagi::config::{Options, ServerEnvironment};

use crate::cli::args::serve::ServeArguments;
use crate::cli::args::verbs::Verb;
use crate::cli::commands::Command;

/// Serves WebAssembly modules over HTTP, CGI style.
///
/// What to serve is given by one of FILE, --config and --bindle.
#[derive(Parser)]
#[command(name = "wagi", display_name = "WAGI Server", version, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct CommandLine {
    #[command(flatten)]
    serve: ServeArguments,

    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What the process was started for. Ends it if that cannot be meant, or asks for help or the version only.
pub fn parse() -> Command {
    let variable = |name: &str| std::env::var_os(name);
    let mut command = parse_from(std::env::args_os(), variable).unwrap_or_else(|error| error.exit());
    match &mut command {
        Command::Serve(options) => options.server_environment = ServerEnvironment::new(variable),
        Command::Lock(lock) => lock.server_environment = ServerEnvironment::new(variable),
        _ => {}
    }
    command
}

/// Parses `arguments`, the first of which is the program, with `variable` to look up environment variables.
///
/// An option on the command line beats its environment variable; an empty variable is none.
pub fn parse_from<A>(
    arguments: impl IntoIterator<Item = A>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, clap::Error>
where
    A: Into<OsString> + Clone,
{
    let mut command = CommandLine::command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    let typed = CommandLine::from_arg_matches(&matches)?;
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let meant = match typed.verb {
        Some(verb) => verb.command(&variable),
        None => typed.serve.options(&variable).map(|options: Options| Command::Serve(Box::new(options))),
    };
    meant.map_err(|refusal| command.error(refusal.kind, refusal.message))
}

/// Why the options do not go together.
struct Refusal {
    kind: ErrorKind,
    message: String,
}

impl Refusal {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

fn text_of(name: &str, variable: Variable<'_>) -> Result<Option<String>, Refusal> {
    let text = variable(name).map(OsString::into_string).transpose();
    text.map_err(|_| Refusal::new(ErrorKind::InvalidUtf8, format!("environment variable {name} is not UTF-8")))
}
