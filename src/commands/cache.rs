//! `wagi cache`: what is in the caches, and what of it can go?

use std::path::PathBuf;
use std::process::ExitCode;

/// What to do with the caches.
pub enum Cache {
    List { module_cache: Option<PathBuf> },
    Prune { module_cache: Option<PathBuf>, unused_for: String },
}

impl Cache {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { module_cache } => anyhow::bail!("not there yet: {module_cache:?}"),
            Self::Prune { module_cache, unused_for } => anyhow::bail!("not there yet: {module_cache:?} {unused_for:?}"),
        }
    }
}
