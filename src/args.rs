//! How does a command line become [`Options`]?
//!
//! The only file that knows clap. `main` calls [`parse`]; tests call [`parse_from`] with an environment of their own.
//! What cannot be meant is answered here, with clap's own words and exit code 2.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

use wagi::config::{BindleLocation, Hostname, LogFormat, Login, Options, Source, TlsFiles, parse_pair};

/// Serves WebAssembly modules over HTTP, CGI style.
///
/// What to serve is given by one of FILE, --config and --bindle.
#[derive(Parser)]
#[command(name = "wagi", display_name = "WAGI Server", version, max_term_width = 100)]
struct CommandLine {
    /// One module to serve at every path
    ///
    /// It comes first or after `--`: behind -e and --env-file it would be taken for one more of their values.
    #[arg(value_name = "FILE.wasm|FILE.wat")]
    module: Option<OsString>,

    /// The modules.toml that lists the modules to serve
    #[arg(short, long, value_name = "FILE")]
    config: Option<OsString>,

    /// The bindle to serve, NAME/VERSION; needs --bindle-path or --bindle-url
    #[arg(short, long, value_name = "ID")]
    bindle: Option<String>,

    /// A directory of standalone bindles
    #[arg(long, value_name = "DIR")]
    bindle_path: Option<OsString>,

    /// The base URL of a bindle server, API version included [env: BINDLE_URL]
    #[arg(long, value_name = "URL")]
    bindle_url: Option<String>,

    /// The name to log in with at the bindle server [env: BINDLE_HTTP_USER]
    #[arg(long, value_name = "NAME")]
    bindle_http_user: Option<String>,

    /// The password that goes with it [env: BINDLE_HTTP_PASSWORD]
    #[arg(long, value_name = "PASSWORD")]
    bindle_http_password: Option<String>,

    /// Accept any certificate from the bindle server
    #[arg(short = 'k', long)]
    bindle_insecure: bool,

    /// The configuration of the compilation cache [default: cache.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    cache: Option<PathBuf>,

    /// The IP address and port to listen on
    #[arg(short, long, value_name = "IP:PORT", default_value = "127.0.0.1:3000", value_parser = listen_address)]
    listen: SocketAddr,

    /// The server's own name, for requests that do not say whom they are for [default: localhost:3000]
    #[arg(long, alias = "default-host", value_name = "HOST[:PORT]")]
    hostname: Option<Hostname>,

    /// Keep modules of registries and bindles in this directory [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    module_cache: Option<PathBuf>,

    /// Keep the standard error of modules in files below this directory [env: WAGI_LOG_DIR]
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,

    /// The form of the server's own log
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Form::Text)]
    log_format: Form,

    /// The certificate chain for TLS, PEM; needs --tls-key [env: WAGI_TLS_CERT]
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,

    /// The private key for TLS, PEM; needs --tls-cert [env: WAGI_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Variables for every module; overrides --env-file
    #[arg(short, long, value_name = "NAME=VALUE", num_args = 1.., value_parser = variable)]
    env: Vec<(String, String)>,

    /// Files with NAME=VALUE lines, for every module
    #[arg(long, value_name = "FILE", num_args = 1..)]
    env_file: Vec<PathBuf>,

    /// Check everything, print the table of routes, and do not serve
    #[arg(long)]
    check: bool,

    /// Take unknown keys in configuration files for errors
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

/// What the process was started with. Ends it if that cannot be meant, or asks for help or the version only.
pub fn parse() -> Options {
    parse_from(std::env::args_os(), |name| std::env::var_os(name)).unwrap_or_else(|error| error.exit())
}

