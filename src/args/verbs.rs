//! Which commands are there besides serving, and what do they take?

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use crate::commands::{Command, cache, compile, inspect, lock, login, preinit, pull, push};

use super::registries::{self, RegistryArguments};
use super::{Refusal, Variable};

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
        /// The module or component
        file: PathBuf,
        /// Where to: HOST[:PORT]/NAME[:TAG]
        reference: String,
        /// How it is laid out there
        #[arg(long, value_enum, default_value_t = Layout::Cncf)]
        layout: Layout,
        #[command(flatten)]
        registries: RegistryArguments,
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
        registries: RegistryArguments,
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
        /// The module cache [default: wagi in the user's cache directory]
        #[arg(long, value_name = "DIR")]
        module_cache: Option<PathBuf>,
    },
    /// Remove what has not been used for a while
    Prune {
        /// The module cache [default: wagi in the user's cache directory]
        #[arg(long, value_name = "DIR")]
        module_cache: Option<PathBuf>,
        /// How long ago the last use has to be, such as 30d
        #[arg(long, value_name = "DURATION", default_value = "30d")]
        unused_for: String,
    },
}

/// [`push::Layout`] as it is written.
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
                file,
                reference,
                layout: match layout {
                    Layout::Cncf => push::Layout::Cncf,
                    Layout::Legacy => push::Layout::Legacy,
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
            }),
            Self::Compile { file, output, optimize } => Command::Compile(compile::Compile { file, output, optimize }),
            Self::Preinit { file, output } => Command::Preinit(preinit::Preinit { file, output }),
            Self::Cache(CacheVerb::List { module_cache }) => Command::Cache(cache::Cache::List { module_cache }),
            Self::Cache(CacheVerb::Prune { module_cache, unused_for }) => {
                Command::Cache(cache::Cache::Prune { module_cache, unused_for })
            }
        })
    }
}
