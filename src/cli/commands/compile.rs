//! `wagi compile`: compile a module ahead of time.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use wagi::startup::ahead_of_time;

use crate::cli::commands::optimize::optimize;
use crate::cli::files;

/// The options of `wagi compile`.
pub struct CompileCommand {
    pub file: PathBuf,
    pub output: Option<PathBuf>,
    pub optimize: bool,
}

impl CompileCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let module = files::read(&self.file)?;
        let module = if self.optimize { optimize(module)? } else { module };
        let code =
            ahead_of_time::compile(&module).with_context(|| format!("cannot compile `{}`", self.file.display()))?;
        files::write(&self.output.unwrap_or_else(|| self.file.with_extension("cwasm")), &code)
    }
}
