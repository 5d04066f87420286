//! `wagi compile`: what does a start not have to compile?

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use wagi::startup::ahead;

use crate::cli::commands::files;
use crate::cli::commands::files::written;
use crate::cli::commands::optimize::optimized;

/// What to compile, and where to.
pub struct Compile {
    pub file: PathBuf,
    pub output: Option<PathBuf>,
    pub optimize: bool,
}

impl Compile {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let module = files::read(&self.file)?;
        let module = if self.optimize { optimized(module)? } else { module };
        let code = ahead::compile(&module).with_context(|| format!("cannot compile `{}`", self.file.display()))?;
        written(&self.output.unwrap_or_else(|| self.file.with_extension("cwasm")), &code)
    }
}
