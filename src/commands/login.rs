//! `wagi login` and `wagi logout`: which name and password does a registry get?

use std::path::PathBuf;
use std::process::ExitCode;

use wagi::config::Registries;

/// Whom to log in where.
pub struct Login {
    pub registry: String,
    pub username: Option<String>,
    pub password_stdin: bool,
    pub registries: Registries,
}

impl Login {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        anyhow::bail!(
            "not there yet: {:?} {:?} {:?} {:?}",
            self.registry,
            self.username,
            self.password_stdin,
            self.registries
        )
    }
}

/// Where not to be logged in any more.
pub struct Logout {
    pub registry: String,
    pub credentials: Vec<PathBuf>,
}

impl Logout {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        anyhow::bail!("not there yet: {:?} {:?}", self.registry, self.credentials)
    }
}
