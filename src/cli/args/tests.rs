//! Command lines, and the options that they set.

use std::path::{Path, PathBuf};

use wagi::config::{
    AccessLogTarget, BindleLocation, ListenAddress, LogFormat, Login, Options, PullPolicy, Source, TlsFiles,
};
use wagi::fetch::Layout;

use crate::cli::args::*;

fn with_env(line: &str, env: &[(&str, &str)]) -> Result<Options, clap::Error> {
    command(line, env).map(|command| match command {
        Command::Serve(options) => *options,
        _ => panic!("{line} does not serve"),
    })
}

fn command(line: &str, env: &[(&str, &str)]) -> Result<Command, clap::Error> {
    let words = std::iter::once("wagi").chain(line.split(' ').filter(|word| !word.is_empty()));
    // In these tests `''` is the empty argument and `~` a blank.
    let words = words.map(|word| if word == "''" { String::new() } else { word.replace('~', " ") });
    parse_from(words, |name| env.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
}

fn options(line: &str) -> Options {
    with_env(line, &[]).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn usage_error(line: &str, env: &[(&str, &str)]) -> String {
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
    assert_eq!(options.listen, []);
    assert_eq!((options.hostname, options.cache, options.module_cache), (None, None, None));
    assert_eq!((options.log_dir, options.tls, options.log_format), (None, None, LogFormat::Text));
    assert_eq!(options.access_log, AccessLogTarget::StandardError);
    assert!(options.env.is_empty() && options.env_files.is_empty() && !options.check && !options.strict);
}

#[test]
fn every_option_arrives() {
    let typed = options(
        "--config Cargo.toml --cache c.toml --listen [::1]:80 --hostname example.com:81 --module-cache m \
         --log-dir l --log-format json --access-log a.log --tls-cert c.pem --tls-key k.pem --env-file a b --env-file c \
         --outbound-ca a.pem --check --strict",
    );
    assert_eq!(typed.listen, [ListenAddress::Tcp("[::1]:80".parse().expect("an address"))]);
    assert_eq!(typed.hostname.map(|hostname| hostname.to_string()).as_deref(), Some("example.com:81"));
    assert_eq!(typed.cache.as_deref(), Some(Path::new("c.toml")));
    assert_eq!(typed.module_cache.as_deref(), Some(Path::new("m")));
    assert_eq!(typed.log_dir.as_deref(), Some(Path::new("l")));
    assert_eq!(typed.log_format, LogFormat::Json);
    assert_eq!(typed.access_log, AccessLogTarget::File("a.log".into()));
    assert_eq!(options("-c Cargo.toml --access-log off").access_log, AccessLogTarget::Nowhere);
    assert_eq!(typed.tls, Some(TlsFiles::new("c.pem", "k.pem")));
    assert_eq!(typed.env_files, ["a", "b", "c"].map(PathBuf::from));
    assert_eq!(typed.outbound_ca.as_deref(), Some(Path::new("a.pem")));
    assert!(typed.check && typed.strict);
    assert!(options("-c Cargo.toml --default-host h").hostname.is_some());
}

#[test]
fn exactly_one_source_is_served() {
    let here = Source::Module("Cargo.lock".into());
    for (line, source) in [
        ("Cargo.lock", here.clone()),
        ("Cargo.lock -e A=1", here.clone()),
        ("-e A=1 -- Cargo.lock", here.clone()),
        ("-e A=1 -l 127.0.0.1:1 Cargo.lock", here),
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
        ("Cargo.toml", "did you mean `--config Cargo.toml`?"),
        ("-b a/1.0.0", "--bindle needs"),
        ("-b a/1.0.0 --bindle-path '' --bindle-url ''", "--bindle needs"),
        ("-b a/1.0.0 --bindle-path src --bindle-url http://b", "one place only"),
        ("-b a/1.0.0 --bindle-path Cargo.toml", "not an existing directory"),
        ("-b a/1.0.0 --bindle-url http://b --bindle-http-user me", "need each other"),
        ("-b a/1.0.0 --bindle-url http://b --bindle-http-password p", "need each other"),
        ("-c Cargo.toml --tls-cert c", "needs --tls-key"),
        ("-c Cargo.toml --tls-key k", "needs --tls-cert"),
        ("-c Cargo.toml --colour", "--colour"),
        ("Cargo.lock --access-log ''", "names no file"),
        ("Cargo.lock --locked", "--locked needs --config"),
    ] {
        let shown = usage_error(line, &[]);
        assert!(shown.contains(message), "{line}: {shown}");
    }
}

#[test]
fn an_option_takes_precedence_over_its_environment_variable() {
    let env = [("BINDLE_URL", "http://env/v1"), ("BINDLE_HTTP_USER", "me"), ("BINDLE_HTTP_PASSWORD", "pw")];
    let location = |line: &str| match with_env(line, &env).expect(line).source {
        Source::Bindle { location, .. } => location,
        other => panic!("{other:?}"),
    };
    let login = Some(Login { user: "me".to_owned(), password: "pw".to_owned() });
    let server = |url: &str, insecure| BindleLocation::Server { url: url.to_owned(), login: login.clone(), insecure };
    assert_eq!(location("-b a/1.0.0"), server("http://env/v1", false));
    assert_eq!(location("-b a/1.0.0 -k --bindle-url http://typed"), server("http://typed", true));
    assert_eq!(location("-b a/1.0.0 --bindle-path src"), BindleLocation::Directory("src".into()));

    let env = [("WAGI_LOG_DIR", "env"), ("WAGI_TLS_CERT", "env.cert"), ("WAGI_TLS_KEY", "env.key")];
    let typed = with_env("-c Cargo.toml --log-dir typed --tls-key typed.key", &env).expect("valid");
    assert_eq!(typed.log_dir, Some("typed".into()));
    assert_eq!(typed.tls, Some(TlsFiles::new("env.cert", "typed.key")));
}

#[test]
fn an_empty_environment_variable_counts_as_not_set() {
    let env = [("WAGI_LOG_DIR", ""), ("WAGI_TLS_CERT", ""), ("WAGI_TLS_KEY", ""), ("BINDLE_URL", "")];
    let typed = with_env("-c Cargo.toml", &env).expect("valid");
    assert_eq!((typed.log_dir, typed.tls), (None, None));
    assert!(usage_error("-b a/1.0.0", &env).contains("--bindle needs"));
    assert!(usage_error("-c Cargo.toml", &[("WAGI_TLS_CERT", "c")]).contains("WAGI_TLS_KEY"));
    assert!(usage_error("-c Cargo.toml", &[("BINDLE_HTTP_USER", "me")]).contains("need each other"));
}

#[test]
fn credentials_for_registries_are_where_docker_and_podman_keep_them() {
    let files = |env: &[(&str, &str)]| with_env("-c Cargo.toml", env).expect("valid").registries.credentials;
    let home = ["/h/.docker/config.json", "/h/.config/containers/auth.json"].map(PathBuf::from);
    assert_eq!(files(&[("HOME", "/h")]), home);
    let all = ["/d/config.json", "/x/containers/auth.json", "/h/.config/containers/auth.json"].map(PathBuf::from);
    assert_eq!(files(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d"), ("XDG_RUNTIME_DIR", "/x")]), all);
    assert_eq!(files(&[("HOME", ""), ("DOCKER_CONFIG", "")]), [] as [PathBuf; 0]);
}

#[test]
fn caches_are_in_the_directory_of_the_user() {
    let cache = |env: &[(&str, &str)]| with_env("-c Cargo.toml", env).expect("valid").user_cache;
    assert_eq!(cache(&[("HOME", "/h")]), Some("/h/.cache/wagi".into()));
    assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Some("/x/wagi".into()));
    assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "x")]), Some("/h/.cache/wagi".into()));
    assert_eq!(cache(&[("HOME", "h"), ("XDG_CACHE_HOME", "")]), None);
}

