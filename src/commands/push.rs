//! `wagi push`: how does a module get into a registry?

use std::path::PathBuf;
use std::process::ExitCode;

use wagi::config::Registries;

/// How an artifact is laid out.
#[derive(Clone, Copy, Debug)]
pub enum Layout {
    Cncf,
    Legacy,
}

/// What to push, and where to.
pub struct Push {
    pub file: PathBuf,
    pub reference: String,
    pub layout: Layout,
    pub registries: Registries,
}

impl Push {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        anyhow::bail!("not there yet: {:?} {:?} {:?} {:?}", self.file, self.reference, self.layout, self.registries)
    }
}
