//! Which commands are there besides serving, and what do they take?

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use wagi::config::ServerEnvironment;
use wagi::fetch::{self, Publication};

use crate::cli::commands::{Command, cache, compile, inspect, lock, login, preinit, pull, push};

use crate::cli::args::registries;
use crate::cli::args::registries::{RegistryArguments, TransportArguments};
use crate::cli::args::{Refusal, Variable};

/// A command.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Pull modules from registries into the module cache
    Pull {
        /// What to pull, [HOST[:PORT]/]NAME[:TAG][@DIGEST]
        #[arg(value_name = "REFERENCE", required = true)]
        references: Vec<String>,
        #[command(flatten)]
        registries: RegistryArguments,
    },
    /// Publish a module or component in a registry
    Push {
        /// The module or component, binary or text
        file: PathBuf,
        /// Where to: [HOST[:PORT]/]NAME[:TAG]
        reference: String,
        /// How it is laid out there
        #[arg(long, value_enum, default_value_t = Layout::Cncf)]
        layout: Layout,
        #[command(flatten)]
        registries: TransportArguments,
    },
    /// Show what a module is, imports and exports, and how it can be served
    Inspect {
        /// A file, or what is in a registry
        #[arg(value_name = "FILE|REFERENCE")]
        what: String,
        /// As one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        registries: RegistryArguments,
    },
    /// Keep name and password for a registry where Docker keeps them
    Login {
        /// HOST[:PORT]
        registry: String,
        /// The name; asked for without
        #[arg(short, long)]
        username: Option<String>,
        /// Read the password from the standard input
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        registries: TransportArguments,
    },
    /// Forget name and password for a registry
    Logout {
        /// HOST[:PORT]
        registry: String,
    },
    /// Write wagi.lock: what every reference of a modules.toml stands for now
    Lock {
        /// The modules.toml
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        registries: RegistryArguments,
    },
    /// Compile a module ahead of time, for `precompiled = true`
    Compile {
        /// The module, binary or text
        file: PathBuf,
        /// Where to [default: FILE with the ending .cwasm]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Let `wasm-opt -O3` improve the module first, if it is on the PATH
        #[arg(long)]
        optimize: bool,
    },
    /// Run a module's initialiser, and write the module as it is then
    Preinit {
        /// The module, binary or text
        file: PathBuf,
        /// Where to
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Look after the caches
    #[command(subcommand)]
    Cache(CacheVerb),
}

/// What can be done with the caches.
#[derive(Subcommand)]
pub(super) enum CacheVerb {
    /// Show what is in them, with sizes and ages
    List {
        #[command(flatten)]
        caches: CacheArguments,
    },
    /// Remove what has not been used for a while
    Prune {
        /// How long ago the last use has to be, such as 30d; 0s for any time
        #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = humantime::parse_duration)]
        unused_for: Duration,
        #[command(flatten)]
        caches: CacheArguments,
    },
}

/// Where the caches are.
#[derive(Args)]
pub(super) struct CacheArguments {
    /// The module cache [default: wagi/modules in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    module_cache: Option<PathBuf>,

    /// The configuration of the compilation cache [default: cache.toml, if there is one; else in the user's cache directory]
    #[arg(long, value_name = "FILE")]
    cache: Option<PathBuf>,
}

impl CacheArguments {
    fn whereabouts(self, variable: Variable<'_>) -> cache::Whereabouts {
        cache::Whereabouts {
            module_cache: self.module_cache,
            cache: self.cache,
            user_cache: registries::user_cache(variable),
        }
    }
}

/// [`fetch::Layout`] as it is written.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Layout {
    /// application/wasm, as the CNCF's Wasm working group has it
    Cncf,
    /// As wasm-to-oci did, for hosts of old
    Legacy,
}

impl Verb {
    pub fn command(self, variable: Variable<'_>) -> Result<Command, Refusal> {
        Ok(match self {
            Self::Pull { references, registries } => Command::Pull(pull::Pull {
                references,
                module_cache: registries.module_cache(variable),
                registries: registries.registries(variable),
            }),
            Self::Push { file, reference, layout, registries } => Command::Push(push::Push {
                publication: Publication {
                    file,
                    reference,
                    layout: match layout {
                        Layout::Cncf => fetch::Layout::Cncf,
                        Layout::Legacy => fetch::Layout::Legacy,
                    },
                },
                registries: registries.registries(variable),
            }),
            Self::Inspect { what, json, registries } => Command::Inspect(inspect::Inspect {
                what,
                json,
                module_cache: registries.module_cache(variable),
                registries: registries.registries(variable),
            }),
            Self::Login { registry, username, password_stdin, registries } => Command::Login(login::Login {
                registry,
                username,
                password_stdin,
                registries: registries.registries(variable),
            }),
            Self::Logout { registry } => {
                Command::Logout(login::Logout { registry, credentials: registries::credentials(variable) })
            }
            Self::Lock { config, registries } => Command::Lock(lock::Lock {
                config,
                module_cache: registries.module_cache(variable),
                registries: registries.registries(variable),
                server_environment: ServerEnvironment::default(),
            }),
            Self::Compile { file, output, optimize } => Command::Compile(compile::Compile { file, output, optimize }),
            Self::Preinit { file, output } => Command::Preinit(preinit::Preinit { file, output }),
            Self::Cache(CacheVerb::List { caches }) => Command::Cache(cache::Cache::List(caches.whereabouts(variable))),
            Self::Cache(CacheVerb::Prune { unused_for, caches }) => {
                Command::Cache(cache::Cache::Prune(caches.whereabouts(variable), unused_for))
            }
        })
    }
}
