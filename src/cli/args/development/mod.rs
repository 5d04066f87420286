//! The options of the commands for developers.

mod dev;
mod import;
mod run;

use std::path::PathBuf;

use wagi::config::ServerEnvironment;

use crate::cli::args::Variable;
use crate::cli::args::registries::{RegistryArguments, user_cache};
use crate::cli::commands::run::target::TargetOptions;

pub(super) use crate::cli::args::development::dev::{DEV_EXAMPLES, DevArguments};
pub(super) use crate::cli::args::development::import::{IMPORT_EXAMPLES, ImportArguments};
pub(super) use crate::cli::args::development::run::{RUN_EXAMPLES, RunArguments};

/// What the guests of a target get.
struct GuestVariables {
    env: Vec<(String, String)>,
    env_files: Vec<PathBuf>,
}

/// A target with what belongs to it. `parse` adds what is known only of this process.
fn target_options(
    target: PathBuf,
    variables: GuestVariables,
    registries: RegistryArguments,
    variable: Variable<'_>,
) -> TargetOptions {
    let GuestVariables { env, env_files } = variables;
    TargetOptions {
        target,
        env,
        env_files,
        module_cache: registries.chosen_module_cache(),
        user_cache: user_cache(variable),
        registries: registries.registries(variable),
        compiler: None,
        server_environment: ServerEnvironment::default(),
    }
}
