//! What did the operator ask for?
//!
//! `main` hands over the [`Options`] that `args` made; [`Config::load`] reads the files they name, gives every value its
//! type and its default, and checks that modules and volumes are there. Nothing here opens a socket, compiles, prints or
//! exits. Problems are collected: one start shows them all.
//!
//! | file | question |
//! | --- | --- |
//! | `options` | what was typed? |
//! | `manifest`, `entry` | what does modules.toml say, and what one `[[module]]` of it? |
//! | `invoice` | what does the invoice of a bindle say? |
//! | `limits` | how much may be used? |
//! | `module_ref`, `allowed_hosts`, `hostname` | what does this text mean? |
//! | `env_file` | which variables get all scripts? |
//! | `environment`, `expansion` | which does one module get, and what is `${NAME}` in them? |
//! | `redacted` | which pieces of a file are never shown? |
//! | `cache` | where are compiled modules kept? |
//! | `lock` | what did references stand for when somebody last looked? |
//! | `values`, `spelling`, `file` | how is a value, a misspelt key, a file read? |
//! | `diagnostic`, `origin` | how and where is a problem shown? |

use std::net::SocketAddr;
use std::path::PathBuf;

mod allowed_hosts;
mod code_cache;
mod diagnostic;
mod entry;
mod environment;
mod hostname;
mod invoice;
mod limits;
mod lock;
mod manifest;
mod module_ref;
mod options;
mod reader;
mod sha256;

pub use crate::config::allowed_hosts::{AllowedHost, AllowedHosts, HostError};
pub use crate::config::code_cache::{CompilationCache, compilation_cache, usual_compiled};
pub use crate::config::diagnostic::{Diagnostic, Place, Severity, SourceFile};
pub use crate::config::entry::{EntryConfig, Preparation, Volume};
pub use crate::config::environment::env_file::{PairError, parse_pair};
pub use crate::config::hostname::{Hostname, HostnameError};
pub use crate::config::invoice::{BindleConfig, BindleId, BindleIdError};
pub(crate) use crate::config::invoice::{BindleEntry, LARGEST_INVOICE, Parcel, read_invoice};
pub use crate::config::limits::{ConnectionLimits, GatewayLimits, LARGEST_MODULE, Limits};
pub use crate::config::lock::{LOCK_FILE, Lock, LockedModule};
pub use crate::config::module_ref::{ModuleRef, ModuleRefError};
pub use crate::config::options::{
    BindleLocation, LockFile, LogFormat, Login, Options, PullPolicy, Registries, ServerEnvironment, Source, TlsFiles,
};
pub use crate::config::reader::origin::{Key, Origin};
pub use crate::config::sha256::Sha256;

use crate::config::manifest::{Manifest, ParseOptions};
use crate::route::RoutePattern;

/// Everything the operator asked for, with no default left open.
#[derive(Clone, Debug)]
pub struct Config {
    /// How to listen.
    pub server: ServerConfig,
    /// The server's own name.
    pub hostname: Hostname,
    /// What to serve, in the order of precedence.
    pub entries: Vec<EntryConfig>,
    /// A bindle whose scripts are to be served; `fetch::complete` adds them to `entries`.
    pub bindle: Option<BindleConfig>,
    /// Where logs go.
    pub log: LogConfig,
    /// What all guests together may use.
    pub limits: GatewayLimits,
    /// Where compiled modules are kept; `None` for nowhere.
    pub cache: Option<CompilationCache>,
    /// Where the operator wants modules from elsewhere to be kept.
    pub module_cache: Option<PathBuf>,
    /// Certificates of authorities to believe when guests call others, besides the system's, PEM.
    pub outbound_ca: Option<PathBuf>,
    /// Where they are kept otherwise, in a directory of their own; `None` for one that is removed at the end.
    pub user_cache: Option<PathBuf>,
    /// How registries are asked.
    pub registries: Registries,
    /// What references stood for when somebody last looked, if that was written down.
    pub lock: Option<Lock>,
    /// Whether to serve nothing else.
    pub locked: bool,
}

/// How to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address; port 0 for any that is free.
    pub listen: SocketAddr,
    /// Certificate and key; `None` for plain HTTP.
    pub tls: Option<TlsFiles>,
    /// What connections may use.
    pub limits: ConnectionLimits,
}

/// Where logs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Where the standard error of guests is kept in files; `None` for nowhere.
    pub dir: Option<PathBuf>,
    /// The form of our own log on standard error.
    pub format: LogFormat,
}

