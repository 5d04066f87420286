//! From a command line to a [`Command`].
//!
//! The only room that uses clap. `main` calls [`parse`]; tests call [`parse_from`] with an environment of their own.
//! Usage errors are printed by clap, with exit code 2.
//!
//! | file | contents |
//! | --- | --- |
//! | `cgi` | which words of `wagi cgi` are of the operator |
//! | `checks` | the options of the commands that check |
//! | `format` | the form of the output |
//! | `serve` | the options of the server |
//! | `new` | the options of `wagi new` |
//! | `registries` | the options for registries, credentials and caches |
//! | `development` | the options of the commands for developers |
//! | `mistakes` | what to type instead of the words of other programs |
//! | `subcommands` | the subcommands and their options |
//! | `shells` | completion scripts and manual pages |

mod cgi;
mod checks;
mod development;
mod format;
mod mistakes;
mod new;
mod registries;
mod serve;
mod shells;
#[cfg(test)]
mod shells_tests;
mod subcommands;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use wagi::config::{Options, ServerEnvironment};
use wagi::printable;

use crate::cli::args::serve::ServeArguments;
use crate::cli::args::subcommands::Subcommand;
use crate::cli::commands::Command;
use crate::cli::terminal::print_usage_error;

/// What follows the options in the help.
const AFTER_HELP: &str = "Example: wagi --config modules.toml --listen 127.0.0.1:3000

Exit codes:
  0  a signal stopped the server, or the command did what it was asked
  1  the server could not start or go on, or the command failed; standard error says why
  2  the command line is not valid";

/// Serve WebAssembly modules and components over HTTP
///
/// Give one of a module, --config and --bindle. Without them, the modules.toml of the directory is served.
#[derive(Parser)]
#[command(name = "wagi", display_name = "WAGI Server", version, max_term_width = 100)]
#[command(after_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct CommandLine {
    #[command(flatten)]
    serve: ServeArguments,

    #[command(subcommand)]
    subcommand: Option<Subcommand>,
}

/// Parses the command line of the process. Ends the process after a usage error, `--help` or `--version`.
pub fn parse() -> Command {
    let variable = |name: &str| std::env::var_os(name);
    let mut command = parse_from(std::env::args_os(), variable).unwrap_or_else(|error| exit(&error));
    match &mut command {
        Command::Serve(options) => {
            options.server_environment = ServerEnvironment::new(variable);
            options.compiler = own_executable();
        }
        Command::Dev(dev) => {
            dev.target.server_environment = ServerEnvironment::new(variable);
            dev.target.compiler = own_executable();
        }
        Command::Check(check) => {
            check.options.server_environment = ServerEnvironment::new(variable);
            check.options.compiler = own_executable();
        }
        Command::Routes(routes) => {
            routes.options.server_environment = ServerEnvironment::new(variable);
            routes.options.compiler = own_executable();
        }
        Command::Run(run) => {
            run.target.server_environment = ServerEnvironment::new(variable);
            run.target.compiler = own_executable();
        }
        Command::Cgi(cgi) => cgi.variables = std::env::vars_os().collect(),
        Command::Inspect(inspect) => inspect.server_environment = ServerEnvironment::new(variable),
        Command::Lock(lock) => lock.server_environment = ServerEnvironment::new(variable),
        _ => {}
    }
    command
}

/// The executable of this process. On Linux by a name that stands for it also after another version was installed.
fn own_executable() -> Option<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() { Some(own.to_owned()) } else { std::env::current_exe().ok() }
}

/// Prints a usage error, the help or the version, and ends the process. clap quotes the arguments: it is asked again with arguments
/// that are safe to show, as it changes what it quotes.
fn exit(error: &clap::Error) -> ! {
    let arguments: Vec<String> = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let escaped: Vec<String> = arguments.iter().map(|argument| printable::line(argument).into_owned()).collect();
    if escaped == arguments {
        error.exit();
    }
    match parse_from(escaped, |name| std::env::var_os(name)) {
        Err(same) => same.exit(),
        Ok(_) => print_usage_error(&printable::line(&error.to_string())),
    }
    std::process::exit(error.exit_code())
}

/// Parses `arguments`, the first of which is the program. `variable` looks up environment variables.
///
/// An option takes precedence over its environment variable. An empty environment variable counts as not set.
pub fn parse_from<A>(
    arguments: impl IntoIterator<Item = A>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, clap::Error>
where
    A: Into<OsString> + Clone,
{
    let arguments = cgi::of_the_operator(arguments.into_iter().map(Into::into).collect());
    let mut command = CommandLine::command();
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let matches = command.try_get_matches_from_mut(arguments).map_err(|error| understood(error, &words))?;
    let parsed = CommandLine::from_arg_matches(&matches)?;
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let result = match parsed.subcommand {
        Some(subcommand) => subcommand.command(&variable),
        None => parsed.serve.options(&variable).map(|options: Options| Command::Serve(Box::new(options))),
    };
    result.map_err(|error| {
        let message = format!("{}{}", printable::line(&error.message), error.examples);
        understood(command.error(error.kind, message), &words)
    })
}

/// A usage error with what to type instead, if that is known; otherwise the error itself.
fn understood(error: clap::Error, words: &[String]) -> clap::Error {
    match mistakes::cure(words) {
        Some(cure) if error.use_stderr() => CommandLine::command().error(error.kind(), printable::line(&cure)),
        _ => error,
    }
}

/// An invalid combination or value of options.
struct UsageError {
    kind: ErrorKind,
    message: String,
    /// Lines behind the message.
    examples: String,
}

impl UsageError {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), examples: String::new() }
    }

    /// The same with what to type, one command a line.
    fn with_examples(self, examples: &[(&str, &str)]) -> Self {
        let lines = examples.iter().map(|(command, meaning)| format!("\n  {command:<20}{meaning}"));
        Self { examples: lines.collect(), ..self }
    }
}

/// Looks up an environment variable by its name.
type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Returns an environment variable as text.
fn text_variable(name: &str, variable: Variable<'_>) -> Result<Option<String>, UsageError> {
    let text = variable(name).map(OsString::into_string).transpose();
    text.map_err(|_| UsageError::new(ErrorKind::InvalidUtf8, format!("environment variable {name} is not UTF-8")))
}