/// Parses `arguments`, the first of which is the program, with `variable` to look up environment variables.
///
/// An option on the command line beats its environment variable; an empty variable is none.
pub fn parse_from<A>(
    arguments: impl IntoIterator<Item = A>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Options, clap::Error>
where
    A: Into<OsString> + Clone,
{
    let mut command = CommandLine::command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    let typed = CommandLine::from_arg_matches(&matches)?;
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    typed.options(&variable).map_err(|refusal| command.error(refusal.kind, refusal.message))
}

/// Why the options do not go together.
struct Refusal {
    kind: ErrorKind,
    message: String,
}

impl Refusal {
    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl CommandLine {
    fn options(self, variable: Variable<'_>) -> Result<Options, Refusal> {
        let directory = |typed: Option<PathBuf>, name: &str| typed.or_else(|| variable(name).map(PathBuf::from));
        Ok(Options {
            source: self.source(variable)?,
            tls: tls(directory(self.tls_cert, "WAGI_TLS_CERT"), directory(self.tls_key, "WAGI_TLS_KEY"))?,
            cache: self.cache,
            listen: self.listen,
            hostname: self.hostname,
            module_cache: self.module_cache,
            registry_credentials: registry_credentials(variable),
            log_dir: directory(self.log_dir, "WAGI_LOG_DIR"),
            log_format: match self.log_format {
                Form::Text => LogFormat::Text,
                Form::Json => LogFormat::Json,
            },
            env: self.env,
            env_files: self.env_file,
            check: self.check,
            strict: self.strict,
        })
    }

    fn source(&self, variable: Variable<'_>) -> Result<Source, Refusal> {
        let login = self.login(variable)?;
        let module = self.module.as_deref().map(existing_file).transpose()?;
        let config = self.config.as_deref().filter(|file| !file.is_empty());
        let bindle = self.bindle.as_deref().filter(|id| !id.is_empty());
        match (module, config, bindle) {
            (Some(module), None, None) => Ok(Source::Module(module)),
            (None, Some(file), None) => Ok(Source::Manifest(existing_file(file)?)),
            (None, None, Some(id)) => {
                Ok(Source::Bindle { id: id.to_owned(), location: self.bindle_location(login, variable)? })
            }
            (None, None, None) => {
                if self.bindle_path.as_ref().is_some_and(|path| !path.is_empty()) {
                    return Err(Refusal::new(ErrorKind::MissingRequiredArgument, "--bindle-path needs --bindle ID"));
                }
                let message = "what to serve is missing: give a module, or --config FILE, or --bindle ID";
                Err(Refusal::new(ErrorKind::MissingRequiredArgument, message))
            }
            _ => {
                let message = "only one can be served: a module, --config FILE, or --bindle ID";
                Err(Refusal::new(ErrorKind::ArgumentConflict, message))
            }
        }
    }

    fn login(&self, variable: Variable<'_>) -> Result<Option<Login>, Refusal> {
        let either = |typed: &Option<String>, name: &str| match typed.clone().filter(|text| !text.is_empty()) {
            Some(text) => Ok(Some(text)),
            None => text_of(name, variable),
        };
        let user = either(&self.bindle_http_user, "BINDLE_HTTP_USER")?;
        let password = either(&self.bindle_http_password, "BINDLE_HTTP_PASSWORD")?;
        match (user, password) {
            (Some(user), Some(password)) => Ok(Some(Login { user, password })),
            (None, None) => Ok(None),
            _ => {
                let message = "--bindle-http-user and --bindle-http-password need each other";
                Err(Refusal::new(ErrorKind::MissingRequiredArgument, message))
            }
        }
    }

    fn bindle_location(&self, login: Option<Login>, variable: Variable<'_>) -> Result<BindleLocation, Refusal> {
        let path = self.bindle_path.as_deref().filter(|path| !path.is_empty());
        let url = self.bindle_url.clone().filter(|url| !url.is_empty());
        let server = |url| Ok(BindleLocation::Server { url, login, insecure: self.bindle_insecure });
        match (path, url) {
            (Some(_), Some(_)) => {
                let message = "a bindle is in one place only: --bindle-path or --bindle-url";
                Err(Refusal::new(ErrorKind::ArgumentConflict, message))
            }
            (Some(path), None) if Path::new(path).is_dir() => Ok(BindleLocation::Directory(path.into())),
            (Some(path), None) => {
                let message = format!("--bindle-path: `{}` is not an existing directory", path.display());
                Err(Refusal::new(ErrorKind::ValueValidation, message))
            }
            (None, Some(url)) => server(url),
            (None, None) => match text_of("BINDLE_URL", variable)? {
                Some(url) => server(url),
                None => {
                    let message = "--bindle needs --bindle-path DIR or --bindle-url URL (or BINDLE_URL)";
                    Err(Refusal::new(ErrorKind::MissingRequiredArgument, message))
                }
            },
        }
    }
}

fn text_of(name: &str, variable: Variable<'_>) -> Result<Option<String>, Refusal> {
    let text = variable(name).map(OsString::into_string).transpose();
    text.map_err(|_| Refusal::new(ErrorKind::InvalidUtf8, format!("environment variable {name} is not UTF-8")))
}

/// Where Docker and Podman keep what one logs in to registries with.
fn registry_credentials(variable: Variable<'_>) -> Vec<PathBuf> {
    let below = |name: &str, file: &str| variable(name).map(|directory| Path::new(&directory).join(file));
    let docker = below("DOCKER_CONFIG", "config.json").or_else(|| below("HOME", ".docker/config.json"));
    let podman = [below("XDG_RUNTIME_DIR", "containers/auth.json"), below("HOME", ".config/containers/auth.json")];
    docker.into_iter().chain(podman.into_iter().flatten()).collect()
}

fn tls(cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<TlsFiles>, Refusal> {
    let missing = |message| Err(Refusal::new(ErrorKind::MissingRequiredArgument, message));
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (None, None) => Ok(None),
        (Some(_), None) => missing("--tls-cert (or WAGI_TLS_CERT) needs --tls-key (or WAGI_TLS_KEY)"),
        (None, Some(_)) => missing("--tls-key (or WAGI_TLS_KEY) needs --tls-cert (or WAGI_TLS_CERT)"),
    }
}

fn existing_file(path: &OsStr) -> Result<PathBuf, Refusal> {
    let file = PathBuf::from(path);
    if file.is_file() {
        return Ok(file);
    }
    let what = if file.exists() { "is not a regular file" } else { "does not exist" };
    Err(Refusal::new(ErrorKind::ValueValidation, format!("`{}` {what}", file.display())))
}

fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match text.rsplit_once(':') {
        Some(("localhost", port)) => format!("a host name cannot be listened on; write `127.0.0.1:{port}`"),
        Some(("", port)) => format!("the IP address is missing; write `0.0.0.0:{port}` to listen on all of them"),
        _ => "an IP address and a port are expected, such as `127.0.0.1:3000` or `[::1]:3000`".to_owned(),
    })
}

