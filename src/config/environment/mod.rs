//! Which variables does one module get?
//!
//! Of the same name the last of these counts: those of its `env_file`, of its `environment`, of its `secrets`, and those
//! that all modules are given. No value is ever part of a problem. Called by `entry`.

pub(in crate::config) mod env_file;
pub(in crate::config) mod expansion;
pub(in crate::config) mod redaction;

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::config::environment::expansion::expand;
use crate::config::reader::file;
use crate::config::reader::file::{must_be_file, relative_paths};
use crate::config::reader::report::Report;
use crate::config::reader::values::{Value, ValueError, array, string, table};
use crate::config::{Diagnostic, Place, ServerEnvironment, SourceFile};

/// No secret is longer than this many bytes: chains of certificates fit.
const LONGEST_SECRET: u64 = 1 << 20;

type Variables = Vec<(String, String)>;

/// Returns the variables of the `[[module]]` table `entry`. Those in `operator` come from `--env` and `--env-file` and take
/// precedence.
pub(in crate::config) fn read(
    entry: &DeTable<'_>,
    operator: &[(String, String)],
    server: &ServerEnvironment,
    report: &mut Report,
) -> Variables {
    let mut variables = Vec::new();
    for (value, name) in env_files(entry, report) {
        if let Some(path) = path(&name, value, server, report) {
            from_file(Path::new(&path), value, &mut variables, report);
        }
    }
    let environment = named_values(entry, "environment", report);
    for (name, value) in &environment {
        if let Some(text) = expanded(&format!("environment.{name}"), value, server, report) {
            env_file::set(&mut variables, name, &text);
        }
    }
    for (name, value) in named_values(entry, "secrets", report) {
        if environment.iter().any(|(other, _)| *other == name) {
            let error = ValueError::new(format!("`{name}` is both in `environment` and in `secrets`"));
            report.error(value.span(), error.help("remove one of them"));
        }
        let key = format!("secrets.{name}");
        let file = path(&key, value, server, report).and_then(|path| secret(&key, Path::new(&path), value, report));
        if let Some(file) = file {
            env_file::set(&mut variables, name, one_line_end_less(file.text()));
        }
    }
    for (name, value) in operator {
        env_file::set(&mut variables, name, value);
    }
    variables
}

/// The values of the table `key`, those whose names can be names of variables.
fn named_values<'t, 'i>(entry: &'t DeTable<'i>, key: &str, report: &mut Report) -> Vec<(&'t str, &'t Value<'i>)> {
    let written = report.optional(entry, key, |value| table(key, value));
    let named = written.into_iter().flatten().filter_map(|(name, value)| {
        report.accept(name.span(), variable_name(name.get_ref()))?;
        Some((name.get_ref().as_ref(), value))
    });
    named.collect()
}

fn variable_name(name: &str) -> Result<(), ValueError> {
    if name.is_empty() {
        return Err(ValueError::new("the name of an environment variable must not be empty"));
    }
    match name.chars().find(|character| ['=', '\0'].contains(character)) {
        Some(character) => {
            Err(ValueError::new(format!("the name of environment variable `{name}` holds {character:?}")))
        }
        None => Ok(()),
    }
}

/// The string `value` with the server's variables in place of their names.
fn expanded(name: &str, value: &Value<'_>, server: &ServerEnvironment, report: &mut Report) -> Option<String> {
    let text = report.accept(value.span(), string(name, value.get_ref()))?;
    match expand(text, server) {
        Ok(text) => Some(text),
        Err(unexpanded) => {
            let place = unexpanded.place(report.file().text(), value.span());
            report.error(place, unexpanded.value_error());
            None
        }
    }
}

/// The file that `value` names. Complaints show the name as it is written: somebody may take a variable with the secret
/// itself for one with its file.
fn path(name: &str, value: &Value<'_>, server: &ServerEnvironment, report: &mut Report) -> Option<String> {
    let path = expanded(name, value, server, report)?;
    let written = value.get_ref().as_str().unwrap_or_default();
    let error = |error: String| {
        let error = error.replace(&format!("`{path}`"), &format!("`{written}`"));
        ValueError::new(format!("in `{name}`: {error}")).help(relative_paths())
    };
    let is_file = must_be_file(Path::new(&path)).map_err(error);
    report.accept(value.span(), is_file).map(|()| path)
}

/// What `env_file` names, each with how to call it.
fn env_files<'t, 'i>(entry: &'t DeTable<'i>, report: &mut Report) -> Vec<(&'t Value<'i>, String)> {
    match entry.get("env_file") {
        None => Vec::new(),
        Some(value) if matches!(value.get_ref(), DeValue::String(_)) => vec![(value, "env_file".to_owned())],
        Some(value) => {
            let files = array("env_file", "a string or an array of strings", value.get_ref());
            let files = report.accept(value.span(), files).unwrap_or_default();
            files.iter().enumerate().map(|(index, value)| (value, format!("env_file[{index}]"))).collect()
        }
    }
}

fn from_file(path: &Path, value: &Value<'_>, variables: &mut Variables, report: &mut Report) {
    let mut problems = Vec::new();
    env_file::read(path, variables, &mut problems);
    for problem in problems {
        report.add(placed(problem, value.span(), report));
    }
}

/// The file with a secret.
fn secret(key: &str, path: &Path, value: &Value<'_>, report: &mut Report) -> Option<std::sync::Arc<SourceFile>> {
    match file::read(path, "secret file", LONGEST_SECRET, SourceFile::secret) {
        Ok(file) if file.text().contains('\0') => {
            let error = format!("in `{key}`: `{}` holds a NUL character, which no variable can", path.display());
            report.error(value.span(), ValueError::new(error));
            None
        }
        Ok(file) => Some(file),
        Err(problem) => {
            report.add(placed(*problem, value.span(), report));
            None
        }
    }
}

/// Files that editors or `echo` wrote end in a line end that is no part of the secret.
fn one_line_end_less(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
}

/// The problem with its place in the manifest, unless it has one in another file.
fn placed(problem: Diagnostic, span: Range<usize>, report: &Report) -> Diagnostic {
    match problem.place {
        Some(_) => problem,
        None => problem.at(Place::new(report.file(), span)),
    }
}
