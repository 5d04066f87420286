//! The form of the output, for all commands whose result is text or JSON.

use clap::ValueEnum;

use crate::cli::terminal::OutputFormat;

/// [`OutputFormat`] as an argument.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum FormatArgument {
    /// Text for people
    Text,
    /// One JSON document
    Json,
}

impl From<FormatArgument> for OutputFormat {
    fn from(format: FormatArgument) -> Self {
        match format {
            FormatArgument::Text => Self::Text,
            FormatArgument::Json => Self::Json,
        }
    }
}
