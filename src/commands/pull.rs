//! `wagi pull`: which modules are in the cache afterwards?

use std::path::PathBuf;
use std::process::ExitCode;

use wagi::config::Registries;

/// What to pull, and where to.
pub struct Pull {
    pub references: Vec<String>,
    pub module_cache: Option<PathBuf>,
    pub registries: Registries,
}

impl Pull {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        anyhow::bail!("not there yet: {} {:?} {:?}", self.references.len(), self.module_cache, self.registries)
    }
}
