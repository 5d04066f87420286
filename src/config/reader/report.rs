//! The problems of one file, collected while it is read.
//!
//! The readers of files (`manifest`, `invoice`, `lock`, `code_cache`) report a problem and go on, so that one start shows
//! all of them.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::reader::suggest::nearest;
use crate::config::reader::values::ValueError;
use crate::config::{Diagnostic, Place, SourceFile};

/// The problems of one file, in the order they are found.
pub(in crate::config) struct Report {
    file: Arc<SourceFile>,
    strict: bool,
    errors: usize,
    problems: Vec<Diagnostic>,
}

impl Report {
    /// A report that is empty so far. Unknown keys are errors if `strict`.
    pub fn new(file: Arc<SourceFile>, strict: bool) -> Self {
        Self { file, strict, errors: 0, problems: Vec::new() }
    }

    pub fn file(&self) -> &Arc<SourceFile> {
        &self.file
    }

    /// How many errors there are so far.
    pub fn errors(&self) -> usize {
        self.errors
    }

    pub fn error(&mut self, span: Range<usize>, error: ValueError) {
        self.errors += 1;
        let problem = Diagnostic::error(error.message);
        self.push(span, problem, error.label, error.help);
    }

    pub fn warning(&mut self, span: Range<usize>, error: ValueError) {
        let problem = Diagnostic::warning(error.message);
        self.push(span, problem, error.label, error.help);
    }

    /// A problem of a file that this one names.
    pub fn add(&mut self, problem: Diagnostic) {
        self.errors += usize::from(problem.is_error());
        self.problems.push(problem);
    }

    fn push(&mut self, span: Range<usize>, problem: Diagnostic, label: Option<String>, help: Option<String>) {
        let place = Place::new(&self.file, span);
        self.problems.push(Diagnostic { label, help, ..problem.at(place) });
    }

    /// The value of `key`, if it is there and `parse` accepts it.
    pub fn optional<'t, 'i, T>(
        &mut self,
        table: &'t DeTable<'i>,
        key: &str,
        parse: impl FnOnce(&'t DeValue<'i>) -> Result<T, ValueError>,
    ) -> Option<T> {
        let value = table.get(key)?;
        self.accept(value.span(), parse(value.get_ref()))
    }

    /// What was parsed; an error is reported.
    pub fn accept<T>(&mut self, span: Range<usize>, parsed: Result<T, ValueError>) -> Option<T> {
        parsed.map_err(|error| self.error(span, error)).ok()
    }

    /// Reports the keys of `table` that are none of `known`; `place` says where the
    /// table is.
    pub fn unknown_keys(&mut self, table: &DeTable<'_>, known: &[&'static str], place: &str) {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            self.unknown_key(key, known, place);
        }
    }

    pub fn unknown_key(&mut self, key: &Spanned<Cow<'_, str>>, known: &[&'static str], place: &str) {
        let error = ValueError::new(format!("unknown key `{}` {place}", key.get_ref()));
        let error = match nearest(key.get_ref(), known.iter().copied()) {
            Some(meant) => error.help(format!("did you mean `{meant}`?")),
            None => error.help(format!("known are {}", listed(known))),
        };
        if self.strict {
            self.error(key.span(), error);
        } else {
            self.warning(key.span(), error.label("it has no effect"));
        }
    }

    /// The problems as a reader of the file meets them.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        // Those within other files come last, in the order in which they were found.
        let start = |problem: &Diagnostic| match &problem.place {
            Some(place) if place.is_in(&self.file) => place.start(),
            _ => usize::MAX,
        };
        self.problems.sort_by_key(start);
        self.problems
    }
}

fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// The tree of the file, unless it is so broken that what follows would be guesswork.
pub(in crate::config) fn parse_toml<'f>(
    file: &'f Arc<SourceFile>,
    report: &mut Report,
) -> Option<Spanned<DeTable<'f>>> {
    let (root, errors) = DeTable::parse_recoverable(file.text());
    let mut is_whole = true;
    for error in &errors {
        // A key that stands there twice leaves the rest of the tree as it is.
        is_whole &= error.message() == "duplicate key";
        let span = error.span().unwrap_or_default();
        report.error(span, ValueError::new(format!("not valid TOML: {}", error.message())));
    }
    is_whole.then_some(root)
}