#[test]
fn variables_come_several_to_a_flag_and_lose_their_quotes() {
    let typed = options("-e A=1 B=2 --env C=\"c~d\" -c Cargo.toml -e D= E='x' -l 127.0.0.1:1");
    let pairs: Vec<_> = typed.env.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(pairs, [("A", "1"), ("B", "2"), ("C", "c d"), ("D", ""), ("E", "x")]);
    assert!(usage_error("-c Cargo.toml -e FOO", &[]).contains("no `=` in `FOO`"));
    assert!(usage_error("-c Cargo.toml -e =bar", &[]).contains("no name before"));
    assert!(usage_error("-e A=1 app.wasm", &[]).contains("comes before the options, or after `--`"));
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
        let shown = usage_error(&format!("-c Cargo.toml -l {address}"), &[]);
        assert!(shown.contains(help) && shown.contains(address), "{address}: {shown}");
    }
    assert!(usage_error("-c Cargo.toml --hostname a:b", &[]).contains("`b` in `a:b` is not a port"));
}

#[test]
fn commands_for_registries_take_what_they_need() {
    let here = [("HOME", "/h")];
    let Ok(Command::Push(push)) = command("push a.wasm r.io/a:1 --layout legacy --plain-http r.io", &here) else {
        panic!("it is a push")
    };
    assert_eq!(push.publication.file, Path::new("a.wasm"));
    assert_eq!((push.publication.reference.as_str(), push.publication.layout), ("r.io/a:1", Layout::Legacy));
    assert_eq!(push.registries.plain_http, ["r.io"]);
    let Ok(Command::Push(push)) = command("push a.wasm r.io/a", &here) else { panic!("it is a push") };
    assert_eq!(push.publication.layout, Layout::Cncf);
    let Ok(Command::Pull(pull)) = command("pull a b --pull never --module-cache c --registry-ca d", &here) else {
        panic!("it is a pull")
    };
    assert_eq!((pull.references.len(), pull.module_cache.as_deref()), (2, Some(Path::new("c"))));
    assert_eq!((pull.registries.pull, pull.registries.ca_file), (PullPolicy::Never, Some("d".into())));
    let Ok(Command::Login(login)) = command("login r.io -u me --password-stdin", &here) else {
        panic!("it is a login")
    };
    assert_eq!((login.registry.as_str(), login.username.as_deref(), login.password_stdin), ("r.io", Some("me"), true));
    assert_eq!(login.registries.credentials[0], Path::new("/h/.docker/config.json"));
    let Ok(Command::Logout(logout)) = command("logout r.io", &here) else { panic!("it is a logout") };
    assert_eq!((logout.registry.as_str(), logout.credentials.len()), ("r.io", 2));
    for line in ["push a.wasm", "push a.wasm r.io/a --pull never", "pull", "login", "login r.io -p x", "logout r.io me"]
    {
        assert!(command(line, &here).is_err_and(|error| error.exit_code() == 2), "{line}");
    }
}

