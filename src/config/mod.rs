//! What did the operator ask for?
//!
//! `cli` passes the [`Options`] of the command line. [`Config::load`] reads the files that they name, gives every value
//! its type and its default, and checks that the files of modules and the directories of volumes exist. It opens no
//! socket, compiles nothing, prints nothing and does not exit. Problems are collected, so that one start shows all of
//! them.
//!
//! | file | contents |
//! | --- | --- |
//! | `options` | command line and environment variables, parsed |
//! | `manifest` | modules.toml, and one `[[module]]` of it |
//! | `entry` | the result for one `[[module]]` or served parcel |
//! | `static_files` | the result for one `[[static]]`, and for `scripts` |
//! | `invoice` | the invoice of a bindle |
//! | `server` | how the server listens, and what it believes of its peers |
//! | `limits` | every limit that the operator can set, with its default and its bounds |
//! | `module_ref`, `allowed_hosts`, `host_pattern`, `hostname`, `sha256` | values with a syntax of their own |
//! | `signatures` | whose signatures modules need |
//! | `environment` | the variables of a guest: files, `${NAME}`, secrets |
//! | `debug` | what is kept of guests that trap or compute for long |
//! | `access_log` | where the lines of requests go |
//! | `code_cache` | the configuration of the code cache |
//! | `lock_file` | wagi.lock |
//! | `reader` | reading a TOML file: text, values, suggestions for misspelt keys |
//! | `diagnostic` | how a problem is shown |

use std::path::{Path, PathBuf};

mod access_log;
mod admin;
mod allowed_hosts;
mod code_cache;
mod debug;
mod diagnostic;
mod entry;
mod environment;
mod host_pattern;
mod hostname;
mod invoice;
mod limits;
mod lock_file;
mod manifest;
mod module_ref;
mod options;
mod reader;
mod server;
mod sha256;
mod signatures;
mod static_files;

pub use crate::config::access_log::AccessLogTarget;
pub use crate::config::admin::{AdminAddress, AdminAddressError, AdminConfig, AdminToken};
pub use crate::config::allowed_hosts::{AllowedHost, AllowedHosts, HostError};
use crate::config::code_cache::DEFAULT_FILE as CODE_CACHE_FILE;
pub use crate::config::code_cache::{CodeCacheConfig, code_cache_config, default_code_cache};
pub use crate::config::debug::{CoredumpConfig, DebugConfig, ProfileConfig};
pub use crate::config::diagnostic::{Diagnostic, Severity, SourceFile, SourceLocation};
pub use crate::config::entry::{
    Argv, EntryConfig, Preparation, ScratchConfig, UnknownImports, Volume, WarmStartConfig,
};
pub use crate::config::environment::env_file::{PairError, parse_pair};
pub use crate::config::host_pattern::{HostName, HostPattern, HostPatternError};
pub use crate::config::hostname::{Hostname, HostnameError};
pub use crate::config::invoice::{BindleConfig, BindleId, BindleIdError};
pub(crate) use crate::config::invoice::{BindleEntry, MAX_INVOICE_SIZE, Parcel, read_invoice};
pub use crate::config::limits::{ConnectionLimits, GatewayLimits, Limits, MAX_MODULE_SIZE};
pub use crate::config::lock_file::{LOCK_FILE, Lock, LockedModule};
pub use crate::config::manifest::{WrittenValue, written_values};
pub use crate::config::module_ref::{ModuleRef, ModuleRefError};
pub use crate::config::options::{
    Audience, BindleLocation, LockPolicy, LogFormat, Login, Options, PullPolicy, Registries, ServerEnvironment, Source,
    TlsFiles,
};
pub use crate::config::reader::origin::{Key, Origin};
pub use crate::config::server::{
    ClientAuth, ForwardedFields, ListenAddress, ListenAddressError, ScratchTotal, ServerConfig, TlsConfig,
    TrustedProxies, TrustedProxyError, UnixAddress, UnknownGroup, WebServerProtocol, WhenFull,
};
pub use crate::config::sha256::Sha256;
pub(crate) use crate::config::signatures::table::BUNDLE_EXTENSION;
pub use crate::config::signatures::{RegistryConfig, TrustedSigners, VerifyConfig};
pub use crate::config::static_files::{OtherFiles, ScriptsConfig, StaticConfig, StaticContent};

