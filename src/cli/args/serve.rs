//! The options of the server, as [`Options`].

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, ValueEnum, ValueHint};

use wagi::config::{
    AccessLogTarget, AdminAddress, Audience, BindleLocation, Hostname, ListenAddress, LockPolicy, LogFormat, Login,
    Options, ServerEnvironment, Source, TlsFiles, parse_pair,
};

use crate::cli::args::registries::{RegistryArguments, user_cache};
use crate::cli::args::{UsageError, Variable, text_variable};
use crate::cli::commands::check::GivenOption;
use crate::cli::commands::run::target::modules;

/// The name of a configuration, unless the operator gives another.
const MANIFEST: &str = "modules.toml";

/// The groups of options in the help. Each has what an operator looks for at one time.
const SOURCE: &str = "What to serve";
const NETWORK: &str = "Where to listen, and as which server";
const PROGRAMS: &str = "What programs get";
const CACHES: &str = "Registries and caches";
const LOG: &str = "Log";
const CHECKS: &str = "Checks";

/// What there is to do in a directory with nothing to serve.
const EXAMPLES: [(&str, &str); 3] = [
    ("wagi new hello", "makes a project that can be served"),
    ("wagi FILE.wasm", "serves one module or component"),
    ("wagi --config FILE", "serves what a modules.toml lists"),
];

/// What follows the options of `wagi serve` in the help.
pub(super) const SERVE_EXAMPLES: &str = "Examples:
  wagi serve                                     serves the modules.toml of this directory
  wagi serve hello.wasm
  wagi serve --config modules.toml --listen 127.0.0.1:8080
  wagi serve --config modules.toml --check";

/// The options of the server.
#[derive(Args)]
pub(super) struct ServeArguments {
    /// The module or component to serve at every path
    ///
    /// Write it first, or after `--`: -e and --env-file take all words up to the next option.
    #[arg(value_name = "FILE.wasm|FILE.wat", value_hint = ValueHint::FilePath)]
    module: Option<OsString>,

