//! What did the operator type? Made by `args`, understood by `Config::load`.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Hostname;

/// Command line and environment variables in plain types.
#[derive(Clone)]
pub struct Options {
    /// What to serve.
    pub source: Source,
    /// Where the compilation cache is configured. Default: `cache.toml`, if there is one.
    pub cache: Option<PathBuf>,
    /// The address to listen on. Default `127.0.0.1:3000`.
    pub listen: SocketAddr,
    /// The server's own name. Default: `default_host` of the configuration file, else `localhost:3000`.
    pub hostname: Option<Hostname>,
    /// Where modules from elsewhere are to be kept, once there are any. Default: below `user_cache`.
    pub module_cache: Option<PathBuf>,
    /// Certificates of authorities to believe when guests call others, besides the system's, PEM. Default: none.
    pub outbound_ca: Option<PathBuf>,
    /// The directory for caches of wagi that is the user's own. Default: nothing is kept that no other option asks for.
    pub user_cache: Option<PathBuf>,
    /// How registries are asked. Default: anonymously.
    pub registries: Registries,
    /// What `wagi.lock` beside a modules.toml counts for. Default: it is obeyed.
    pub lock: LockFile,
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
    /// What `${NAME}` stands for in a modules.toml. Default: nothing is set.
    pub server_environment: ServerEnvironment,
    /// Stop when everything has been looked at, without serving. Default: no.
    pub check: bool,
    /// Whether unknown keys are errors. Default: no.
    pub strict: bool,
}

/// The server's own environment, for those variables that a modules.toml asks for by name.
#[derive(Clone, Default)]
pub struct ServerEnvironment(Option<Arc<Lookup>>);

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

impl ServerEnvironment {
    /// The one in which `lookup` finds variables by their names.
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

/// What a lock file counts for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockFile {
    /// What is in it is served; what is not is looked up.
    #[default]
    Obeyed,
    /// Any difference to it is an error, and so is its absence.
    Required,
    /// It is not even read.
    Ignored,
}

/// Name and password of HTTP Basic authentication.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password, which `Debug` does not show.
    pub password: String,
}

/// The PEM files for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The form of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Options {
    /// All defaults, to serve `source`.
    pub fn new(source: Source) -> Self {
        Self {
            source,
            cache: None,
            listen: (Ipv4Addr::LOCALHOST, 3000).into(),
            hostname: None,
            module_cache: None,
            outbound_ca: None,
            user_cache: None,
            registries: Registries::default(),
            lock: LockFile::default(),
            log_dir: None,
            log_format: LogFormat::Text,
            tls: None,
            env: Vec::new(),
            env_files: Vec::new(),
            server_environment: ServerEnvironment::default(),
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
