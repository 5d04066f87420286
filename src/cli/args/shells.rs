//! What shells and `man` know of the command line: completion scripts and manual pages.
//!
//! Packages install both from `packaging/`. Tests compare the files there with the command line;
//! `WAGI_BLESS=1 cargo test shells` writes them anew.

use clap::{Args as _, Command, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::args::CommandLine;
use crate::cli::args::serve::ServeArguments;

/// Returns the script that completes the command line in `shell`.
pub(super) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut offered(), "wagi", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The command line without the subcommands that people do not type. Scripts would offer them.
fn offered() -> Command {
    let whole = CommandLine::command();
    // Scripts offer the option for the version, and do not show which it is.
    let server = Command::new("wagi").version("any").disable_help_subcommand(true);
    let subcommands = whole.get_subcommands().filter(|subcommand| !subcommand.is_hide_set());
    ServeArguments::augment_args(server).subcommands(subcommands.cloned())
}
