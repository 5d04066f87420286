//! `wagi inspect`: what is a module, and how can it be served?

use std::path::PathBuf;
use std::process::ExitCode;

use wagi::config::Registries;

/// What to look at.
pub struct Inspect {
    pub what: String,
    pub json: bool,
    pub module_cache: Option<PathBuf>,
    pub registries: Registries,
}

impl Inspect {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        anyhow::bail!("not there yet: {:?} {:?} {:?} {:?}", self.what, self.json, self.module_cache, self.registries)
    }
}
