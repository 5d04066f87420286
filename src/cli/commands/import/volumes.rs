//! Which files does a component see? Spin takes files by pattern, wagi directories as a whole.

use std::ops::Range;
use std::path::Path;

use toml::de::DeTable;

use crate::cli::commands::import::notes::{Notes, value};

/// A directory for a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImportedVolume {
    /// Where the component sees it.
    pub guest: String,
    pub host: String,
}

/// The directories of a component.
pub(super) fn volumes(component: &DeTable<'_>, directory: &Path, notes: &mut Notes<'_>) -> Vec<ImportedVolume> {
    let mut volumes: Vec<ImportedVolume> = Vec::new();
    let Some(files) = value(component, "files") else { return volumes };
    for item in notes.array("files", files) {
        let volume = match item.get_ref().as_str() {
            Some(pattern) => by_pattern(pattern, item.span(), directory, notes),
            None => notes.table("files", item).and_then(|table| by_table(table, item.span(), directory, notes)),
        };
        if let Some(volume) = volume
            && volumes.iter().all(|known| known.guest != volume.guest)
        {
            volumes.push(volume);
        }
    }
    if let Some(excluded) = value(component, "exclude_files").filter(|_| !volumes.is_empty())
        && excluded.get_ref().as_array().is_some_and(|list| !list.is_empty())
    {
        let help = "move them out of the directories that the component gets";
        notes.add(excluded.span(), "`exclude_files` has no effect: the program sees these files", help);
    }
    volumes
}

/// Files by a pattern such as `content/**/*`, which the component sees at the same path.
fn by_pattern(pattern: &str, span: Range<usize>, directory: &Path, notes: &mut Notes<'_>) -> Option<ImportedVolume> {
    let fixed = fixed_parts(pattern);
    let is_whole =
        ["**/*", "**", ""].contains(&pattern.split('/').skip(fixed.len()).collect::<Vec<_>>().join("/").as_str());
    let mut folder = fixed.join("/");
    if is_whole && fixed.len() == pattern.split('/').count() && !directory.join(&folder).is_dir() {
        // A single file: what is beside it would come along.
        folder = folder.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    }
    if folder.is_empty() || folder == "." {
        let message = format!("`{pattern}` is left out: the program would see everything beside the manifest");
        notes.add(span, message, "move the files into a directory, and name that in `volumes`");
        return None;
    }
    if !is_whole || directory.join(&folder) != directory.join(pattern.trim_end_matches("/**/*").trim_end_matches('/')) {
        let message = format!("of `{pattern}`, the program sees all of the directory `{folder}`");
        notes.add(span.clone(), message, "move other files out of it");
    }
    Some(checked(format!("/{folder}"), directory.join(&folder).display().to_string(), span, notes))
}

/// The parts of a path before the first that is a pattern.
pub(super) fn fixed_parts(pattern: &str) -> Vec<&str> {
    pattern.split('/').take_while(|part| !part.contains(['*', '?', '[', '{'])).collect()
}

/// `{ source, destination }`
fn by_table(
    table: &DeTable<'_>,
    span: Range<usize>,
    directory: &Path,
    notes: &mut Notes<'_>,
) -> Option<ImportedVolume> {
    let text = |key: &str| value(table, key).and_then(|found| found.get_ref().as_str());
    let (Some(source), Some(destination)) = (text("source"), text("destination")) else {
        let help = "write `{ source = \"DIR\", destination = \"/\" }`";
        notes.error(span, "`files` needs a `source` and a `destination`", help);
        return None;
    };
    let host = directory.join(source.trim_end_matches('/'));
    if host.is_file() {
        let message = format!("`{source}` is left out: a volume is a directory, and this is a file");
        notes.add(span, message, "move it into a directory, and name that in `volumes`");
        return None;
    }
    let guest = format!("/{}", destination.trim_matches('/'));
    Some(checked(guest, host.display().to_string(), span, notes))
}

fn checked(guest: String, host: String, span: Range<usize>, notes: &mut Notes<'_>) -> ImportedVolume {
    let host = if host.is_empty() { ".".to_owned() } else { host };
    if !Path::new(&host).is_dir() {
        let message = format!("the directory `{host}` is not there");
        notes.add(span, message, "make it, or remove it from `volumes`: a server does not start without it");
    }
    ImportedVolume { guest, host }
}
