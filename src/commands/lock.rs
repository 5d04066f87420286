//! `wagi lock`: what do the references of a modules.toml stand for now?

use std::path::PathBuf;
use std::process::ExitCode;

use wagi::config::Registries;

/// What to lock.
pub struct Lock {
    pub config: PathBuf,
    pub module_cache: Option<PathBuf>,
    pub registries: Registries,
}

impl Lock {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        anyhow::bail!("not there yet: {:?} {:?} {:?}", self.config, self.module_cache, self.registries)
    }
}
