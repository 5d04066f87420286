//! The command line: `args` parses it into a command, `commands` run it.

pub mod args;
pub mod commands;
mod files;
mod inherited;
pub mod terminal;
