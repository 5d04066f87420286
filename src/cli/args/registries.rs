//! How are registries asked, and where are modules kept?
//!
//! Options that serving shares with the commands for registries.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use wagi::config::{PullPolicy, Registries};

use crate::cli::args::Variable;

/// What every command that needs modules from elsewhere takes.
#[derive(Args)]
pub(super) struct RegistryArguments {
    /// Keep modules of registries and bindles in this directory [default: wagi in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    module_cache: Option<PathBuf>,

    /// When registries are asked for a module
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = When::Always)]
    pull: When,

    #[command(flatten)]
    transport: TransportArguments,
}

/// What every command that speaks with registries takes.
#[derive(Args)]
pub(super) struct TransportArguments {
    /// Speak plain HTTP with this registry; may be repeated. Those on this machine need not be named
    #[arg(long, value_name = "HOST[:PORT]")]
    plain_http: Vec<String>,

    /// Certificates of authorities to believe when registries are asked, besides those of the system; PEM
    #[arg(long, value_name = "FILE")]
    registry_ca: Option<PathBuf>,
}

/// [`PullPolicy`] as it is written.
#[derive(Clone, Copy, ValueEnum)]
enum When {
    /// What a tag means now is asked at each start
    Always,
    /// What is in the cache is not asked for again
    IfNotPresent,
    /// Only what is in the cache is served
    Never,
}

impl RegistryArguments {
    /// Where modules are kept, named or not.
    pub fn module_cache(&self, variable: Variable<'_>) -> Option<PathBuf> {
        self.named_module_cache().or_else(|| user_cache(variable).map(|cache| cache.join("modules")))
    }

    /// Where the operator wants modules to be kept.
    pub fn named_module_cache(&self) -> Option<PathBuf> {
        self.module_cache.clone()
    }

    /// How registries are asked.
    pub fn registries(self, variable: Variable<'_>) -> Registries {
        let pull = match self.pull {
            When::Always => PullPolicy::Always,
            When::IfNotPresent => PullPolicy::IfNotPresent,
            When::Never => PullPolicy::Never,
        };
        Registries { pull, ..self.transport.registries(variable) }
    }
}

impl TransportArguments {
    /// How registries are asked.
    pub fn registries(self, variable: Variable<'_>) -> Registries {
        Registries {
            credentials: credentials(variable),
            plain_http: self.plain_http,
            ca_file: self.registry_ca,
            pull: PullPolicy::Always,
        }
    }
}

/// Where Docker and Podman keep what one logs in to registries with.
pub(super) fn credentials(variable: Variable<'_>) -> Vec<PathBuf> {
    let below = |name: &str, file: &str| variable(name).map(|directory| Path::new(&directory).join(file));
    let docker = below("DOCKER_CONFIG", "config.json").or_else(|| below("HOME", ".docker/config.json"));
    let podman = [below("XDG_RUNTIME_DIR", "containers/auth.json"), below("HOME", ".config/containers/auth.json")];
    docker.into_iter().chain(podman.into_iter().flatten()).collect()
}

/// The directory for caches of wagi that is the user's own. Relative paths in the variables count for nothing, as the XDG
/// Base Directory Specification wants it.
pub(super) fn user_cache(variable: Variable<'_>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    caches.map(|caches| caches.join("wagi"))
}