use crate::config::admin::admin_config;
use crate::config::environment::env_file;
pub use crate::config::manifest::ModuleBuild;
use crate::config::manifest::{Manifest, ParseOptions, ServerTable, TlsTable};
use crate::config::reader::file::{must_be_file, relative_paths_help};
use crate::config::server::{
    oversized_scratch, redirect_without_tls, repeated_addresses, unknown_groups, untrusted_addresses,
};
use crate::route::RoutePattern;

/// The complete configuration. No default is left open.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the server listens.
    pub server: ServerConfig,
    /// The admin listener; `None` if there is none.
    pub admin: Option<AdminConfig>,
    /// What is kept of guests that trap or compute for long.
    pub debug: DebugConfig,
    /// The server's own name.
    pub hostname: Hostname,
    /// The entries, in the order of precedence.
    pub entries: Vec<EntryConfig>,
    /// The signatures that modules of registries need.
    pub signed_registries: Vec<RegistryConfig>,
    /// The entries with files, in the order of precedence. Each says how many of `entries` come before it.
    pub static_files: Vec<StaticConfig>,
    /// The bindle to serve. `fetch::complete` adds its entries to `entries`.
    pub bindle: Option<BindleConfig>,
    /// Where logs go.
    pub log: LogConfig,
    /// The limits of all guests together.
    pub limits: GatewayLimits,
    /// The cache for compiled code; `None` if code is not kept.
    pub cache: Option<CodeCacheConfig>,
    /// The directory for fetched modules that the operator chose.
    pub module_cache: Option<PathBuf>,
    /// PEM certificates to trust in calls of guests, besides those of the system.
    pub outbound_ca: Option<PathBuf>,
    /// The user's cache directory of wagi, where fetched modules are kept if the operator chose no directory; `None`
    /// for a temporary directory.
    pub user_cache: Option<PathBuf>,
    /// How to access registries.
    pub registries: Registries,
    /// The executable `wagi` that compiles modules that were fetched; `None` to compile them in this process.
    pub compiler: Option<PathBuf>,
    /// The lock file, if there is one and it is not ignored.
    pub lock: Option<Lock>,
    /// Whether any difference from the lock file is an error.
    pub locked: bool,
    /// The files that it was read from or that it names, whether they are there or not. Files of directories and caches are
    /// not among them.
    pub files: Vec<PathBuf>,
    /// Whether the configuration file is TOML and has no entry, as an empty file does.
    pub is_empty: bool,
    /// How `wagi dev` makes modules anew; also of entries with errors, since a module may not be there yet.
    pub builds: Vec<ModuleBuild>,
    /// Who uses what is served.
    pub audience: Audience,
    /// Whether it is only checked, so that nothing is made that stays.
    pub is_check: bool,
}

/// Where logs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The directory for files with the standard error of guests; `None` for no files.
    pub dir: Option<PathBuf>,
    /// The format of the server's log.
    pub format: LogFormat,
    /// Where the lines of requests go.
    pub access: AccessLogTarget,
}

impl Config {
    /// Whether it says the same as `other`, wherever it is written. Where fetched modules are from and where they are kept does
    /// not count.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (&self.server, &self.hostname, &self.entries) == (&other.server, &other.hostname, &other.entries)
            && (&self.static_files, &self.admin, &self.debug) == (&other.static_files, &other.admin, &other.debug)
            && (&self.limits, &self.log, &self.cache) == (&other.limits, &other.log, &other.cache)
    }

    /// Reads the files that `options` name. Returns the configuration and all problems.
    ///
    /// If a problem is an error, the configuration is what is left without the faulty parts: enough to look for more
    /// problems, but not to be served.
    pub fn load(options: &Options) -> (Self, Vec<Diagnostic>) {
        let mut problems = Vec::new();
        let environment = operator_environment(options, &mut problems);
        let mut bindle = None;
        let mut manifest = match &options.source {
            Source::Manifest(path) => {
                let server = &options.server_environment;
                let options = ParseOptions { environment: &environment, server, strict: options.strict };
                manifest::read(path, &options, &mut problems)
            }
            Source::Module(path) => single_module(path, environment, &mut problems),
            Source::Bindle { id, location } => {
                let id = bindle_id(id, &mut problems);
                let (location, strict) = (location.clone(), options.strict);
                bindle = id.map(|id| BindleConfig { id, location, environment, strict });
                Manifest::default()
            }
        };
        let is_empty = manifest.is_toml && manifest.entries.is_empty() && manifest.static_files.is_empty();
        let hostname = manifest.server.server_name.take().or(manifest.hostname);
        let tls = tls_config(options, manifest.tls, &mut problems);
        let server = server_config(options, manifest.server, tls, manifest.limits.connection, &mut problems);
        let config = Self {
            admin: admin_config(options.admin.as_ref(), manifest.admin, &server.listen, &mut problems),
            server,
            debug: manifest.debug,
            hostname: options.hostname.clone().or(hostname).unwrap_or_default(),
            entries: manifest.entries,
            signed_registries: manifest.signed_registries,
            static_files: manifest.static_files,
            bindle,
            log: log_config(options, &mut problems),
            limits: manifest.limits.gateway,
            cache: code_cache(options, &mut problems),
            module_cache: options.module_cache.clone(),
            outbound_ca: options.outbound_ca.clone(),
            user_cache: options.user_cache.clone(),
            registries: options.registries.clone(),
            compiler: options.compiler.clone(),
            lock: lock_file::load(options, &mut problems),
            locked: options.lock == LockPolicy::Require,
            files: Vec::new(),
            is_empty,
            builds: manifest.builds,
            audience: options.audience,
            is_check: options.check,
        };
        problems.extend(oversized_scratch(&config.entries, config.server.scratch_total));
        (Self { files: files(options, &config.server, manifest.files), ..config }, problems)
    }
}

