//! The options of `wagi import`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::commands::import::ImportCommand;

/// What follows the options in the help.
pub const IMPORT_EXAMPLES: &str = "Examples:
  wagi import spin.toml
  wagi import --output - spin.toml
  wagi import --force app/";

/// The options of `wagi import`.
#[derive(Args)]
pub struct ImportArguments {
    /// The spin.toml, or the directory that it is in
    #[arg(value_name = "FILE|DIR")]
    manifest: PathBuf,
    /// The file to write, `-` for standard output [default: modules.toml beside the manifest]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

impl From<ImportArguments> for ImportCommand {
    fn from(arguments: ImportArguments) -> Self {
        let ImportArguments { manifest, output, force } = arguments;
        Self { manifest, output, force }
    }
}