    /// The modules.toml with the modules to serve
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = SOURCE)]
    config: Option<OsString>,

    /// The bindle to serve, NAME/VERSION; needs --bindle-path or --bindle-url
    #[arg(short, long, value_name = "ID", help_heading = SOURCE)]
    bindle: Option<String>,

    /// A directory of standalone bindles
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = SOURCE)]
    bindle_path: Option<OsString>,

    /// The base URL of a bindle server, including the API version [env: BINDLE_URL]
    #[arg(long, value_name = "URL", help_heading = SOURCE)]
    bindle_url: Option<String>,

    /// The user name for the bindle server [env: BINDLE_HTTP_USER]
    #[arg(long, value_name = "NAME", help_heading = SOURCE)]
    bindle_http_user: Option<String>,

    /// The password for the bindle server [env: BINDLE_HTTP_PASSWORD]
    #[arg(long, value_name = "PASSWORD", help_heading = SOURCE)]
    bindle_http_password: Option<String>,

    /// Do not verify the certificate of the bindle server (insecure)
    #[arg(short = 'k', long, help_heading = SOURCE)]
    bindle_insecure: bool,

    /// The configuration of the code cache [default: cache.toml, if it exists]
    #[arg(long, value_name = "FILE", help_heading = CACHES)]
    cache: Option<PathBuf>,

    /// An address to listen on: IP:PORT, http:IP:PORT, unix:PATH, systemd [default: 127.0.0.1:3000]
    ///
    /// It may be given several times. It replaces `listen` in `[server]` of the configuration file. Without both, sockets
    /// that the process inherits are used.
    #[arg(short, long, value_name = "ADDR", help_heading = NETWORK)]
    listen: Vec<ListenAddress>,

    /// The address of the admin listener: IP:PORT, unix:PATH [default: no admin listener]
    ///
    /// It replaces `listen` in `[admin]` of the configuration file. Any address but a loopback one needs `token_file` there.
    #[arg(long, value_name = "ADDR", help_heading = NETWORK)]
    admin: Option<AdminAddress>,

    /// End with exit code 0 after so long without a connection, for socket activation, for example 5m
    #[arg(long, value_name = "DURATION", value_parser = idle_time, help_heading = NETWORK)]
    idle_exit: Option<Duration>,

    /// The server's own name, for requests without a Host field [default: localhost:3000]
    #[arg(long, alias = "default-host", value_name = "HOST[:PORT]", help_heading = NETWORK)]
    hostname: Option<Hostname>,

    #[command(flatten, next_help_heading = CACHES)]
    registries: RegistryArguments,

    /// Serve only the modules in wagi.lock; any difference is an error
    #[arg(long, help_heading = SOURCE)]
    locked: bool,

    /// The directory for files with the standard error of modules [env: WAGI_LOG_DIR]
    #[arg(long, value_name = "DIR", help_heading = LOG)]
    log_dir: Option<PathBuf>,

    /// The format of the log on standard error
    #[arg(long, value_name = "FORM", value_enum, default_value_t = LogFormatArgument::Text, help_heading = LOG)]
    log_format: LogFormatArgument,

    /// Where the lines of requests go: on is standard error
    ///
    /// A file is appended to, and made if there is none. SIGUSR1 lets the server open it again after it was moved away.
    /// A file that is called `on` or `off` is written `./on`, `./off`.
    #[arg(long, value_name = "on|off|FILE", default_value = "on", help_heading = LOG)]
    access_log: OsString,

    /// The PEM certificate chain for TLS; needs --tls-key [env: WAGI_TLS_CERT]
    #[arg(long, value_name = "FILE", help_heading = NETWORK)]
    tls_cert: Option<PathBuf>,

    /// The PEM private key for TLS; needs --tls-cert [env: WAGI_TLS_KEY]
    #[arg(long, value_name = "FILE", help_heading = NETWORK)]
    tls_key: Option<PathBuf>,

    /// Variables for every module; they take precedence over --env-file
    #[arg(short, long, value_name = "NAME=VALUE", num_args = 1.., value_parser = variable, help_heading = PROGRAMS)]
    env: Vec<(String, String)>,

    /// Files with variables for every module, one NAME=VALUE per line
    #[arg(long, value_name = "FILE", num_args = 1.., help_heading = PROGRAMS)]
    env_file: Vec<PathBuf>,

    /// PEM certificates to trust when modules call other servers, besides those of the system
    #[arg(long, value_name = "FILE", help_heading = PROGRAMS)]
    outbound_ca: Option<PathBuf>,

    /// Reload when a file that was read changes
    #[arg(long)]
    watch: bool,

    /// Check everything, print the table of routes, and do not serve
    #[arg(long, help_heading = CHECKS)]
    check: bool,

    /// Treat unknown keys in configuration files as errors
    #[arg(long, help_heading = CHECKS)]
    strict: bool,
}

/// [`LogFormat`] as an argument.
#[derive(Clone, Copy, ValueEnum)]
enum LogFormatArgument {
    /// Text for people
    Text,
    /// One JSON object per line
    Json,
}

impl ServeArguments {
    /// Returns the options with the values of environment variables.
    pub fn options(self, variable: Variable<'_>) -> Result<Options, UsageError> {
        let path = |option: Option<PathBuf>, name: &str| option.or_else(|| variable(name).map(PathBuf::from));
        if self.locked && self.config.as_ref().is_none_or(|file| file.is_empty()) && !self.serves_this_directory() {
            let message = "--locked needs --config FILE: a lock file stands beside a modules.toml";
            return Err(UsageError::new(ErrorKind::MissingRequiredArgument, message));
        }
        Ok(Options {
            source: self.source(variable)?,
            tls: tls(path(self.tls_cert, "WAGI_TLS_CERT"), path(self.tls_key, "WAGI_TLS_KEY"))?,
            cache: self.cache,
            listen: self.listen,
            admin: self.admin,
            idle_exit: self.idle_exit,
            hostname: self.hostname,
            module_cache: self.registries.chosen_module_cache(),
            user_cache: user_cache(variable),
            registries: self.registries.registries(variable),
            // The executable of this process, which `parse` names.
            compiler: None,
            lock: if self.locked { LockPolicy::Require } else { LockPolicy::Use },
            outbound_ca: self.outbound_ca,
            log_dir: path(self.log_dir, "WAGI_LOG_DIR"),
            log_format: match self.log_format {
                LogFormatArgument::Text => LogFormat::Text,
                LogFormatArgument::Json => LogFormat::Json,
            },
            access_log: AccessLogTarget::parse(&self.access_log)
                .map_err(|error| UsageError::new(ErrorKind::ValueValidation, format!("--access-log: {error}")))?,
            env: self.env,
            env_files: self.env_file,
            server_environment: ServerEnvironment::default(),
            watch: self.watch,
            check: self.check,
            strict: self.strict,
            audience: Audience::Users,
        })
    }

