//! Where in which file was a script described?
//!
//! `entry` notes it while reading; later stages of start-up, which find out that a module does not compile or a route is
//! never reached, ask it for the place to point at.

use std::ops::Range;
use std::sync::Arc;

use crate::config::{Place, SourceFile};

/// What a diagnostic may point at in the description of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The description as a whole.
    Entry,
    /// The value of `route`.
    Route,
    /// The value of `module`.
    Module,
    /// The value of `preinitialize`.
    Preinitialize,
    /// The value of `precompiled`.
    Precompiled,
    /// The value of `entrypoint`.
    Entrypoint,
    /// The value of `argv`.
    Argv,
    /// The value of `allowed_hosts`.
    AllowedHosts,
    /// The value of one of `volumes`, counted from 0 as they are written.
    Volume(usize),
}

/// The place of one script's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(Option<Written>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    file: Arc<SourceFile>,
    entry: Range<usize>,
    values: Vec<(Key, Range<usize>)>,
}

impl Origin {
    /// A script that no file describes.
    pub fn command_line() -> Self {
        Self(None)
    }

    pub(in crate::config) fn written(file: &Arc<SourceFile>, entry: Range<usize>) -> Self {
        Self(Some(Written { file: Arc::clone(file), entry, values: Vec::new() }))
    }

    pub(in crate::config) fn note(&mut self, key: Key, span: Range<usize>) {
        if let Some(written) = &mut self.0 {
            written.values.push((key, span));
        }
    }

    /// The place of a value or, if it was left to its default, of the whole description.
    pub fn at(&self, key: Key) -> Option<Place> {
        let written = self.0.as_ref()?;
        let value = written.values.iter().find(|(noted, _)| *noted == key);
        Some(Place::new(&written.file, value.map_or(&written.entry, |(_, span)| span).clone()))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::reader::origin::*;

    #[test]
    fn a_value_that_was_not_written_leads_to_the_entry() {
        let file = SourceFile::new("modules.toml", "[[module]]\nroute = '/'\n");
        let mut origin = Origin::written(&file, 0..10);
        origin.note(Key::Route, 19..22);
        assert_eq!(origin.at(Key::Route), Some(Place::new(&file, 19..22)));
        assert_eq!(origin.at(Key::Entrypoint), Some(Place::new(&file, 0..10)));
        assert_eq!(Origin::command_line().at(Key::Route), None);
    }
}
