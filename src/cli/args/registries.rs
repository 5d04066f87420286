//! Options for registries and the module cache, shared by the server and the commands for registries.

use std::path::{Path, PathBuf};

use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{Args, ValueEnum};

use wagi::config::{PullPolicy, Registries, ServerEnvironment, TrustedSigners};

use crate::cli::args::{UsageError, Variable};
use crate::cli::commands::inspect::{InspectCommand, SignaturePolicy};
use crate::cli::terminal::OutputFormat;

/// What follows the options of `wagi inspect` in the help.
pub(super) const INSPECT_EXAMPLES: &str = "Examples:
  wagi inspect hello.wasm
  wagi inspect ghcr.io/example/hello:1.0.0 --verify-key cosign.pub

Exit codes:
  0  it is shown
  1  it cannot be read, or the signature is not the one that is wanted
  2  the command line is not valid";

/// The options of every command that pulls modules.
#[derive(Args)]
pub(super) struct RegistryArguments {
    /// The directory for modules from registries and bindles [default: wagi/modules in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    module_cache: Option<PathBuf>,

    /// When to ask registries for a module
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = PullArgument::Always)]
    pull: PullArgument,

    #[command(flatten)]
    transport: TransportArguments,
}

/// The options of every command that accesses registries.
#[derive(Args)]
pub(super) struct TransportArguments {
    /// Use plain HTTP with this registry, may be repeated; always used with registries on this machine
    #[arg(long, value_name = "HOST[:PORT]")]
    plain_http: Vec<String>,

    /// PEM certificates to trust for registries, besides those of the system
    #[arg(long, value_name = "FILE")]
    registry_ca: Option<PathBuf>,
}

/// The options of `wagi inspect`.
#[derive(Args)]
pub(super) struct InspectArguments {
    /// A file, or a reference to an artifact in a registry
    #[arg(value_name = "FILE|REFERENCE")]
    source: String,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    verify: VerifyArguments,

    #[command(flatten)]
    registries: RegistryArguments,
}

impl InspectArguments {
    /// Returns the command.
    pub fn command(self, variable: Variable<'_>) -> Result<InspectCommand, UsageError> {
        Ok(InspectCommand {
            source: self.source,
            format: if self.json { OutputFormat::Json } else { OutputFormat::Text },
            policy: self.verify.policy()?,
            module_cache: self.registries.module_cache(variable),
            registries: self.registries.registries(variable),
            server_environment: ServerEnvironment::default(),
        })
    }
}

/// Whose signature is verified.
#[derive(Args)]
struct VerifyArguments {
    /// Verify that the owner of this public key has signed it; of several, one is enough
    #[arg(long, value_name = "FILE", conflicts_with = "verify_identity")]
    verify_key: Vec<PathBuf>,

    /// Verify that someone with this identity has signed it; a * in it stands for any part
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), requires_all = ["verify_issuer", "trusted_root"])]
    verify_identity: Option<String>,

    /// Who has to have told the authority who it is
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new(), requires = "verify_identity")]
    verify_issuer: Option<String>,

    /// The trusted root of Sigstore: authorities, logs and clocks
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,

    /// Verify what this modules.toml wants of it
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["verify_key", "verify_identity", "trusted_root"])]
    config: Option<PathBuf>,
}

impl VerifyArguments {
    /// Returns where it is written whose signature is wanted.
    fn policy(self) -> Result<SignaturePolicy, UsageError> {
        let Self { verify_key: files, verify_identity, verify_issuer, trusted_root, config } = self;
        let policy = match (verify_identity, verify_issuer, trusted_root) {
            (Some(identity), Some(issuer), Some(trusted_root)) => {
                SignaturePolicy::Signers(TrustedSigners::Identity { identity, issuer, trusted_root })
            }
            (_, _, trusted_root) if !files.is_empty() => {
                SignaturePolicy::Signers(TrustedSigners::Keys { files, trusted_root })
            }
            (_, _, None) => config.map_or(SignaturePolicy::None, SignaturePolicy::Manifest),
            (_, _, Some(_)) => {
                let message =
                    "--trusted-root needs --verify-key FILE, or --verify-identity NAME and --verify-issuer URL";
                return Err(UsageError::new(ErrorKind::MissingRequiredArgument, message));
            }
        };
        Ok(policy)
    }
}

/// [`PullPolicy`] as an argument.
#[derive(Clone, Copy, ValueEnum)]
enum PullArgument {
    /// Ask at each start which module a tag names now
    Always,
    /// Ask only for modules that the cache does not have
    IfNotPresent,
    /// Do not ask: use only the cache
    Never,
}

impl RegistryArguments {
    /// Returns the directory for modules: that of the operator, or the default.
    pub fn module_cache(&self, variable: Variable<'_>) -> Option<PathBuf> {
        self.chosen_module_cache().or_else(|| user_cache(variable).map(|cache| cache.join("modules")))
    }

    /// Returns the directory for modules that the operator chose.
    pub fn chosen_module_cache(&self) -> Option<PathBuf> {
        self.module_cache.clone()
    }

    /// Returns how to access registries.
    pub fn registries(self, variable: Variable<'_>) -> Registries {
        let pull = match self.pull {
            PullArgument::Always => PullPolicy::Always,
            PullArgument::IfNotPresent => PullPolicy::IfNotPresent,
            PullArgument::Never => PullPolicy::Never,
        };
        Registries { pull, ..self.transport.registries(variable) }
    }
}

impl TransportArguments {
    /// Returns how to access registries.
    pub fn registries(self, variable: Variable<'_>) -> Registries {
        Registries {
            credentials: credentials(variable),
            plain_http: self.plain_http,
            ca_file: self.registry_ca,
            pull: PullPolicy::Always,
        }
    }
}

/// Returns the files in which Docker and Podman keep credentials for registries.
pub(super) fn credentials(variable: Variable<'_>) -> Vec<PathBuf> {
    let below = |name: &str, file: &str| variable(name).map(|directory| Path::new(&directory).join(file));
    let docker = below("DOCKER_CONFIG", "config.json").or_else(|| below("HOME", ".docker/config.json"));
    let podman = [below("XDG_RUNTIME_DIR", "containers/auth.json"), below("HOME", ".config/containers/auth.json")];
    docker.into_iter().chain(podman.into_iter().flatten()).collect()
}

/// Returns the user's cache directory of wagi. Relative paths in the variables are ignored, as the XDG Base Directory
/// Specification requires.
pub(super) fn user_cache(variable: Variable<'_>) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    caches.map(|caches| caches.join("wagi"))
}