/// The way Hippo starts WAGI 0.8 under Nomad.
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
fn help_and_version_exit_0() {
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

#[test]
fn commands_for_what_is_done_ahead_arrive() {
    let Ok(Command::Compile(compile)) = command("compile --optimize a.wasm -o b", &[]) else { panic!("no compiling") };
    assert_eq!((compile.file.to_str(), compile.output.as_deref()), (Some("a.wasm"), Some(Path::new("b"))));
    assert!(compile.optimize);
    let Ok(Command::Compile(compile)) = command("compile a.wasm", &[]) else { panic!("no compiling") };
    assert!(compile.output.is_none() && !compile.optimize);
    let Ok(Command::Preinit(preinit)) = command("preinit a.wasm -o b", &[]) else { panic!("no initializing") };
    assert_eq!((preinit.file.to_str(), preinit.output.to_str()), (Some("a.wasm"), Some("b")));
    for line in ["compile", "preinit a.wasm", "preinit -o b"] {
        assert_eq!(command(line, &[]).err().map(|error| error.exit_code()), Some(2), "{line}");
    }
}

#[test]
fn words_of_other_programs_are_answered_with_what_to_type() {
    for (line, cure) in [
        ("serve", "what to serve is missing"),
        ("serve hello.wasm -p 80", "did you mean `--listen 127.0.0.1:80`?"),
        ("start hello.wasm -l 127.0.0.1:1", "did you mean `wagi hello.wasm -l 127.0.0.1:1`?"),
        ("up m.toml", "did you mean `wagi --config m.toml`?"),
        ("init", "did you mean `wagi new`?"),
        ("init hello", "did you mean `wagi new hello`?"),
        ("build", "compile a program"),
        ("help", "did you mean `wagi --help`?"),
        ("help push", "did you mean `wagi push --help`?"),
        ("pussh a.wasm r.io/a", "did you mean `wagi push a.wasm r.io/a`?"),
        ("hello.wasm hello.wasm", "one module can be given"),
        ("-e A=1 -- hello.wasm --check", "write `wagi hello.wasm --check -e A=1`"),
        ("--env-file f hello.wasm", "`hello.wasm` is taken for an environment file"),
        ("hello.wasm --port 80", "did you mean `--listen 127.0.0.1:80`?"),
        ("-c Cargo.toml -p 80", "did you mean `--listen 127.0.0.1:80`?"),
        ("-c Cargo.toml --port=80", "did you mean `--listen 127.0.0.1:80`?"),
        ("-c Cargo.toml --addr 1.2.3.4:80", "`--listen IP:PORT`"),
        ("-c Cargo.toml --dir .", "`volumes = {"),
        ("-c Cargo.toml --verbose", "RUST_LOG=debug"),
        ("-c Cargo.toml -l unix:", "`unix:/run/wagi/http.sock`"),
    ] {
        let shown = usage_error(line, &[]);
        assert!(shown.contains(cure), "{line}: {shown}");
    }
    assert!(!usage_error("no/such.wasm", &[]).contains("did you mean"));
}