    /// The options that are given, and the variables that stand in for them: those whose values are also keys of a modules.toml,
    /// or can be seen beside them.
    pub fn given(&self, variable: Variable<'_>) -> Vec<GivenOption> {
        let or_variable = |is_given: bool, option, name| match is_given {
            true => Some(option),
            false => variable(name).map(|_| name),
        };
        let option = |is_given: bool, option| is_given.then_some(option);
        let given = [
            ("server.listen", option(!self.listen.is_empty(), "--listen")),
            ("admin.listen", option(self.admin.is_some(), "--admin")),
            ("server.idle_exit", option(self.idle_exit.is_some(), "--idle-exit")),
            ("server.server_name", option(self.hostname.is_some(), "--hostname")),
            ("tls.certificates", or_variable(self.tls_cert.is_some(), "--tls-cert", "WAGI_TLS_CERT")),
            ("log.log_dir", or_variable(self.log_dir.is_some(), "--log-dir", "WAGI_LOG_DIR")),
            ("log.access_log", option(self.access_log != "on", "--access-log")),
        ];
        given.into_iter().filter_map(|(key, name)| Some(GivenOption { key, name: name? })).collect()
    }

    fn source(&self, variable: Variable<'_>) -> Result<Source, UsageError> {
        let login = self.login(variable)?;
        let module = self.module.as_deref().map(existing_file).transpose()?;
        let config = self.config.as_deref().filter(|file| !file.is_empty());
        let bindle = self.bindle.as_deref().filter(|id| !id.is_empty());
        match (module, config, bindle) {
            (Some(module), None, None) => module_source(module),
            (None, Some(file), None) => Ok(Source::Manifest(existing_file(file)?)),
            (None, None, Some(id)) => {
                Ok(Source::Bindle { id: id.to_owned(), location: self.bindle_location(login, variable)? })
            }
            (None, None, None) if self.serves_this_directory() => Ok(Source::Manifest(MANIFEST.into())),
            (None, None, None) => {
                if self.bindle_path.as_ref().is_some_and(|path| !path.is_empty()) {
                    return Err(UsageError::new(ErrorKind::MissingRequiredArgument, "--bindle-path needs --bindle ID"));
                }
                Err(self.nothing_to_serve())
            }
            _ => {
                let message = "only one can be served: a module, --config FILE, or --bindle ID";
                Err(UsageError::new(ErrorKind::ArgumentConflict, message))
            }
        }
    }

    /// Whether the command line names no source, and there is a configuration in the working directory.
    fn serves_this_directory(&self) -> bool {
        let names_none = self.module.is_none() && self.config.is_none() && self.bindle.is_none();
        let names_none = names_none && self.bindle_path.is_none() && self.bindle_url.is_none();
        names_none && self.taken_for_variables().is_none() && Path::new(MANIFEST).is_file()
    }

