//! The subcommands and their options.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

use wagi::config::{AccessLogTarget, ServerEnvironment};
use wagi::fetch::{self, Publication};
use wagi::startup::ahead_of_time;

use crate::cli::args::UsageError;
use crate::cli::commands::{Command, admin, cache, cgi, compile, compiler, lock, login, preinit, pull, push};

use crate::cli::args::Variable;
use crate::cli::args::checks::CheckSubcommand;
use crate::cli::args::development::{
    DEV_EXAMPLES, DevArguments, IMPORT_EXAMPLES, ImportArguments, RUN_EXAMPLES, RunArguments,
};
use crate::cli::args::format::FormatArgument;
use crate::cli::args::new::{NEW_EXAMPLES, NewArguments};
use crate::cli::args::registries::{self, INSPECT_EXAMPLES, InspectArguments, RegistryArguments, TransportArguments};
use crate::cli::args::serve::{SERVE_EXAMPLES, ServeArguments, variable};
use crate::cli::args::shells;

/// What follows the options of `wagi completions` in the help.
const COMPLETIONS_EXAMPLES: &str = "Examples:
  wagi completions bash > ~/.local/share/bash-completion/completions/wagi
  wagi completions zsh > ~/.zfunc/_wagi
  wagi completions fish > ~/.config/fish/completions/wagi.fish";

/// A subcommand.
#[derive(clap::Subcommand)]
pub(super) enum Subcommand {
    /// Serve modules and components: what wagi does without a command
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(Box<ServeArguments>),
    /// Begin a project: a program, its modules.toml and a test
    #[command(after_help = NEW_EXAMPLES)]
    New(NewArguments),
    /// Pull modules from registries into the module cache
    #[command(after_help = "Example: wagi pull ghcr.io/example/hello:1.0.0")]
    Pull {
        /// The artifacts, [HOST[:PORT]/]NAME[:TAG][@DIGEST]
        #[arg(value_name = "REFERENCE", required = true)]
        references: Vec<String>,
        #[command(flatten)]
        registries: RegistryArguments,
    },
    /// Publish a module or component in a registry
    #[command(after_help = "Example: wagi push hello.wasm ghcr.io/example/hello:1.0.0")]
    Push {
        /// The module or component, binary or text
        file: PathBuf,
        /// The reference to publish it under, [HOST[:PORT]/]NAME[:TAG]
        reference: String,
        /// The layout of the artifact
        #[arg(long, value_enum, default_value_t = LayoutArgument::Cncf)]
        layout: LayoutArgument,
        /// Sign it with the private key in this file, and attach the signature
        #[arg(long, value_name = "FILE")]
        sign_key: Option<PathBuf>,
        #[command(flatten)]
        registries: TransportArguments,
    },
    /// Show the kind, the imports and the exports of a module, and whether wagi can serve it
    #[command(after_help = INSPECT_EXAMPLES)]
    Inspect(Box<InspectArguments>),
    /// Save the name and password for a registry, where Docker saves them
    #[command(after_help = "Example: wagi login ghcr.io --username me")]
    Login {
        /// The registry, HOST[:PORT]
        registry: String,
        /// The user name [default: wagi asks for it]
        #[arg(short, long)]
        username: Option<String>,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        registries: TransportArguments,
    },
    /// Remove the saved name and password for a registry
    #[command(after_help = "Example: wagi logout ghcr.io")]
    Logout {
        /// The registry, HOST[:PORT]
        registry: String,
    },
    /// Write wagi.lock: the digests of the modules that the references of a modules.toml name now
    #[command(after_help = "Example: wagi lock --config modules.toml")]
    Lock {
        /// The modules.toml
        #[arg(short, long, value_name = "FILE")]
        config: PathBuf,
        #[command(flatten)]
        registries: RegistryArguments,
    },
    /// Write a modules.toml from the manifest of a Spin application, and say what could not be taken along
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportArguments),
    /// Compile a module ahead of time, for `precompiled = true`
    #[command(after_help = "Example: wagi compile hello.wasm --output hello.cwasm")]
    Compile {
        /// The module, binary or text
        file: PathBuf,
        /// The file to write [default: FILE with the extension .cwasm]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Optimize the module with `wasm-opt -O3` first, if it is on the PATH
        #[arg(long)]
        optimize: bool,
    },
    /// Run the initializer of a module, and write the module as it is after that
    #[command(after_help = "Example: wagi preinit app.wasm --output app-ready.wasm")]
    Preinit {
        /// The module, binary or text
        file: PathBuf,
        /// The file to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Serve while you write: build, reload and show what is wrong when something changes
    #[command(after_help = DEV_EXAMPLES)]
    Dev(Box<DevArguments>),
    /// Send one request to a program, without a server, and print the response
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArguments>),
    /// Run a module as a CGI program of another web server
    ///
    /// Words after the file are ignored: under CGI a client chooses them.
    #[command(after_help = "Example: wagi cgi --cache /var/cache/wagi hello.wasm")]
    Cgi {
        /// The module or component
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The directory for compiled code, or a configuration of the code cache [default: .wagi-cache beside FILE]
        #[arg(long, value_name = "DIR|FILE")]
        cache: Option<PathBuf>,
        /// Whether a line about the request goes to standard error
        #[arg(long, value_name = "on|off", default_value = "on", value_parser = access_lines)]
        access_log: AccessLogTarget,
        /// A variable for the module
        #[arg(short, long, value_name = "NAME=VALUE", value_parser = variable)]
        env: Vec<(String, String)>,
        /// A file with variables for the module
        #[arg(long, value_name = "FILE")]
        env_file: Vec<PathBuf>,
    },
    /// Compile a module for a server
    #[command(name = ahead_of_time::COMPILER_COMMAND, hide = true)]
    Compiler {
        /// The limit on memory, in bytes
        memory: u64,
        /// The engine that the code is for
        #[arg(default_value = "guests")]
        target: ahead_of_time::CompilerTarget,
    },
    /// List and prune the caches
    #[command(after_help = "Example: wagi cache prune --unused-for 30d")]
    #[command(subcommand)]
    Cache(CacheSubcommand),
    /// Ask a running server whether it is ready: exit code 0 if it is, 1 if not
    #[command(after_help = "Example: wagi health --admin 127.0.0.1:9901")]
    Health {
        /// The address of its admin listener: IP:PORT, unix:PATH
        #[arg(long, value_name = "ADDR", default_value = admin::DEFAULT_ADDRESS)]
        admin: String,
    },
    /// Ask a running server what it does, and let it reload or end a request
    #[command(after_help = "Example: wagi admin status --watch")]
    #[command(subcommand)]
    Admin(AdminSubcommand),
    #[command(flatten)]
    Checks(CheckSubcommand),
    /// Print the script that completes command lines of wagi in a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the version, that of the engine, and for which system wagi was built
    #[command(after_help = "Example: wagi version --format json")]
    Version {
        /// The form of the output
        #[arg(long, value_name = "FORM", value_enum, default_value_t = FormatArgument::Text)]
        format: FormatArgument,
    },
}

