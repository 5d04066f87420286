//! How is the program of a component built?

use std::path::Path;

use toml::de::DeTable;

use crate::cli::commands::import::notes::value;
use crate::cli::commands::import::volumes::fixed_parts;

/// The command that builds a program, and what it is built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImportedBuild {
    pub command: String,
    pub watch: Vec<String>,
}

impl ImportedBuild {
    /// What `build` of a component says.
    pub fn new(component: &DeTable<'_>, directory: &Path) -> Option<Self> {
        let build = value(component, "build")?.get_ref().as_table()?;
        let text = |key: &str| value(build, key).and_then(|found| found.get_ref().as_str());
        let command = text("command")?;
        let place = text("workdir").map_or_else(|| directory.to_owned(), |below| directory.join(below));
        let command = match place.as_os_str().is_empty() {
            true => command.to_owned(),
            false => format!("cd '{}' && {command}", place.display().to_string().replace('\'', "'\\''")),
        };
        let mut watch: Vec<String> = Vec::new();
        let patterns = value(build, "watch").and_then(|found| found.get_ref().as_array());
        for pattern in patterns.into_iter().flatten().filter_map(|pattern| pattern.get_ref().as_str()) {
            let path = place.join(without_pattern(pattern)).display().to_string();
            if !path.is_empty() && !watch.contains(&path) {
                watch.push(path);
            }
        }
        Some(Self { command, watch })
    }
}

/// The part of a path before the first pattern: Spin watches files by pattern, wagi files and directories.
fn without_pattern(pattern: &str) -> String {
    fixed_parts(pattern).join("/")
}
