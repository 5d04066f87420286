//! `wagi lock`: write the lock file of a modules.toml.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use wagi::config::{Config, LOCK_FILE, LockPolicy, Options, Registries, ServerEnvironment, Source};
use wagi::counted;
use wagi::fetch;

use crate::cli::terminal::progress::Bars;
use crate::cli::terminal::{print_message, print_problems};

/// The options of `wagi lock`.
pub struct LockCommand {
    pub config: PathBuf,
    pub module_cache: Option<PathBuf>,
    pub registries: Registries,
    pub server_environment: ServerEnvironment,
}

impl LockCommand {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let mut options = Options::new(Source::Manifest(self.config.clone()));
        options.module_cache = self.module_cache;
        options.registries = self.registries;
        options.server_environment = self.server_environment;
        options.lock = LockPolicy::Ignore;
        let (config, mut problems) = Config::load(&options);
        let lock = fetch::make_lock(config, &mut problems, Bars::on_stderr().progress()).await;
        print_problems(&problems);
        let Some(lock) = lock else { return Ok(ExitCode::FAILURE) };
        let path = self.config.with_file_name(LOCK_FILE);
        let shown = path.display();
        let is_new = fetch::write_lock(&path, &lock).with_context(|| format!("cannot write `{shown}`"))?;
        let modules = counted(lock.modules.len(), "module", "modules");
        match is_new {
            true => print_message(format_args!("{shown}: {modules} written")),
            false => print_message(format_args!("{shown}: nothing has changed")),
        }
        Ok(ExitCode::SUCCESS)
    }
}
