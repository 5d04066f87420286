//! One entry of the configuration: a module or component at a route, with its grants and limits.

use std::fmt;
use std::path::PathBuf;

use crate::config::{AllowedHosts, HostPattern, Limits, ModuleRef, Origin, ScriptsConfig, VerifyConfig};
use crate::route::RoutePattern;

/// The entry point if `entrypoint` is missing.
const DEFAULT_ENTRYPOINT: &str = "_start";

/// A module or component at a route, with its grants and limits.
#[derive(Clone)]
pub struct EntryConfig {
    /// Where it is configured.
    pub origin: Origin,
    /// The paths that it serves.
    pub route: RoutePattern,
    /// The names that it answers. Default: none, so that it answers every name.
    pub hosts: Vec<HostPattern>,
    /// Where to get the module.
    pub module: ModuleRef,
    /// The signature that the module needs. Default: none, unless its registry needs one.
    pub verify: Option<VerifyConfig>,
    /// How the module becomes machine code.
    pub preparation: Preparation,
    /// What becomes of imports that nothing provides. Default: the module is refused.
    pub unknown_imports: UnknownImports,
    /// The entry point: the exported function to call. Default `_start`.
    pub entrypoint: String,
    /// The guest's arguments. Default: those of WAGI 0.8.
    pub argv: Option<Argv>,
    /// The guest's environment variables without those of CGI, each name once.
    pub environment: Vec<(String, String)>,
    /// The directories that the guest may use, in the order of the file.
    pub volumes: Vec<Volume>,
    /// The directories that each request has for itself. They follow the volumes.
    pub scratch: Vec<ScratchConfig>,
    /// The scripts that the module interprets. Their directory is the last of the volumes.
    pub scripts: Option<ScriptsConfig>,
    /// The hosts that the guest may call. Default: none.
    pub allowed_hosts: AllowedHosts,
    /// The largest number of open responses to such calls; `None` for no limit.
    pub http_max_concurrency: Option<u32>,
    /// Whether the guest sees the client's credentials. Default: only HTTP components see them.
    pub pass_authorization: Option<bool>,
    /// Whether its responses are compressed. Default: as `[server]` has it, else no.
    pub compress: bool,
    /// Whether and how its guests begin at a checkpoint. Default: they begin at their start.
    pub warm_start: Option<WarmStartConfig>,
    /// The limits of the guest.
    pub limits: Limits,
}

/// How guests begin at a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WarmStartConfig {
    /// Whether all requests may share the random numbers that a program has drawn before. Default: no.
    pub shared_random: bool,
    /// The most snapshots of the entry. Default 16.
    pub snapshots: usize,
    /// The variables that snapshots may hold: those of `environment`, as they are written.
    pub plain_variables: Vec<String>,
}

/// The arguments of a guest, with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argv {
    /// A line that is split at blanks.
    Line(String),
    /// The arguments one by one.
    Array(Vec<String>),
}

/// What becomes of a program's imports that nothing provides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UnknownImports {
    /// The program is refused.
    #[default]
    Refuse,
    /// The program is served, and a guest ends when it calls one.
    Trap,
}

/// How a module becomes machine code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Preparation {
    /// Compile it.
    #[default]
    Compile,
    /// Run its initializer, and compile the module as it is after that.
    Preinitialize,
    /// Load the file as it is: ahead-of-time code that the operator trusts.
    Precompiled,
}

/// A directory of the host that a guest may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The path in the guest.
    pub guest_path: String,
    /// The path on the host. A relative path starts from the working directory.
    pub host_path: PathBuf,
    /// Whether the guest may only read it. Default: no.
    pub read_only: bool,
}

/// A directory that each request has for itself, empty at its start and gone at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScratchConfig {
    /// The path in the guest.
    pub guest_path: String,
    /// The length of all files in it.
    pub bytes: u64,
    /// The number of files, directories and links in it. Default 1,024.
    pub files: u64,
}

impl EntryConfig {
    /// Creates an entry that serves `module` at `route`, with defaults for all other settings.
    pub(crate) fn new(origin: Origin, route: RoutePattern, module: ModuleRef) -> Self {
        Self {
            origin,
            route,
            hosts: Vec::new(),
            module,
            verify: None,
            preparation: Preparation::Compile,
            unknown_imports: UnknownImports::Refuse,
            entrypoint: DEFAULT_ENTRYPOINT.to_owned(),
            argv: None,
            environment: Vec::new(),
            volumes: Vec::new(),
            scratch: Vec::new(),
            scripts: None,
            allowed_hosts: AllowedHosts::None,
            http_max_concurrency: None,
            pass_authorization: None,
            compress: false,
            warm_start: None,
            limits: Limits::default(),
        }
    }

    /// Whether its guests see directories that the server makes.
    pub(crate) fn needs_scratch_space(&self) -> bool {
        !self.scratch.is_empty() || self.warm_start.is_some()
    }
}

/// Compares all settings, but not where they are written.
impl PartialEq for EntryConfig {
    fn eq(&self, other: &Self) -> bool {
        // Without `..`, so that no setting is left out.
        let Self {
            origin: _,
            route,
            hosts,
            module,
            verify,
            preparation,
            unknown_imports,
            entrypoint,
            argv,
            environment,
            volumes,
            scratch,
            scripts,
            allowed_hosts,
            http_max_concurrency,
            pass_authorization,
            compress,
            warm_start,
            limits,
        } = self;
        (route, module, preparation, entrypoint) == (&other.route, &other.module, &other.preparation, &other.entrypoint)
            && (hosts, unknown_imports, verify) == (&other.hosts, &other.unknown_imports, &other.verify)
            && (argv, environment) == (&other.argv, &other.environment)
            && (volumes, scratch, scripts) == (&other.volumes, &other.scratch, &other.scripts)
            && (allowed_hosts, http_max_concurrency) == (&other.allowed_hosts, &other.http_max_concurrency)
            && (pass_authorization, compress, limits) == (&other.pass_authorization, &other.compress, &other.limits)
            && warm_start == &other.warm_start
    }
}

impl Eq for EntryConfig {}

/// Omits the variables, because they often hold secrets.
impl fmt::Debug for EntryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryConfig")
            .field("route", &self.route)
            .field("module", &self.module)
            .field("entrypoint", &self.entrypoint)
            .finish_non_exhaustive()
    }
}
