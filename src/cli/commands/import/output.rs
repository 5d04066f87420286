//! How is the modules.toml written?

use std::fmt::Write as _;

use crate::cli::commands::import::entry::{ImportedEntry, ImportedProgram, ImportedTarget};
use crate::cli::commands::import::hosts::quoted;
use crate::cli::commands::import::manifest::SpinManifest;

/// The whole file.
pub(super) fn text(manifest: &SpinManifest<'_>, entries: &[ImportedEntry]) -> String {
    let name = manifest.name.as_deref().map(|name| format!(" of `{}`", comment(name))).unwrap_or_default();
    let mut text = format!(
        "# Made from the spin.toml{name} by `wagi import`.\n\
        # Relative paths begin in the directory in which wagi is run. The first route that matches wins.\n"
    );
    for entry in entries {
        text.push_str(&written(entry));
    }
    text
}

/// A text that stays in its comment.
fn comment(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A key as TOML, on one line: a value may have several, a key may not.
fn key(text: &str) -> String {
    let escaped = text.chars().map(|letter| match letter {
        '"' | '\\' => format!("\\{letter}"),
        letter if letter.is_control() => format!("\\u{:04x}", u32::from(letter)),
        letter => letter.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

fn written(entry: &ImportedEntry) -> String {
    let route = quoted(&entry.route.text);
    match &entry.target {
        ImportedTarget::Files(directory) => {
            format!("\n# {}\n[[static]]\nroute = {route}\ndirectory = {}\n", comment(&entry.id), quoted(directory))
        }
        ImportedTarget::Program(program) => {
            format!("\n# {}\n[[module]]\nroute = {route}\n{}", comment(&entry.id), keys(program))
        }
    }
}

fn keys(program: &ImportedProgram) -> String {
    let mut text = format!("module = {}\n", quoted(&program.module));
    let simple = [("entrypoint", &program.entrypoint), ("argv", &program.argv)];
    for (key, value) in simple.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
        let _ = writeln!(text, "{key} = {}", quoted(value));
    }
    if let Some(build) = &program.build {
        let _ = writeln!(text, "build = {}", quoted(&build.command));
        if !build.watch.is_empty() {
            let watch: Vec<String> = build.watch.iter().map(|path| quoted(path)).collect();
            let _ = writeln!(text, "watch = [{}]", watch.join(", "));
        }
    }
    if !program.allowed_hosts.is_empty() {
        let _ = writeln!(text, "allowed_hosts = [{}]", program.allowed_hosts.join(", "));
    }
    if !program.environment.is_empty() {
        text.push_str("[module.environment]\n");
        for (name, value) in &program.environment {
            let _ = writeln!(text, "{} = {}", key(name), quoted(value));
        }
    }
    if !program.volumes.is_empty() {
        text.push_str("[module.volumes]\n");
        for volume in &program.volumes {
            // Programs do not write to their files in Spin.
            let _ = writeln!(text, "{} = {{ path = {}, read_only = true }}", key(&volume.guest), quoted(&volume.host));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::import::output::*;

    #[test]
    fn a_key_is_one_line_that_means_the_same() {
        for name in ["plain", "/data", "two\nlines", "\u{7f}\u{1b}[2J", "a \"quoted\" \\ 'one'", "\u{85}ü"] {
            let written = format!("{} = 1\n", key(name));
            assert_eq!(written.lines().count(), 1, "{written}");
            let table: toml::Table = written.parse().expect(&written);
            assert!(table.contains_key(name), "{written}");
        }
    }
}
