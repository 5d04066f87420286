//! What did the operator ask for on the command line? Made by `cli::args`, read by `Config::load`.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{AccessLogTarget, AdminAddress, Hostname, ListenAddress, SourceLocation};

/// The command line and the environment variables, parsed.
#[derive(Clone)]
pub struct Options {
    /// What to serve.
    pub source: Source,
    /// The configuration file of the code cache. Default: `cache.toml`, if there is one.
    pub cache: Option<PathBuf>,
    /// The addresses to listen on. Default: those of the configuration file, else inherited sockets, else
    /// `127.0.0.1:3000`.
    pub listen: Vec<ListenAddress>,
    /// The address of the admin listener. Default: that of the configuration file, else none.
    pub admin: Option<AdminAddress>,
    /// How long the server may be idle before it ends. Default: for ever.
    pub idle_exit: Option<Duration>,
    /// The server's own name. Default: `default_host` of the configuration file, else `localhost:3000`.
    pub hostname: Option<Hostname>,
    /// The directory for fetched modules. Default: below `user_cache`.
    pub module_cache: Option<PathBuf>,
    /// PEM certificates to trust in calls of guests, besides those of the system. Default: none.
    pub outbound_ca: Option<PathBuf>,
    /// The user's cache directory of wagi. Default: none; then only the caches that another option names are kept.
    pub user_cache: Option<PathBuf>,
    /// How to access registries. Default: without credentials.
    pub registries: Registries,
    /// The executable `wagi`, which compiles modules that were fetched in a process of its own, with limits on time and memory.
    /// Default: none; then they are compiled in this process, without these limits.
    pub compiler: Option<PathBuf>,
    /// What to do with `wagi.lock` beside a modules.toml. Default: use it.
    pub lock: LockPolicy,
    /// The directory for files with the standard error of guests. Default: no files.
    pub log_dir: Option<PathBuf>,
    /// The format of the server's log. Default: text.
    pub log_format: LogFormat,
    /// Where the lines of requests go. Default: standard error.
    pub access_log: AccessLogTarget,
    /// Certificate and key for TLS. Default: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Variables for every guest, in the order given.
    pub env: Vec<(String, String)>,
    /// Files with variables for every guest, in the order given.
    pub env_files: Vec<PathBuf>,
    /// The values of `${NAME}` in a modules.toml. Default: no variable is set.
    pub server_environment: ServerEnvironment,
    /// Whether to reload when a file changes that was read. Default: no.
    pub watch: bool,
    /// Whether to check everything and not to serve. Default: no.
    pub check: bool,
    /// Whether unknown keys are errors. Default: no.
    pub strict: bool,
    /// Who uses what is served. Default: its users.
    pub audience: Audience,
}

/// Who uses what a server serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Its users: requests come first, and code is optimized.
    #[default]
    Users,
    /// The developer of its modules, who waits for each change: reloads come first, and code is compiled in little time.
    Developer,
}

/// The server's own environment. A modules.toml reads variables from it by name.
#[derive(Clone, Default)]
pub struct ServerEnvironment(Option<Arc<Lookup>>);

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

impl ServerEnvironment {
    /// Creates an environment whose variables are the results of `lookup`.
    pub fn new(lookup: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(lookup)))
    }

    pub(super) fn variable(&self, name: &str) -> Option<OsString> {
        self.0.as_ref().and_then(|lookup| lookup(name))
    }
}

/// What to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The entries of a modules.toml.
    Manifest(PathBuf),
    /// One module, at every path.
    Module(PathBuf),
    /// The modules of a bindle.
    Bindle {
        /// The id, `NAME/VERSION`.
        id: String,
        /// Where it is.
        location: BindleLocation,
    },
}

/// Where a bindle is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindleLocation {
    /// A directory of standalone bindles.
    Directory(PathBuf),
    /// A bindle server.
    Server {
        /// The base URL, including the API version.
        url: String,
        /// Name and password, if the server requires them.
        login: Option<Login>,
        /// Whether to skip the verification of the server's certificate.
        insecure: bool,
    },
}

/// How to access registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registries {
    /// The files with credentials; the first match counts. Missing files are skipped.
    pub credentials: Vec<PathBuf>,
    /// Registries to access with plain HTTP, `HOST[:PORT]`, besides those on this machine.
    pub plain_http: Vec<String>,
    /// PEM certificates to trust, besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// When to ask a registry for a module.
    pub pull: PullPolicy,
}

/// When to ask a registry for a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// For a tag always; for a digest only if the cache does not have it.
    #[default]
    Always,
    /// Only if the cache has nothing for the reference.
    IfNotPresent,
    /// Never.
    Never,
}

/// What to do with a lock file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockPolicy {
    /// Serve what it lists, and resolve what it does not list.
    #[default]
    Use,
    /// Treat a missing file and any difference from it as errors.
    Require,
    /// Do not read it.
    Ignore,
}

/// Name and password for HTTP Basic authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password, which `Debug` does not show.
    pub password: String,
}

/// The PEM files for TLS.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Where both are named, unless on the command line.
    pub location: Option<SourceLocation>,
}

impl TlsFiles {
    /// Two files that are named on the command line.
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { cert: cert.into(), key: key.into(), location: None }
    }
}

/// Compares the files, but not where they are named.
impl PartialEq for TlsFiles {
    fn eq(&self, other: &Self) -> bool {
        // Without `..`, so that no field is left out.
        let Self { cert, key, location: _ } = self;
        (cert, key) == (&other.cert, &other.key)
    }
}

impl Eq for TlsFiles {}

/// The format of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Options {
    /// Creates options that serve `source` with all defaults.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            cache: None,
            listen: Vec::new(),
            admin: None,
            idle_exit: None,
            hostname: None,
            module_cache: None,
            outbound_ca: None,
            user_cache: None,
            registries: Registries::default(),
            compiler: None,
            lock: LockPolicy::default(),
            log_dir: None,
            log_format: LogFormat::Text,
            access_log: AccessLogTarget::default(),
            tls: None,
            env: Vec::new(),
            env_files: Vec::new(),
            server_environment: ServerEnvironment::default(),
            watch: false,
            check: false,
            strict: false,
            audience: Audience::Users,
        }
    }
}

/// Omits the variables, because they often hold secrets.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("source", &self.source).field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}
