//! What do whole configuration files come to? Every file below `tests/manifests/good` starts, every one below `bad` does
//! not; the `.out` file beside it holds what the operator sees and, for the good ones, which scripts there are.
//!
//! `WAGI_BLESS=1 cargo test manifests` writes the `.out` files anew; look at the difference before you commit it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use wagi::config::{Config, Diagnostic, Options, ServerEnvironment, Source, UnknownImports};

/// The files in a folder of manifests, named as from the root of the package, where tests run.
fn manifests(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new("tests/manifests").join(folder);
    let entries = fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.expect("readable").path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect();
    files.sort();
    files
}

/// Files called `NAME.strict.toml` are read as with `--strict`.
fn load(path: &Path) -> (Config, Vec<Diagnostic>) {
    let mut options = Options::new(Source::Manifest(path.to_owned()));
    options.strict = path.to_string_lossy().ends_with(".strict.toml");
    options.env_files = vec!["tests/manifests/files/settings.env".into()];
    options.env = vec![("SECOND".to_owned(), "two".to_owned()), ("THIRD".to_owned(), "3".to_owned())];
    options.server_environment = ServerEnvironment::new(|name| (name == "GREETED").then(|| "world".into()));
    Config::load(&options)
}

fn shown(problems: &[Diagnostic]) -> String {
    let here = std::env::current_dir().expect("there is one").display().to_string();
    let rendered: Vec<_> = problems.iter().map(|problem| problem.render(false).replace(&here, "[HERE]")).collect();
    rendered.join("\n\n") + "\n"
}

fn summary(config: &Config) -> String {
    let mut text = format!("hostname {} {:?}\n{:?}\n", config.hostname, config.limits, config.server.limits);
    for script in &config.entries {
        let _ = writeln!(text, "\n{} runs {} of {}", script.route, script.entrypoint, script.module);
        let names: Vec<_> = script.hosts.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "  for {}", if names.is_empty() { "every host".to_owned() } else { names.join(" ") });
        let _ = writeln!(text, "  argv {:?}, credentials {}", script.argv, script.pass_authorization == Some(true));
        if script.unknown_imports == UnknownImports::Trap {
            let _ = writeln!(text, "  unknown imports trap");
        }
        if let Some(verify) = &script.verify {
            let _ = writeln!(text, "  {:?}", verify.signers);
        }
        if script.compress {
            let _ = writeln!(text, "  compressed");
        }
        let _ = writeln!(text, "  environment {:?}", script.environment);
        let _ = writeln!(text, "  volumes {:?}", script.volumes);
        if let Some(scripts) = &script.scripts {
            let _ = writeln!(text, "  {scripts:?}");
        }
        if !script.scratch.is_empty() {
            let _ = writeln!(text, "  scratch {:?}", script.scratch);
        }
        let _ = writeln!(text, "  hosts {:?}, at once {:?}", script.allowed_hosts, script.http_max_concurrency);
        let _ = writeln!(text, "  {:?}", script.limits);
    }
    for registry in &config.signed_registries {
        let _ = writeln!(text, "\n{}: {:?}", registry.name, registry.verify.signers);
    }
    for build in &config.builds {
        let _ = writeln!(text, "\n{build:?}");
    }
    for files in &config.static_files {
        let _ = writeln!(text, "\n{} has {:?}, behind {} modules", files.route, files.content, files.modules_before);
        let names: Vec<_> = files.hosts.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "  for {}", if names.is_empty() { "every host".to_owned() } else { names.join(" ") });
        let _ = writeln!(text, "  compressed {}, {:?}", files.precompressed, files.headers);
    }
    text
}

fn compare(path: &Path, actual: &str, differences: &mut Vec<String>) {
    let expected_path = path.with_extension("out");
    if std::env::var_os("WAGI_BLESS").is_some() {
        fs::write(&expected_path, actual).expect("writable");
    }
    let expected = fs::read_to_string(&expected_path).unwrap_or_default();
    if expected != actual {
        differences.push(format!("{}: expected\n{expected}\nbut it is\n{actual}", expected_path.display()));
    }
}

#[test]
fn good_manifests_load() {
    let mut differences = Vec::new();
    for path in manifests("good") {
        let (config, problems) = load(&path);
        assert!(!problems.iter().any(Diagnostic::is_error), "{}", shown(&problems));
        compare(&path, &(shown(&problems) + "\n" + &summary(&config)), &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// What stands for a password in these files is in none of the answers to them.
#[test]
fn no_problem_shows_the_value_of_a_variable() {
    for path in manifests("bad") {
        let (config, problems) = load(&path);
        let shown = shown(&problems) + &format!("{problems:?} {config:?}");
        for secret in ["hunter", "1234"] {
            assert!(!shown.contains(secret), "{}: {shown}", path.display());
        }
    }
}

#[test]
fn bad_manifests_are_explained() {
    let mut differences = Vec::new();
    for path in manifests("bad") {
        let (_, problems) = load(&path);
        assert!(problems.iter().any(Diagnostic::is_error), "{} is good", path.display());
        compare(&path, &shown(&problems), &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
