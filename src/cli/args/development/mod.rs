//! The options of the commands for developers.

mod dev;
mod import;
mod run;

pub(super) use crate::cli::args::development::dev::{DEV_EXAMPLES, DevArguments};
pub(super) use crate::cli::args::development::import::{IMPORT_EXAMPLES, ImportArguments};
pub(super) use crate::cli::args::development::run::{RUN_EXAMPLES, RunArguments};
