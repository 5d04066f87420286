//! The program `wagi`: from a command line to an exit code.
//!
//! The exit code is 0 after success, also if a signal stopped the server; 1 after a failure; 2 if the command line is
//! not valid.

mod cli;

use std::process::ExitCode;

use crate::cli::terminal::{print_error, print_message};

fn main() -> ExitCode {
    cli::args::parse().run().unwrap_or_else(|error| {
        print_error(&error);
        let of_server = error.downcast_ref::<wagi::server::Error>().and_then(wagi::server::Error::help);
        if let Some(help) = of_server.or_else(|| error.chain().find_map(wagi::startup::help)) {
            print_message(format_args!("help: {help}"));
        }
        ExitCode::FAILURE
    })
}
