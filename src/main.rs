//! The program `wagi`: from a command line to an exit code.
//!
//! The exit code is 0 after success, also if a signal stopped the server; 1 after a failure; 2 if the command line is
//! not valid.

mod cli;

use std::process::ExitCode;

use crate::cli::terminal::print_message;

fn main() -> ExitCode {
    cli::args::parse().run().unwrap_or_else(|error| {
        print_error(&error);
        ExitCode::FAILURE
    })
}

fn print_error(error: &anyhow::Error) {
    print_message(format_args!("error: {error}"));
    for cause in error.chain().skip(1) {
        print_message(format_args!("  caused by: {cause}"));
    }
    if let Some(help) = error.downcast_ref::<wagi::server::Error>().and_then(wagi::server::Error::help) {
        print_message(format_args!("help: {help}"));
    }
}