/// A subcommand of `wagi admin`.
#[derive(clap::Subcommand)]
pub(super) enum AdminSubcommand {
    /// Show the state of the server, and its routes with their numbers
    Status {
        /// Show it anew each second
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        listener: AdminArguments,
    },
    /// List the requests in flight, and the last that have failed
    Requests {
        /// Show them anew each second
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        listener: AdminArguments,
    },
    /// Reload the configuration, and say what came of it
    Reload {
        #[command(flatten)]
        listener: AdminArguments,
    },
    /// End a request
    Cancel {
        /// The id of the request, as `requests` lists it
        id: String,
        #[command(flatten)]
        listener: AdminArguments,
    },
}

/// How the admin listener is asked.
#[derive(Args)]
pub(super) struct AdminArguments {
    /// The address of the admin listener: IP:PORT, unix:PATH
    #[arg(long, value_name = "ADDR", default_value = admin::DEFAULT_ADDRESS)]
    admin: String,

    /// The file with the token that the admin listener needs
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// The form of the output [default: table on a terminal, else json]
    #[arg(long, value_name = "FORM", value_enum)]
    format: Option<TableFormatArgument>,
}

/// [`admin::TableFormat`] as an argument.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum TableFormatArgument {
    /// A table for people
    Table,
    /// One line of JSON
    Json,
}

impl AdminSubcommand {
    fn command(self) -> admin::AdminCommand {
        let (action, watch, listener) = match self {
            Self::Status { watch, listener } => (admin::AdminAction::Status, watch, listener),
            Self::Requests { watch, listener } => (admin::AdminAction::Requests, watch, listener),
            Self::Reload { listener } => (admin::AdminAction::Reload, false, listener),
            Self::Cancel { id, listener } => (admin::AdminAction::Cancel(id), false, listener),
        };
        let format = listener.format.map(|format| match format {
            TableFormatArgument::Table => admin::TableFormat::Table,
            TableFormatArgument::Json => admin::TableFormat::Json,
        });
        let (address, token_file) = (listener.admin, listener.token_file);
        admin::AdminCommand { action, address, token_file, format, watch }
    }
}