/// All files that a configuration was read from or names.
fn files(options: &Options, server: &ServerConfig, named: Vec<PathBuf>) -> Vec<PathBuf> {
    let source = match &options.source {
        Source::Manifest(path) => vec![path.clone(), path.with_file_name(LOCK_FILE)],
        Source::Module(path) => vec![path.clone()],
        Source::Bindle { .. } => Vec::new(),
    };
    let certificates = server.tls.iter().flat_map(TlsConfig::certificates);
    let certificates = certificates.flat_map(|files| [files.cert.clone(), files.key.clone()]);
    let authorities = [&options.outbound_ca, &options.registries.ca_file].into_iter().flatten();
    let client_ca = server.tls.iter().filter_map(|tls| tls.client_ca.clone());
    let named = source.into_iter().chain(named).chain(options.env_files.iter().cloned());
    let named = named.chain(certificates).chain(client_ca).chain(authorities.cloned());
    named.chain(options.registries.credentials.iter().cloned()).chain([code_cache_file(options)]).collect()
}

/// What `[server]` says, and the command line, which takes precedence.
fn server_config(
    options: &Options,
    table: ServerTable,
    tls: Option<TlsConfig>,
    limits: ConnectionLimits,
    problems: &mut Vec<Diagnostic>,
) -> ServerConfig {
    problems.extend(repeated_addresses(&options.listen));
    problems.extend(unknown_groups(&options.listen));
    problems.extend(untrusted_addresses(&options.listen, &table.trusted_proxies));
    let config = ServerConfig {
        listen: if options.listen.is_empty() { table.listen } else { options.listen.clone() },
        tls,
        trusted_proxies: table.trusted_proxies,
        forwarded: table.forwarded,
        proxy_protocol: table.proxy_protocol,
        redirect_https: table.redirect_https.is_some(),
        request_id_header: table.request_id_header,
        shutdown_delay: table.shutdown_delay,
        scratch_directory: table.scratch_directory,
        scratch_total: table.scratch_total.map(ScratchTotal).unwrap_or_default(),
        idle_exit: options.idle_exit,
        limits,
        when_full: WhenFull::CloseIdle,
    };
    problems.extend(redirect_without_tls(&config, table.redirect_https));
    config
}

/// What `[tls]` says. The certificate of the command line is the first.
fn tls_config(options: &Options, table: TlsTable, problems: &mut Vec<Diagnostic>) -> Option<TlsConfig> {
    let TlsTable { certificates, client_ca, client_ca_location, client_auth } = table;
    let mut certificates = options.tls.iter().cloned().chain(certificates);
    let Some(default) = certificates.next() else {
        client_ca.as_ref()?;
        let problem =
            Diagnostic::error("`client_ca` needs a certificate of the server, since clients show theirs over TLS");
        let problem = problem.at(client_ca_location);
        problems.push(problem.help("write `certificates = [{ cert = \"cert.pem\", key = \"key.pem\" }]` in `[tls]`"));
        return None;
    };
    Some(TlsConfig { default, others: certificates.collect(), client_ca, client_ca_location, client_auth })
}

/// Where logs go. A check writes no access log, but finds what would be wrong with it.
fn log_config(options: &Options, problems: &mut Vec<Diagnostic>) -> LogConfig {
    problems.extend(options.access_log.check());
    let access = if options.check { AccessLogTarget::Nowhere } else { options.access_log.clone() };
    LogConfig { dir: options.log_dir.clone(), format: options.log_format, access }
}

