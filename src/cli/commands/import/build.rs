//! How is the program of a component built?

use std::path::Path;

use toml::de::DeTable;

use crate::cli::commands::import::notes::{ManifestValue, Notes, value};
use crate::cli::commands::import::volumes::fixed_parts;

/// The command that builds a program, and what it is built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImportedBuild {
    pub command: String,
    pub watch: Vec<String>,
}

impl ImportedBuild {
    /// What `build` of a component says.
    pub fn new(component: &DeTable<'_>, directory: &Path, notes: &mut Notes<'_>) -> Option<Self> {
        let build = value(component, "build")?.get_ref().as_table()?;
        let text = |key: &str| value(build, key).and_then(|found| found.get_ref().as_str());
        let found = value(build, "command")?;
        let Some(command) = command(found) else {
            notes.add(found.span(), "`command` is neither a text nor a list of texts", "write `build = \"COMMAND\"`");
            return None;
        };
        let place = text("workdir").map_or_else(|| directory.to_owned(), |below| directory.join(below));
        let command = match place.as_os_str().is_empty() {
            true => command,
            false => format!("cd '{}' && {command}", place.display().to_string().replace('\'', "'\\''")),
        };
        let mut watch: Vec<String> = Vec::new();
        let patterns = value(build, "watch").and_then(|found| found.get_ref().as_array());
        for pattern in patterns.into_iter().flatten().filter_map(|pattern| pattern.get_ref().as_str()) {
            let path = place.join(without_pattern(pattern)).display().to_string();
            let path = if path.is_empty() { ".".to_owned() } else { path };
            if !watch.contains(&path) {
                watch.push(path);
            }
        }
        Some(Self { command, watch })
    }
}

/// The command, or several that run one after the other.
fn command(found: &ManifestValue<'_>) -> Option<String> {
    if let Some(command) = found.get_ref().as_str() {
        return Some(command.to_owned());
    }
    let commands: Option<Vec<_>> =
        found.get_ref().as_array()?.iter().map(|command| command.get_ref().as_str()).collect();
    commands.filter(|commands| !commands.is_empty()).map(|commands| commands.join(" && "))
}

/// The part of a path before the first pattern: Spin watches files by pattern, wagi files and directories.
fn without_pattern(pattern: &str) -> String {
    fixed_parts(pattern).join("/")
}
