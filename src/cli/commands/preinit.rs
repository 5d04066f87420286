//! `wagi preinit`: what is a module once its initialiser has run?

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use wagi::startup::ahead;

use crate::cli::commands::files;
use crate::cli::commands::files::written;
use crate::cli::commands::say;

/// What to initialise, and where to.
pub struct Preinit {
    pub file: PathBuf,
    pub output: PathBuf,
}

impl Preinit {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let module = files::read(&self.file)?;
        let made = ahead::preinitialize(&module);
        let made = made.with_context(|| format!("cannot preinitialize `{}`", self.file.display()))?;
        if !made.printed.is_empty() {
            say(format_args!("its initialiser printed {:?}", made.printed));
        }
        written(&self.output, &made.module)
    }
}