impl Config {
    /// Reads what `options` name, and all problems with it. If one of them is an error, the config holds what is left
    /// without it: good enough to look for more problems, not to be served.
    pub fn load(options: &Options) -> (Self, Vec<Diagnostic>) {
        let mut problems = Vec::new();
        let mut environment = Vec::new();
        for path in &options.env_files {
            environment::env_file::read(path, &mut environment, &mut problems);
        }
        for (name, value) in &options.env {
            environment::env_file::set(&mut environment, name, value);
        }
        let mut bindle = None;
        let manifest = match &options.source {
            Source::Manifest(path) => {
                let server = &options.server_environment;
                let options = ParseOptions { environment: &environment, server, strict: options.strict };
                manifest::read(path, &options, &mut problems)
            }
            Source::Module(path) => alone(path, environment, &mut problems),
            Source::Bindle { id, location } => {
                bindle = crate::config::bindle(id, location, environment, options.strict, &mut problems);
                Manifest::default()
            }
        };
        let config = Self {
            server: ServerConfig {
                listen: options.listen,
                tls: options.tls.clone(),
                limits: manifest.limits.connection,
            },
            hostname: options.hostname.clone().or(manifest.hostname).unwrap_or_default(),
            entries: manifest.entries,
            bindle,
            log: LogConfig { dir: options.log_dir.clone(), format: options.log_format },
            limits: manifest.limits.gateway,
            cache: compilation_cache(
                options.cache.as_deref(),
                options.user_cache.as_deref().map(usual_compiled).as_deref(),
                options.strict,
                &mut problems,
            ),
            module_cache: options.module_cache.clone(),
            outbound_ca: options.outbound_ca.clone(),
            user_cache: options.user_cache.clone(),
            registries: options.registries.clone(),
            lock: lock::load(options, &mut problems),
            locked: options.lock == LockFile::Required,
        };
        (config, problems)
    }
}

/// The bindle with the id `id`.
fn bindle(
    id: &str,
    location: &BindleLocation,
    environment: Vec<(String, String)>,
    strict: bool,
    problems: &mut Vec<Diagnostic>,
) -> Option<BindleConfig> {
    match id.parse::<BindleId>() {
        Ok(id) => Some(BindleConfig { id, location: location.clone(), environment, strict }),
        Err(error) => {
            problems.push(Diagnostic::error(format!("in `--bindle`: {error}")).help(error.help()));
            None
        }
    }
}

/// One module that answers every request.
fn alone(path: &std::path::Path, environment: Vec<(String, String)>, problems: &mut Vec<Diagnostic>) -> Manifest {
    if let Err(error) = crate::config::reader::file::must_be_file(path) {
        problems.push(Diagnostic::error(error).help(crate::config::reader::file::relative_paths()));
        return Manifest::default();
    }
    let module = ModuleRef::File(path.to_owned());
    let entry = EntryConfig::new(Origin::command_line(), RoutePattern::new("/..."), module);
    Manifest { entries: vec![EntryConfig { environment, ..entry }], ..Manifest::default() }
}

#[cfg(test)]
mod tests {
    use crate::config::*;

    fn here() -> PathBuf {
        PathBuf::from("Cargo.toml")
    }

    #[test]
    fn one_module_answers_every_path() {
        let mut options = Options::new(Source::Module(here()));
        options.env = vec![("A".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())];
        let (config, problems) = Config::load(&options);
        assert_eq!(problems, []);
        let script = config.entries.first().expect("one script");
        assert_eq!(script.route, RoutePattern::new("/..."));
        assert_eq!(script.module, ModuleRef::File(here()));
        assert_eq!(script.environment, [("A".to_owned(), "2".to_owned())]);
        assert_eq!(config.hostname.to_string(), "localhost:3000");
        assert!(!config.hostname.explicit && config.cache.is_none());
    }

    #[test]
    fn all_sources_are_looked_at_although_one_is_bad() {
        let mut options = Options::new(Source::Manifest("no/such.toml".into()));
        options.env_files = vec!["no/such.env".into(), here()];
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
        options.env_files = vec![here()];
        assert!(!format!("{:?}", Config::load(&options)).contains("hunter2"));
        options.source = Source::Module(here());
        assert!(!format!("{:?}", Config::load(&options).0).contains("hunter2"));
    }
}
