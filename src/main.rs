//! What happens between a command line and an exit code?
//!
//! Exit code 0 is for what was done, a server that was asked to stop among it; 1 for what could not be; 2 for a command line
//! that makes no sense.

mod cli;

use std::process::ExitCode;

use crate::cli::commands::say;

fn main() -> ExitCode {
    cli::args::parse().run().unwrap_or_else(|error| {
        report(&error);
        ExitCode::FAILURE
    })
}

fn report(error: &anyhow::Error) {
    say(format_args!("error: {error}"));
    for cause in error.chain().skip(1) {
        say(format_args!("  caused by: {cause}"));
    }
    if let Some(hint) = error.downcast_ref::<wagi::server::Error>().and_then(wagi::server::Error::hint) {
        say(format_args!("hint: {hint}"));
    }
}