/// The variables of `--env-file` and `--env`.
fn operator_environment(options: &Options, problems: &mut Vec<Diagnostic>) -> Vec<(String, String)> {
    let mut environment = Vec::new();
    for path in &options.env_files {
        env_file::read(path, &mut environment, problems);
    }
    for (name, value) in &options.env {
        env_file::set(&mut environment, name, value);
    }
    environment
}

/// The names of the variables that every guest gets from `--env` and `--env-file`.
pub fn operator_variables(options: &Options) -> Vec<String> {
    operator_environment(options, &mut Vec::new()).into_iter().map(|(name, _)| name).collect()
}

fn code_cache_file(options: &Options) -> PathBuf {
    options.cache.clone().unwrap_or_else(|| CODE_CACHE_FILE.into())
}

fn code_cache(options: &Options, problems: &mut Vec<Diagnostic>) -> Option<CodeCacheConfig> {
    let default = options.user_cache.as_deref().map(default_code_cache);
    code_cache_config(options.cache.as_deref(), default.as_deref(), options.strict, problems)
}

fn bindle_id(id: &str, problems: &mut Vec<Diagnostic>) -> Option<BindleId> {
    id.parse()
        .map_err(|error: BindleIdError| {
            problems.push(Diagnostic::error(format!("in `--bindle`: {error}")).help(error.help()));
        })
        .ok()
}

/// A manifest with one entry, which serves the module at `path` at every path.
fn single_module(path: &Path, environment: Vec<(String, String)>, problems: &mut Vec<Diagnostic>) -> Manifest {
    if let Err(error) = must_be_file(path) {
        problems.push(Diagnostic::error(error).help(relative_paths_help()));
        return Manifest::default();
    }
    let module = ModuleRef::File(path.to_owned());
    let entry = EntryConfig::new(Origin::command_line(), RoutePattern::new("/..."), module);
    Manifest { entries: vec![EntryConfig { environment, ..entry }], ..Manifest::default() }
}

#[cfg(test)]
mod tests {
    use crate::config::*;

    fn existing_file() -> PathBuf {
        PathBuf::from("Cargo.toml")
    }

    #[test]
    fn one_module_answers_every_path() {
        let mut options = Options::new(Source::Module(existing_file()));
        options.env = vec![("A".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())];
        let (config, problems) = Config::load(&options);
        assert_eq!(problems, []);
        let entry = config.entries.first().expect("one entry");
        assert_eq!(entry.route, RoutePattern::new("/..."));
        assert_eq!(entry.module, ModuleRef::File(existing_file()));
        assert_eq!(entry.environment, [("A".to_owned(), "2".to_owned())]);
        assert_eq!(config.hostname.to_string(), "localhost:3000");
        assert!(!config.hostname.explicit && config.cache.is_none());
    }

    #[test]
    fn all_files_are_read_although_one_is_bad() {
        let mut options = Options::new(Source::Manifest("no/such.toml".into()));
        options.env_files = vec!["no/such.env".into(), existing_file()];
        options.cache = Some("no/such-cache.toml".into());
        let (config, problems) = Config::load(&options);
        assert!(config.entries.is_empty());
        let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert!(messages.contains(&"cannot read environment file `no/such.env`"), "{messages:?}");
        assert!(messages.contains(&"cannot read configuration file `no/such.toml`"), "{messages:?}");
        assert!(messages.iter().any(|message| message.contains("`no/such-cache.toml`")), "{messages:?}");
        let module = Config::load(&Options::new(Source::Module("no/such.wasm".into()))).1;
        assert!(module.iter().all(Diagnostic::is_error) && module.len() == 1);
    }

    #[test]
    fn secrets_do_not_show_in_debug_output() {
        let login = Login { user: "me".to_owned(), password: "hunter2".to_owned() };
        let location = BindleLocation::Server { url: "https://b".to_owned(), login: Some(login), insecure: false };
        let mut options = Options::new(Source::Bindle { id: "a/1.0.0".to_owned(), location });
        options.env = vec![("A".to_owned(), "hunter2".to_owned())];
        assert!(!format!("{options:?}").contains("hunter2"));
        options.env_files = vec![existing_file()];
        assert!(!format!("{:?}", Config::load(&options)).contains("hunter2"));
        options.source = Source::Module(existing_file());
        assert!(!format!("{:?}", Config::load(&options).0).contains("hunter2"));
    }
}
