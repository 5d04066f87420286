//! `wagi import`: write a modules.toml from a manifest of Spin.

mod build;
mod entry;
mod hosts;
mod manifest;
mod notes;
mod order;
mod output;
mod routes;
mod source;
mod values;
mod volumes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use wagi::config::{Diagnostic, SourceFile};
use wagi::counted;

use crate::cli::commands::import::entry::ImportedEntry;
use crate::cli::commands::import::manifest::SpinManifest;
use crate::cli::commands::import::notes::Notes;
use crate::cli::files;
use crate::cli::terminal::{print_message, print_problems, print_result};

/// The name of a manifest, in a directory.
const MANIFEST: &str = "spin.toml";

/// The file that is written if the operator does not say.
const OUTPUT: &str = "modules.toml";

/// Stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// The options of `wagi import`.
pub struct ImportCommand {
    /// The manifest, or a directory with one.
    pub manifest: PathBuf,
    pub output: Option<PathBuf>,
    /// Whether a file that is there is replaced.
    pub force: bool,
}

/// What a manifest has become.
pub(in crate::cli) struct Imported {
    pub text: String,
    pub entries: usize,
    /// What could not be taken along.
    pub problems: Vec<Diagnostic>,
}

impl ImportCommand {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let manifest = if self.manifest.is_dir() { self.manifest.join(MANIFEST) } else { self.manifest };
        let output = self.output.unwrap_or_else(|| manifest.with_file_name(OUTPUT));
        let is_printed = output.as_os_str() == STANDARD_OUTPUT;
        if !is_printed && !self.force && output.symlink_metadata().is_ok() {
            bail!(
                "`{}` is there already: `--force` replaces it, `--output` names another file, and `--output -` prints",
                output.display()
            );
        }
        let name = manifest.display().to_string();
        let text = String::from_utf8(files::read(&manifest)?).with_context(|| format!("`{name}` is not UTF-8"))?;
        let imported = import(&manifest, text);
        print_problems(&imported.problems);
        if imported.problems.iter().any(Diagnostic::is_error) {
            return Ok(ExitCode::FAILURE);
        }
        match is_printed {
            true => print_result(&imported.text)?,
            false => _ = files::write(&output, imported.text.as_bytes())?,
        }
        let left = imported.problems.len();
        let entries = counted(imported.entries, "entry", "entries");
        match left {
            0 => print_message(format_args!("{entries}; everything was taken along")),
            _ => print_message(format_args!("{entries}; {} above", counted(left, "note", "notes"))),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The modules.toml for the text of a manifest.
pub(in crate::cli) fn import(path: &Path, text: String) -> Imported {
    let file = SourceFile::new(path.display().to_string(), text);
    let mut notes = Notes::new(&file);
    let Some(manifest) = SpinManifest::read(&file, &mut notes) else {
        return Imported { text: String::new(), entries: 0, problems: notes.finish() };
    };
    let directory = path.parent().unwrap_or(Path::new(""));
    let entries =
        manifest.triggers.iter().filter_map(|trigger| ImportedEntry::new(trigger, &manifest, directory, &mut notes));
    let mut entries: Vec<ImportedEntry> = entries.collect();
    order::sort(&mut entries, &mut notes);
    if entries.is_empty() {
        notes.fail("no component of this manifest answers HTTP requests", "wagi serves HTTP, and nothing else");
    }
    Imported { text: output::text(&manifest, &entries), entries: entries.len(), problems: notes.finish() }
}
