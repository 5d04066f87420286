//! What did the operator type? Made by `args`, understood by `Config::load`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::{Hostname, LogFormat, TlsFiles};

/// Command line and environment variables in plain types.
#[derive(Clone)]
pub struct Options {
    /// What to serve.
    pub source: Source,
    /// Where the compilation cache is configured. Default: `cache.toml`, if there is one.
    pub cache: Option<PathBuf>,
    /// The directory in which compiled code is kept unless such a file says otherwise. Default: nowhere.
    pub compiled: Option<PathBuf>,
    /// The address to listen on. Default `127.0.0.1:3000`.
    pub listen: SocketAddr,
    /// The server's own name. Default: `default_host` of the configuration file, else `localhost:3000`.
    pub hostname: Option<Hostname>,
    /// Where modules from elsewhere are to be kept, once there are any.
    pub module_cache: Option<PathBuf>,
    /// How registries are asked. Default: anonymously.
    pub registries: Registries,
    /// Whether to serve only what `wagi.lock` says. Default: no.
    pub locked: bool,
    /// Where the standard error of guests is kept in files. Default: nowhere.
    pub log_dir: Option<PathBuf>,
    /// The form of our own log. Default: text.
    pub log_format: LogFormat,
    /// Certificate and key, if TLS is to be spoken. Default: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Variables for every guest, in the order they were given.
    pub env: Vec<(String, String)>,
    /// Files of variables for every guest, in the order they were given.
    pub env_files: Vec<PathBuf>,
    /// Stop when everything has been looked at, without serving. Default: no.
    pub check: bool,
    /// Whether unknown keys are errors. Default: no.
    pub strict: bool,
}

/// What to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The modules that a modules.toml lists.
    Manifest(PathBuf),
    /// One module, at every path.
    Module(PathBuf),
    /// The modules of a bindle.
    Bindle {
        /// Its id, `NAME/VERSION`.
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
        /// Its base URL, API version included.
        url: String,
        /// Name and password, if it asks for them.
        login: Option<Login>,
        /// Whether to accept any certificate.
        insecure: bool,
    },
}

/// How registries are asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registries {
    /// The files with credentials, the first beating the next; they may be missing.
    pub credentials: Vec<PathBuf>,
    /// Those to speak plain HTTP with, `HOST[:PORT]`, besides those on this machine.
    pub plain_http: Vec<String>,
    /// Certificates of authorities to believe besides the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// When they are asked.
    pub pull: PullPolicy,
}

/// When a registry is asked for a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// For what a tag means, always; for what has a digest, if it is not here.
    #[default]
    Always,
    /// If nothing is here that the reference meant before.
    IfNotPresent,
    /// Never.
    Never,
}

/// Name and password of HTTP Basic authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password, which `Debug` does not show.
    pub password: String,
}

impl Options {
    /// All defaults, to serve `source`.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            cache: None,
            compiled: None,
            listen: (Ipv4Addr::LOCALHOST, 3000).into(),
            hostname: None,
            module_cache: None,
            registries: Registries::default(),
            locked: false,
            log_dir: None,
            log_format: LogFormat::Text,
            tls: None,
            env: Vec::new(),
            env_files: Vec::new(),
            check: false,
            strict: false,
        }
    }
}

/// Shows what is served, but not the variables: they are often secrets.
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
