//! Which environment variables does an entry get?
//!
//! They come from its `env_file`, its `environment`, its `secrets`, and from `--env` and `--env-file`. If a name has
//! several values, the last of these counts. No message contains a value. Called by `manifest`.

pub(in crate::config) mod env_file;
pub(in crate::config) mod expansion;
pub(in crate::config) mod redaction;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use crate::config::environment::expansion::expand;
use crate::config::reader::file;
use crate::config::reader::file::{must_be_file, relative_paths_help};
use crate::config::reader::report::Report;
use crate::config::reader::values::{StringItem, Value, ValueError, string, string_or_array, table};
use crate::config::{Diagnostic, ServerEnvironment, SourceFile, SourceLocation};

/// The largest secret in bytes: a chain of certificates fits.
const MAX_SECRET_SIZE: u64 = 1 << 20;

type Variables = Vec<(String, String)>;

/// Returns the variables of the `[[module]]` table `entry`. Those in `operator` come from `--env` and `--env-file` and
/// take precedence.
pub(in crate::config) fn read(
    entry: &DeTable<'_>,
    operator: &[(String, String)],
    server: &ServerEnvironment,
    report: &mut Report,
) -> Variables {
    let mut variables = Vec::new();
    for StringItem { name, value } in env_files(entry, report) {
        if let Some(path) = file_path(&name, value, server, report) {
            read_env_file(Path::new(&path), value, &mut variables, report);
        }
    }
    let environment = named_values(entry, "environment", report);
    for (name, value) in &environment {
        if let Some(text) = expand_value(&format!("environment.{name}"), value, server, report) {
            env_file::set(&mut variables, name, &text);
        }
    }
    for (name, value) in named_values(entry, "secrets", report) {
        if environment.iter().any(|(other, _)| *other == name) {
            let error = ValueError::new(format!("`{name}` is both in `environment` and in `secrets`"));
            report.error(value.span(), error.help("remove one of them"));
        }
        let key = format!("secrets.{name}");
        let file =
            file_path(&key, value, server, report).and_then(|path| read_secret(&key, Path::new(&path), value, report));
        if let Some(file) = file {
            env_file::set(&mut variables, name, without_line_end(file.text()));
        }
    }
    for (name, value) in operator {
        env_file::set(&mut variables, name, value);
    }
    variables
}

/// Returns the names and values of the table `key`. Reports names that variables cannot have.
fn named_values<'t, 'i>(entry: &'t DeTable<'i>, key: &str, report: &mut Report) -> Vec<(&'t str, &'t Value<'i>)> {
    let values = report.optional(entry, key, |value| table(key, value));
    let named = values.into_iter().flatten().filter_map(|(name, value)| {
        report.accept(name.span(), check_name(name.get_ref()))?;
        Some((name.get_ref().as_ref(), value))
    });
    named.collect()
}

fn check_name(name: &str) -> Result<(), ValueError> {
    if name.is_empty() {
        return Err(ValueError::new("the name of an environment variable must not be empty"));
    }
    match name.chars().find(|character| ['=', '\0'].contains(character)) {
        Some(character) => {
            Err(ValueError::new(format!("the name of environment variable `{name}` contains {character:?}")))
        }
        None => Ok(()),
    }
}

/// Returns the string `value` with every `${NAME}` replaced.
fn expand_value(name: &str, value: &Value<'_>, server: &ServerEnvironment, report: &mut Report) -> Option<String> {
    let text = report.accept(value.span(), string(name, value.get_ref()))?;
    match expand(text, server) {
        Ok(text) => Some(text),
        Err(error) => {
            let span = error.span(report.file().text(), value.span());
            report.error(span, error.value_error());
            None
        }
    }
}

/// Returns the path of the file that `value` names. Messages quote it as written, before the expansion: the operator
/// may have named a variable that holds the secret itself instead of its path.
fn file_path(name: &str, value: &Value<'_>, server: &ServerEnvironment, report: &mut Report) -> Option<String> {
    let path = expand_value(name, value, server, report)?;
    report.names_file(Path::new(&path));
    let written = value.get_ref().as_str().unwrap_or_default();
    let error = |error: String| {
        let error = error.replace(&format!("`{path}`"), &format!("`{written}`"));
        ValueError::new(format!("in `{name}`: {error}")).help(relative_paths_help())
    };
    let is_file = must_be_file(Path::new(&path)).map_err(error);
    report.accept(value.span(), is_file).map(|()| path)
}

/// Returns the values of `env_file`.
fn env_files<'t, 'i>(entry: &'t DeTable<'i>, report: &mut Report) -> Vec<StringItem<'t, 'i>> {
    let Some(value) = entry.get("env_file") else { return Vec::new() };
    report.accept(value.span(), string_or_array("env_file", value)).unwrap_or_default()
}

/// Adds the variables of the environment file at `path`.
fn read_env_file(path: &Path, value: &Value<'_>, variables: &mut Variables, report: &mut Report) {
    let mut problems = Vec::new();
    env_file::read(path, variables, &mut problems);
    for problem in problems {
        report.add(located(problem, value.span(), report));
    }
}

/// Reads the secret file at `path`.
fn read_secret(key: &str, path: &Path, value: &Value<'_>, report: &mut Report) -> Option<Arc<SourceFile>> {
    match file::read(path, "secret file", MAX_SECRET_SIZE, SourceFile::secret) {
        Ok(file) if file.text().contains('\0') => {
            let error =
                format!("in `{key}`: `{}` contains a NUL character, which variables cannot contain", path.display());
            report.error(value.span(), ValueError::new(error));
            None
        }
        Ok(file) => Some(file),
        Err(problem) => {
            report.add(located(*problem, value.span(), report));
            None
        }
    }
}

/// Removes one line end. Files that were written with an editor or `echo` end with one that is not part of the secret.
fn without_line_end(text: &str) -> &str {
    text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
}

/// Adds the location in the manifest, unless the problem has a location in another file.
fn located(problem: Diagnostic, span: Range<usize>, report: &Report) -> Diagnostic {
    match problem.location {
        Some(_) => problem,
        None => problem.at(SourceLocation::new(report.file(), span)),
    }
}