fn variable(text: &str) -> Result<(String, String), String> {
    parse_pair(text).map_err(|error| match text.ends_with(".wasm") || text.ends_with(".wat") {
        true => format!("{error}; a module to serve comes before the options, or after `--`"),
        false => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_env(line: &str, env: &[(&str, &str)]) -> Result<Options, clap::Error> {
        let words = std::iter::once("wagi").chain(line.split(' ').filter(|word| !word.is_empty()));
        // In these tests `''` is the empty argument and `~` a blank.
        let words = words.map(|word| if word == "''" { String::new() } else { word.replace('~', " ") });
        parse_from(words, |name| env.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    fn options(line: &str) -> Options {
        with_env(line, &[]).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn refusal(line: &str, env: &[(&str, &str)]) -> String {
        let error = with_env(line, env).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        error.to_string()
    }

    fn manifest() -> Source {
        Source::Manifest("Cargo.toml".into())
    }

    #[test]
    fn the_command_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn an_option_left_out_has_its_default() {
        let options = options("-c Cargo.toml");
        assert_eq!(options.source, manifest());
        assert_eq!(options.listen.to_string(), "127.0.0.1:3000");
        assert_eq!((options.hostname, options.cache, options.module_cache), (None, None, None));
        assert_eq!((options.log_dir, options.tls, options.log_format), (None, None, LogFormat::Text));
        assert!(options.env.is_empty() && options.env_files.is_empty() && !options.check && !options.strict);
    }

    #[test]
    fn every_option_arrives() {
        let typed = options(
            "--config Cargo.toml --cache c.toml --listen [::1]:80 --hostname example.com:81 --module-cache m \
             --log-dir l --log-format json --tls-cert c.pem --tls-key k.pem --env-file a b --env-file c --check --strict",
        );
        assert_eq!(typed.listen.to_string(), "[::1]:80");
        assert_eq!(typed.hostname.map(|hostname| hostname.to_string()).as_deref(), Some("example.com:81"));
        assert_eq!(typed.cache.as_deref(), Some(Path::new("c.toml")));
        assert_eq!(typed.module_cache.as_deref(), Some(Path::new("m")));
        assert_eq!(typed.log_dir.as_deref(), Some(Path::new("l")));
        assert_eq!(typed.log_format, LogFormat::Json);
        assert_eq!(typed.tls, Some(TlsFiles { cert: "c.pem".into(), key: "k.pem".into() }));
        assert_eq!(typed.env_files, ["a", "b", "c"].map(PathBuf::from));
        assert!(typed.check && typed.strict);
        assert!(options("-c Cargo.toml --default-host h").hostname.is_some());
    }

    #[test]
    fn exactly_one_source_is_served() {
        let here = Source::Module("Cargo.toml".into());
        for (line, source) in [
            ("Cargo.toml", here.clone()),
            ("Cargo.toml -e A=1", here.clone()),
            ("-e A=1 -- Cargo.toml", here.clone()),
            ("-e A=1 -l 127.0.0.1:1 Cargo.toml", here),
            ("-c Cargo.toml -b ''", manifest()),
            ("-c Cargo.toml --bindle-url http://b --bindle-path nowhere", manifest()),
            ("-c Cargo.toml -k", manifest()),
        ] {
            assert_eq!(options(line).source, source, "{line}");
        }
        for (line, message) in [
            ("", "what to serve is missing"),
            ("-c ''", "what to serve is missing"),
            ("--bindle-url http://b", "what to serve is missing"),
            ("--bindle-path src", "--bindle-path needs --bindle"),
            ("-c Cargo.toml -b a/1.0.0", "only one can be served"),
            ("Cargo.toml -c Cargo.toml", "only one can be served"),
            ("-c no/such.toml", "`no/such.toml` does not exist"),
            ("-c src", "`src` is not a regular file"),
            ("no/such.wasm", "`no/such.wasm` does not exist"),
            ("''", "`` does not exist"),
            ("-b a/1.0.0", "--bindle needs"),
            ("-b a/1.0.0 --bindle-path '' --bindle-url ''", "--bindle needs"),
            ("-b a/1.0.0 --bindle-path src --bindle-url http://b", "one place only"),
            ("-b a/1.0.0 --bindle-path Cargo.toml", "not an existing directory"),
            ("-b a/1.0.0 --bindle-url http://b --bindle-http-user me", "need each other"),
            ("-b a/1.0.0 --bindle-url http://b --bindle-http-password p", "need each other"),
            ("-c Cargo.toml --tls-cert c", "needs --tls-key"),
            ("-c Cargo.toml --tls-key k", "needs --tls-cert"),
            ("-c Cargo.toml --colour", "--colour"),
        ] {
            let shown = refusal(line, &[]);
            assert!(shown.contains(message), "{line}: {shown}");
        }
    }

    #[test]
    fn an_option_beats_its_environment_variable() {
        let env = [("BINDLE_URL", "http://env/v1"), ("BINDLE_HTTP_USER", "me"), ("BINDLE_HTTP_PASSWORD", "pw")];
        let location = |line: &str| match with_env(line, &env).expect(line).source {
            Source::Bindle { location, .. } => location,
            other => panic!("{other:?}"),
        };
        let login = Some(Login { user: "me".to_owned(), password: "pw".to_owned() });
        let server =
            |url: &str, insecure| BindleLocation::Server { url: url.to_owned(), login: login.clone(), insecure };
        assert_eq!(location("-b a/1.0.0"), server("http://env/v1", false));
        assert_eq!(location("-b a/1.0.0 -k --bindle-url http://typed"), server("http://typed", true));
        assert_eq!(location("-b a/1.0.0 --bindle-path src"), BindleLocation::Directory("src".into()));

        let env = [("WAGI_LOG_DIR", "env"), ("WAGI_TLS_CERT", "env.cert"), ("WAGI_TLS_KEY", "env.key")];
        let typed = with_env("-c Cargo.toml --log-dir typed --tls-key typed.key", &env).expect("valid");
        assert_eq!(typed.log_dir, Some("typed".into()));
        assert_eq!(typed.tls, Some(TlsFiles { cert: "env.cert".into(), key: "typed.key".into() }));
    }

    #[test]
    fn an_empty_environment_variable_is_none() {
        let env = [("WAGI_LOG_DIR", ""), ("WAGI_TLS_CERT", ""), ("WAGI_TLS_KEY", ""), ("BINDLE_URL", "")];
        let typed = with_env("-c Cargo.toml", &env).expect("valid");
        assert_eq!((typed.log_dir, typed.tls), (None, None));
        assert!(refusal("-b a/1.0.0", &env).contains("--bindle needs"));
        assert!(refusal("-c Cargo.toml", &[("WAGI_TLS_CERT", "c")]).contains("WAGI_TLS_KEY"));
        assert!(refusal("-c Cargo.toml", &[("BINDLE_HTTP_USER", "me")]).contains("need each other"));
    }

    #[test]
    fn credentials_for_registries_are_where_docker_and_podman_keep_them() {
        let files = |env: &[(&str, &str)]| with_env("-c Cargo.toml", env).expect("valid").registry_credentials;
        let home = ["/h/.docker/config.json", "/h/.config/containers/auth.json"].map(PathBuf::from);
        assert_eq!(files(&[("HOME", "/h")]), home);
        let all = ["/d/config.json", "/x/containers/auth.json", "/h/.config/containers/auth.json"].map(PathBuf::from);
        assert_eq!(files(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d"), ("XDG_RUNTIME_DIR", "/x")]), all);
        assert_eq!(files(&[("HOME", ""), ("DOCKER_CONFIG", "")]), [] as [PathBuf; 0]);
    }

    #[test]
    fn variables_come_several_to_a_flag_and_lose_their_quotes() {
        let typed = options("-e A=1 B=2 --env C=\"c~d\" -c Cargo.toml -e D= E='x' -l 127.0.0.1:1");
        let pairs: Vec<_> = typed.env.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(pairs, [("A", "1"), ("B", "2"), ("C", "c d"), ("D", ""), ("E", "x")]);
        assert!(refusal("-c Cargo.toml -e FOO", &[]).contains("no `=` in `FOO`"));
        assert!(refusal("-c Cargo.toml -e =bar", &[]).contains("no name before"));
        assert!(refusal("-e A=1 app.wasm", &[]).contains("comes before the options, or after `--`"));
    }

    #[test]
    fn an_address_is_an_ip_address_and_a_port() {
        for (address, help) in [
            ("localhost:3000", "write `127.0.0.1:3000`"),
            (":3000", "write `0.0.0.0:3000`"),
            ("127.0.0.1", "such as `127.0.0.1:3000`"),
            ("::1:3000:x", "such as"),
            ("127.0.0.1:99999", "such as"),
        ] {
            let shown = refusal(&format!("-c Cargo.toml -l {address}"), &[]);
            assert!(shown.contains(help) && shown.contains(address), "{address}: {shown}");
        }
        assert!(refusal("-c Cargo.toml --hostname a:b", &[]).contains("`b` in `a:b` is not a port"));
    }

    /// The way Hippo starts WAGI under Nomad.
    #[test]
    fn known_callers_are_understood() {
        let env = [("BINDLE_URL", "http://b/v1"), ("WAGI_LOG_DIR", "elsewhere"), ("RUST_LOG", "warn")];
        let line =
            "--listen 127.0.0.1:8080 --log-dir local/log --bindle a/b/1.0.0 --cache local/cache.toml -e A='1' -e B=2";
        let typed = with_env(line, &env).expect("valid");
        assert!(matches!(typed.source, Source::Bindle { ref id, .. } if id == "a/b/1.0.0"));
        assert_eq!(typed.env[0], ("A".to_owned(), "1".to_owned()));
        let typed =
            with_env("-b a/1.0.0 --bindle-url http://b -l 127.0.0.1:1 --env K=\"V\" --env L=M", &[]).expect("valid");
        assert_eq!(typed.env.len(), 2);
    }

    #[test]
    fn help_and_version_are_no_failures() {
        let shown = |line: &str| {
            let error = with_env(line, &[]).expect_err(line);
            assert_eq!(error.exit_code(), 0);
            error.to_string()
        };
        assert_eq!(shown("-V"), format!("WAGI Server {}\n", env!("CARGO_PKG_VERSION")));
        assert_eq!(shown("--version"), shown("-V"));
        for word in
            ["BINDLE_URL", "BINDLE_HTTP_USER", "BINDLE_HTTP_PASSWORD", "WAGI_LOG_DIR", "WAGI_TLS_CERT", "WAGI_TLS_KEY"]
        {
            assert!(shown("-h").contains(word) && shown("--help").contains(word), "{word}");
        }
    }
}
