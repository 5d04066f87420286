//! The options of the commands for developers.

mod run;

pub(super) use crate::cli::args::development::run::{RUN_EXAMPLES, RunArguments};