/// A subcommand of `wagi cache`.
#[derive(clap::Subcommand)]
pub(super) enum CacheSubcommand {
    /// List the entries of the caches, with sizes and ages
    List {
        #[command(flatten)]
        caches: CacheArguments,
    },
    /// Remove entries that were not used for a time
    Prune {
        /// The time since the last use, such as 30d; 0s removes all entries
        #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = humantime::parse_duration)]
        unused_for: Duration,
        #[command(flatten)]
        caches: CacheArguments,
    },
}

/// The locations of the caches.
#[derive(Args)]
pub(super) struct CacheArguments {
    /// The directory of the module cache [default: wagi/modules in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    module_cache: Option<PathBuf>,

    /// The configuration of the code cache [default: cache.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    cache: Option<PathBuf>,
}

impl CacheArguments {
    fn locations(self, variable: Variable<'_>) -> cache::CacheLocations {
        cache::CacheLocations {
            module_cache: self.module_cache,
            cache: self.cache,
            user_cache: registries::user_cache(variable),
        }
    }
}

/// [`fetch::Layout`] as an argument.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum LayoutArgument {
    /// The layout of the CNCF's Wasm working group, with the media type application/wasm
    Cncf,
    /// The layout of wasm-to-oci, for old hosts
    Legacy,
}

impl From<LayoutArgument> for fetch::Layout {
    fn from(layout: LayoutArgument) -> Self {
        match layout {
            LayoutArgument::Cncf => Self::Cncf,
            LayoutArgument::Legacy => Self::Legacy,
        }
    }
}

fn access_lines(text: &str) -> Result<AccessLogTarget, &'static str> {
    match text {
        "on" => Ok(AccessLogTarget::StandardError),
        "off" => Ok(AccessLogTarget::Nowhere),
        _ => Err("`on` or `off` is expected"),
    }
}

impl Subcommand {
    /// Returns the command with all its options.
    pub fn command(self, variable: Variable<'_>) -> Result<Command, UsageError> {
        Ok(match self {
            Self::New(arguments) => Command::New(arguments.command()),
            Self::Serve(arguments) => Command::Serve(Box::new(arguments.options(variable)?)),
            Self::Pull { references, registries } => pull(references, registries, variable),
            Self::Push { file, reference, layout, sign_key, registries } => Command::Push(push::PushCommand {
                publication: Publication { file, reference, layout: layout.into(), sign_key },
                registries: registries.registries(variable),
            }),
            Self::Inspect(arguments) => Command::Inspect(arguments.command(variable)?),
            Self::Login { registry, username, password_stdin, registries } => Command::Login(login::LoginCommand {
                registry,
                username,
                password_stdin,
                registries: registries.registries(variable),
            }),
            Self::Logout { registry } => {
                Command::Logout(login::LogoutCommand { registry, credentials: registries::credentials(variable) })
            }
            Self::Lock { config, registries } => Command::Lock(lock::LockCommand {
                config,
                module_cache: registries.module_cache(variable),
                registries: registries.registries(variable),
                server_environment: ServerEnvironment::default(),
            }),
            Self::Compile { file, output, optimize } => {
                Command::Compile(compile::CompileCommand { file, output, optimize })
            }
            Self::Import(arguments) => Command::Import(arguments.into()),
            Self::Cgi { file, cache, access_log, env, env_file } => {
                let variables = Vec::new();
                Command::Cgi(cgi::CgiCommand { file, cache, access_log, env, env_files: env_file, variables })
            }
            Self::Dev(arguments) => Command::Dev(Box::new(arguments.command(variable))),
            Self::Run(arguments) => Command::Run(Box::new(arguments.command(variable))),
            Self::Compiler { memory, target } => Command::Compiler(compiler::CompilerCommand { memory, target }),
            Self::Preinit { file, output } => Command::Preinit(preinit::PreinitCommand { file, output }),
            Self::Cache(subcommand) => Command::Cache(subcommand.command(variable)),
            Self::Health { admin } => Command::Health(admin::HealthCommand { address: admin }),
            Self::Admin(subcommand) => Command::Admin(subcommand.command()),
            Self::Checks(subcommand) => subcommand.command(variable)?,
            Self::Completions { shell } => Command::Completions(shells::completions(shell)),
            Self::Version { format } => Command::Version(format.into()),
        })
    }
}

fn pull(references: Vec<String>, registries: RegistryArguments, variable: Variable<'_>) -> Command {
    let module_cache = registries.module_cache(variable);
    Command::Pull(pull::PullCommand { references, module_cache, registries: registries.registries(variable) })
}

impl CacheSubcommand {
    fn command(self, variable: Variable<'_>) -> cache::CacheCommand {
        match self {
            Self::List { caches } => cache::CacheCommand::List(caches.locations(variable)),
            Self::Prune { unused_for, caches } => cache::CacheCommand::Prune(caches.locations(variable), unused_for),
        }
    }
}
