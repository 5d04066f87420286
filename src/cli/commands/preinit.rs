//! `wagi preinit`: run the initializer of a module, and write the module after that.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use wagi::startup::ahead_of_time;

use crate::cli::files;
use crate::cli::terminal::print_message;

/// The options of `wagi preinit`.
pub struct PreinitCommand {
    pub file: PathBuf,
    pub output: PathBuf,
}

impl PreinitCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let module = files::read(&self.file)?;
        let preinitialized = ahead_of_time::preinitialize(&module);
        let preinitialized =
            preinitialized.with_context(|| format!("cannot preinitialize `{}`", self.file.display()))?;
        if !preinitialized.printed.is_empty() {
            print_message(format_args!("its initializer printed {:?}", preinitialized.printed));
        }
        files::write(&self.output, &preinitialized.module)
    }
}
