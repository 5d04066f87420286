//! What an operator or a developer is told of the commonest mistakes: in configurations, in files that are no programs that run here, and
//! in programs that fail.
//!
//! Each file in `tests/messages` has mistakes, each with its message. `WAGI_BLESS=1 cargo test messages` writes the messages anew; look
//! at the difference before you commit it.

mod cases;
mod programs;

use std::path::Path;

use crate::messages::cases::{Case, Cases};
use crate::support::process::run;
use crate::support::site::Site;

/// A screen has so many lines.
const SCREEN: usize = 24;

/// The least number of mistakes that have a message.
const MISTAKES: usize = 60;

/// A module that does nothing.
const NOTHING: &str = "(module (memory (export \"memory\") 1) (func (export \"_start\")))";

/// What a command says on standard error, run in the directory of a site.
fn said(site: &Site, arguments: &[&str]) -> String {
    let output = run(site.path(), arguments);
    let said = String::from_utf8_lossy(&output.stderr).replace(&site.path().display().to_string(), "[SITE]");
    said.trim().to_owned()
}

/// Compares the messages of a file with those of today, which say where the mistake is, and what to do.
#[track_caller]
fn compare(name: &str, place: &str, message: impl Fn(&Case) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages").join(name);
    let cases = Cases::read(&path);
    let today = cases.with(message);
    if std::env::var_os("WAGI_BLESS").is_some() {
        std::fs::write(&path, today.to_string()).expect("the file can be written");
        return;
    }
    for (case, today) in cases.0.iter().zip(&today.0) {
        let Case { name, message, .. } = today;
        assert!(message.lines().count() <= SCREEN, "{name}: more than a screen\n{message}");
        assert!(message.contains(place), "{name}: where it is\n{message}");
        assert!(
            ["help: ", "; write ", "such as"].iter().any(|cure| message.contains(cure)),
            "{name}: no cure\n{message}"
        );
        assert_eq!(case.message, *message, "{}: {name}", path.display());
    }
}

#[test]
fn mistakes_in_configurations_have_messages() {
    compare("configurations.md", "modules.toml:", |case| {
        let site = Site::new();
        site.file("hello.wat", NOTHING);
        site.file("modules.toml", &case.input);
        said(&site, &["check"])
    });
}

#[test]
fn files_that_are_no_programs_that_run_here_have_messages() {
    compare("modules.md", "modules.toml:", |case| {
        let site = Site::new();
        site.file("app.wasm", case.bytes());
        site.file("modules.toml", "[[module]]\nroute = \"/\"\nmodule = \"app.wasm\"\n");
        said(&site, &["check"])
    });
}

#[test]
fn programs_that_fail_have_messages() {
    compare("failures.md", "app.wat", |case| {
        let program: toml::Table = case.input.parse().expect(&case.name);
        let keys = program.get("keys").and_then(toml::Value::as_str).unwrap_or_default();
        let site = Site::new();
        site.file("app.wat", programs::text(&program));
        site.file("modules.toml", format!("[[module]]\nroute = \"/\"\nmodule = \"app.wat\"\n{keys}\n"));
        said(&site, &["run", "modules.toml", "/"])
    });
}

#[test]
fn there_are_sixty_mistakes() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let files = std::fs::read_dir(directory).expect("the messages").map(|entry| entry.expect("a file").path());
    let count: usize = files.map(|path| Cases::read(&path).0.len()).sum();
    assert!(count >= MISTAKES, "{count}");
}
