//! Where is an entry configured?
//!
//! `manifest` and `invoice` record it. Later stages of a start use it for their messages, for example if a module does
//! not compile or a route is never reached.

use std::ops::Range;
use std::sync::Arc;

use crate::config::{SourceFile, SourceLocation};

/// The part of an entry that a diagnostic can point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The header of the entry.
    Entry,
    /// The value of `route`.
    Route,
    /// The value of `module`.
    Module,
    /// The value of `preinitialize`.
    Preinitialize,
    /// The value of `precompiled`.
    Precompiled,
    /// The value of `unknown_imports`.
    UnknownImports,
    /// The value of `entrypoint`.
    Entrypoint,
    /// The value of `argv`.
    Argv,
    /// The value of `allowed_hosts`.
    AllowedHosts,
    /// The value of `scripts`.
    Scripts,
    /// The value of `warm_start`.
    WarmStart,
    /// The value of `directory`.
    Directory,
    /// The value of `file`.
    File,
    /// The value of one of `volumes` that is a scratch directory, by its index among these.
    Scratch(usize),
    /// The value of one of `volumes`, by its index in the file.
    Volume(usize),
}

/// The location of an entry and of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Option<EntrySpans>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct EntrySpans {
    file: Arc<SourceFile>,
    header: Range<usize>,
    values: Vec<(Key, Range<usize>)>,
    /// The variables of `environment`, by name.
    variables: Vec<(String, Range<usize>)>,
}

impl Origin {
    /// Creates the origin of an entry that is on the command line, not in a file.
    pub fn command_line() -> Self {
        Self(None)
    }

    /// Creates the origin of an entry of `file` with its header at `header`.
    pub(in crate::config) fn in_file(file: &Arc<SourceFile>, header: Range<usize>) -> Self {
        Self(Some(EntrySpans { file: Arc::clone(file), header, values: Vec::new(), variables: Vec::new() }))
    }

    /// Adds the span of a value.
    pub(in crate::config) fn add(&mut self, key: Key, span: Range<usize>) {
        if let Some(spans) = &mut self.0 {
            spans.values.push((key, span));
        }
    }

    /// Adds the span of a variable's name.
    pub(in crate::config) fn add_variable(&mut self, name: &str, span: Range<usize>) {
        if let Some(spans) = &mut self.0 {
            spans.variables.push((name.to_owned(), span));
        }
    }

    /// Returns the location of a variable's name or, if it is not in the entry, of the header.
    pub fn at_variable(&self, name: &str) -> Option<SourceLocation> {
        let spans = self.0.as_ref()?;
        let variable = spans.variables.iter().find(|(known, _)| known == name);
        Some(SourceLocation::new(&spans.file, variable.map_or(&spans.header, |(_, span)| span).clone()))
    }

    /// Returns the location of a value or, if it is not in the file, of the header.
    pub fn at(&self, key: Key) -> Option<SourceLocation> {
        let spans = self.0.as_ref()?;
        let value = spans.values.iter().find(|(known, _)| *known == key);
        Some(SourceLocation::new(&spans.file, value.map_or(&spans.header, |(_, span)| span).clone()))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::reader::origin::*;

    #[test]
    fn a_value_that_is_not_in_the_file_has_the_location_of_the_header() {
        let file = SourceFile::new("modules.toml", "[[module]]\nroute = '/'\n");
        let mut origin = Origin::in_file(&file, 0..10);
        origin.add(Key::Route, 19..22);
        assert_eq!(origin.at(Key::Route), Some(SourceLocation::new(&file, 19..22)));
        assert_eq!(origin.at(Key::Entrypoint), Some(SourceLocation::new(&file, 0..10)));
        assert_eq!(Origin::command_line().at(Key::Route), None);
    }
}
