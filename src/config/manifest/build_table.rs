//! How is the module of a `[[module]]` built? The keys `build` and `watch`, for `wagi dev`. Serving does not read what they
//! say, but a mistake in them is one.

use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use crate::config::reader::report::Report;
use crate::config::reader::values::{StringItem, ValueError, string, string_or_array};

/// The most paths of `watch`: each costs a system call now and then.
const MAX_SOURCES: usize = 100;

/// A module that a command builds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleBuild {
    /// The command, as a shell reads it.
    pub command: String,
    /// The files and directories that it is built from; none if the configuration names none.
    pub sources: Vec<PathBuf>,
    /// The module, as the configuration names it.
    pub module: PathBuf,
}

/// The build of an entry, also if there is an error in the entry: its module may not be there yet.
pub(super) fn of_module(entry: &DeTable<'_>) -> Option<ModuleBuild> {
    let command = command(entry.get("build")?.get_ref()).ok()?;
    let items = entry.get("watch").and_then(|value| string_or_array("watch", value).ok()).unwrap_or_default();
    let sources = items.iter().take(MAX_SOURCES).filter_map(|item| source(item).ok()).collect();
    let module = entry.get("module").and_then(|value| value.get_ref().as_str()).unwrap_or_default();
    Some(ModuleBuild { command, sources, module: module.into() })
}

/// Reports what is wrong with both keys.
pub(super) fn check(entry: &DeTable<'_>, report: &mut Report) {
    report.optional(entry, "build", command);
    check_sources(entry, report);
}

/// What to do if the module is not there, but the command that builds it is known.
pub(super) fn command_help(entry: &DeTable<'_>) -> Option<String> {
    let command = command(entry.get("build")?.get_ref()).ok()?;
    Some(format!("build it with `{command}`, as `wagi dev` does"))
}

fn command(value: &DeValue<'_>) -> Result<String, ValueError> {
    let text = string("build", value)?;
    if text.trim().is_empty() {
        return Err(ValueError::new("`build` is empty").help("remove it, or write a command: `build = \"make\"`"));
    }
    Ok(text.to_owned())
}

fn check_sources(entry: &DeTable<'_>, report: &mut Report) {
    let Some(value) = entry.get("watch") else { return };
    let Some(items) = report.accept(value.span(), string_or_array("watch", value)) else { return };
    if items.len() > MAX_SOURCES {
        let error =
            ValueError::new(format!("`watch` has {} paths, and at most {MAX_SOURCES} are possible", items.len()));
        return report.error(value.span(), error.help("name the directories, not their files"));
    }
    for item in &items {
        report.accept(item.span(), source(item));
    }
}

fn source(item: &StringItem<'_, '_>) -> Result<PathBuf, ValueError> {
    match item.string()? {
        "" => Err(ValueError::new("a path of `watch` is empty").help("write `.` for the working directory")),
        path => Ok(path.into()),
    }
}
