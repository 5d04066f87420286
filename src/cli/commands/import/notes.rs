//! What could not be taken along of a manifest: where it is, why, and what to do.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wagi::config::{Diagnostic, SourceFile, SourceLocation};

/// A value of a manifest, with its place.
pub(super) type ManifestValue<'i> = Spanned<DeValue<'i>>;

/// The notes about one manifest.
pub(super) struct Notes<'f> {
    file: &'f Arc<SourceFile>,
    problems: Vec<Diagnostic>,
}

impl<'f> Notes<'f> {
    pub fn new(file: &'f Arc<SourceFile>) -> Self {
        Self { file, problems: Vec::new() }
    }

    /// Something that the modules.toml does not have, or has otherwise.
    pub fn add(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let note = Diagnostic::warning(message).at(SourceLocation::new(self.file, span)).help(help);
        // One component may have several triggers.
        if !self.problems.contains(&note) {
            self.problems.push(note);
        }
    }

    /// Something that is not as Spin has it.
    pub fn error(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Diagnostic::error(message).at(SourceLocation::new(self.file, span)).help(help));
    }

    /// The whole manifest cannot be used.
    pub fn fail(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Diagnostic::error(message).help(help));
    }

    /// The notes, in the order of the manifest.
    pub fn finish(self) -> Vec<Diagnostic> {
        self.problems
    }

    /// The text of a value, which has to be one.
    pub fn text<'v>(&mut self, key: &str, value: &'v ManifestValue<'_>) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.error(value.span(), format!("`{key}` must be a string"), format!("write `{key} = \"...\"`"));
        }
        text
    }

    /// The table of a value, which has to be one.
    pub fn table<'v, 'i>(&mut self, key: &str, value: &'v ManifestValue<'i>) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.error(value.span(), format!("`{key}` must be a table"), format!("write `{key} = {{ ... }}`"));
        }
        table
    }

    /// The items of a value, which has to be an array.
    pub fn array<'v, 'i>(&mut self, key: &str, value: &'v ManifestValue<'i>) -> &'v [ManifestValue<'i>] {
        match value.get_ref().as_array() {
            Some(array) => array,
            None => {
                self.error(value.span(), format!("`{key}` must be an array"), format!("write `{key} = [...]`"));
                &[]
            }
        }
    }
}

/// A value of a table.
pub(super) fn value<'v, 'i>(table: &'v DeTable<'i>, key: &str) -> Option<&'v ManifestValue<'i>> {
    table.get(key)
}
