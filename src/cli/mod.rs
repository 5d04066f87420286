//! The command line: which command was asked for, with which options, and what each command does.

pub mod args;
pub mod commands;
mod terminal;