    /// A module that `--env-file` has taken.
    fn taken_for_variables(&self) -> Option<Cow<'_, str>> {
        self.env_file.last().map(|file| file.to_string_lossy()).filter(|file| is_module(file))
    }

    /// The error of a command line without a source, with the one that is meant, if that is clear.
    fn nothing_to_serve(&self) -> UsageError {
        let error = |rest: &str| {
            UsageError::new(ErrorKind::MissingRequiredArgument, format!("what to serve is missing: {rest}"))
        };
        if let Some(file) = self.taken_for_variables() {
            let rest =
                format!("`{file}` is taken for an environment file; a module comes before the options, or after `--`");
            return error(&rest);
        }
        let here = modules(Path::new("."));
        match here.as_slice() {
            _ if Path::new(MANIFEST).is_file() => error(&format!("did you mean `wagi --config {MANIFEST}`?")),
            [module] => {
                let name = module.strip_prefix(".").unwrap_or(module).display();
                error(&format!("there is one module here: did you mean `wagi {name}`?"))
            }
            _ => error("give a module, or --config FILE, or --bindle ID").with_examples(&EXAMPLES),
        }
    }

    fn login(&self, variable: Variable<'_>) -> Result<Option<Login>, UsageError> {
        let option_or_variable =
            |option: &Option<String>, name: &str| match option.clone().filter(|text| !text.is_empty()) {
                Some(text) => Ok(Some(text)),
                None => text_variable(name, variable),
            };
        let user = option_or_variable(&self.bindle_http_user, "BINDLE_HTTP_USER")?;
        let password = option_or_variable(&self.bindle_http_password, "BINDLE_HTTP_PASSWORD")?;
        match (user, password) {
            (Some(user), Some(password)) => Ok(Some(Login { user, password })),
            (None, None) => Ok(None),
            _ => {
                let message = "--bindle-http-user and --bindle-http-password need each other";
                Err(UsageError::new(ErrorKind::MissingRequiredArgument, message))
            }
        }
    }

    fn bindle_location(&self, login: Option<Login>, variable: Variable<'_>) -> Result<BindleLocation, UsageError> {
        let path = self.bindle_path.as_deref().filter(|path| !path.is_empty());
        let url = self.bindle_url.clone().filter(|url| !url.is_empty());
        let server = |url| Ok(BindleLocation::Server { url, login, insecure: self.bindle_insecure });
        match (path, url) {
            (Some(_), Some(_)) => {
                let message = "a bindle is in one place only: --bindle-path or --bindle-url";
                Err(UsageError::new(ErrorKind::ArgumentConflict, message))
            }
            (Some(path), None) if Path::new(path).is_dir() => Ok(BindleLocation::Directory(path.into())),
            (Some(path), None) => {
                let message = format!("--bindle-path: `{}` is not an existing directory", path.display());
                Err(UsageError::new(ErrorKind::ValueValidation, message))
            }
            (None, Some(url)) => server(url),
            (None, None) => match text_variable("BINDLE_URL", variable)? {
                Some(url) => server(url),
                None => {
                    let message = "--bindle needs --bindle-path DIR or --bindle-url URL (or BINDLE_URL)";
                    Err(UsageError::new(ErrorKind::MissingRequiredArgument, message))
                }
            },
        }
    }
}

fn tls(cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<TlsFiles>, UsageError> {
    let missing = |message| Err(UsageError::new(ErrorKind::MissingRequiredArgument, message));
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles::new(cert, key))),
        (None, None) => Ok(None),
        (Some(_), None) => missing("--tls-cert (or WAGI_TLS_CERT) needs --tls-key (or WAGI_TLS_KEY)"),
        (None, Some(_)) => missing("--tls-key (or WAGI_TLS_KEY) needs --tls-cert (or WAGI_TLS_CERT)"),
    }
}

fn idle_time(text: &str) -> Result<Duration, String> {
    let expected = "a duration longer than 0 is expected, such as 30s or 5m";
    let parsed = humantime::parse_duration(text).map_err(|error| format!("{error}; {expected}"))?;
    if parsed.is_zero() { Err(expected.to_owned()) } else { Ok(parsed) }
}

fn module_source(file: PathBuf) -> Result<Source, UsageError> {
    if file.extension().is_some_and(|extension| extension == "toml") {
        let message = format!("`{0}` is not a module: did you mean `--config {0}`?", file.display());
        return Err(UsageError::new(ErrorKind::ValueValidation, message));
    }
    Ok(Source::Module(file))
}

fn existing_file(path: &OsStr) -> Result<PathBuf, UsageError> {
    let file = PathBuf::from(path);
    if file.is_file() {
        return Ok(file);
    }
    let what = if file.exists() { "is not a regular file" } else { "does not exist" };
    Err(UsageError::new(ErrorKind::ValueValidation, format!("`{}` {what}", file.display())))
}

fn is_module(name: &str) -> bool {
    name.ends_with(".wasm") || name.ends_with(".wat")
}

pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    parse_pair(text).map_err(|error| match is_module(text) {
        true => format!("{error}; a module to serve comes before the options, or after `--`"),
        false => error.to_string(),
    })
}
