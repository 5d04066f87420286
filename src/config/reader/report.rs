//! The problems of one file, collected while it is read.
//!
//! The readers of files (`manifest`, `invoice`, `lock`, `code_cache`) report a problem and go on, so that one start
//! shows all of them.

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::reader::suggest::nearest;
use crate::config::reader::values::ValueError;
use crate::config::{Diagnostic, SourceFile, SourceLocation};

/// Keys without which more would be served than the operator wants. A misspelt one is an error, and so is one where it says nothing.
const PROTECTIVE_KEYS: [&str; 2] = ["verify", "registries"];

/// The problems of one file.
pub(in crate::config) struct Report {
    file: Arc<SourceFile>,
    strict: bool,
    errors: usize,
    /// The route of the entry that is being read.
    route: Option<String>,
    problems: Vec<Diagnostic>,
    /// The other files that this one names, whether they are there or not.
    files: Vec<PathBuf>,
}

impl Report {
    /// Creates an empty report. Unknown keys are errors if `strict`.
    pub fn new(file: Arc<SourceFile>, strict: bool) -> Self {
        Self { file, strict, errors: 0, route: None, problems: Vec::new(), files: Vec::new() }
    }

    /// Returns the file.
    pub fn file(&self) -> &Arc<SourceFile> {
        &self.file
    }

    /// Returns the number of errors so far.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Sets the route of the entry that is read next; `None` after it. Each problem names it.
    pub fn set_route(&mut self, route: Option<&str>) {
        self.route = route.map(str::to_owned);
    }

    /// Notes that another file is named: a change of it matters.
    pub fn names_file(&mut self, path: &Path) {
        self.files.push(path.to_owned());
    }

    /// Takes the files that were named.
    pub fn take_files(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.files)
    }

    /// Adds an error about the value at `span`.
    pub fn error(&mut self, span: Range<usize>, error: ValueError) {
        self.errors += 1;
        let problem = Diagnostic::error(error.message);
        self.push(span, problem, error.label, error.help);
    }

    /// Adds a warning about the value at `span`.
    pub fn warning(&mut self, span: Range<usize>, error: ValueError) {
        let problem = Diagnostic::warning(error.message);
        self.push(span, problem, error.label, error.help);
    }

    /// Adds a problem of another file, which this one names.
    pub fn add(&mut self, problem: Diagnostic) {
        self.errors += usize::from(problem.is_error());
        let route = problem.route.clone().or_else(|| self.route.clone());
        self.problems.push(Diagnostic { route, ..problem });
    }

    fn push(&mut self, span: Range<usize>, problem: Diagnostic, label: Option<String>, help: Option<String>) {
        let location = SourceLocation::new(&self.file, span);
        self.problems.push(Diagnostic { label, help, route: self.route.clone(), ..problem.at(location) });
    }

    /// Returns the value of `key`, if it is there and `parse` accepts it. Reports an error of `parse`.
    pub fn optional<'t, 'i, T>(
        &mut self,
        table: &'t DeTable<'i>,
        key: &str,
        parse: impl FnOnce(&'t DeValue<'i>) -> Result<T, ValueError>,
    ) -> Option<T> {
        let value = table.get(key)?;
        self.accept(value.span(), parse(value.get_ref()))
    }

    /// Returns the parsed value, or reports the error.
    pub fn accept<T>(&mut self, span: Range<usize>, parsed: Result<T, ValueError>) -> Option<T> {
        parsed.map_err(|error| self.error(span, error)).ok()
    }

    /// Reports the keys of `table` that are not in `known`. `context` names the table in messages.
    pub fn unknown_keys(&mut self, table: &DeTable<'_>, known: &[&'static str], context: &str) {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            self.unknown_key(key, known, context);
        }
    }

    /// Reports one unknown key.
    pub fn unknown_key(&mut self, key: &Spanned<Cow<'_, str>>, known: &[&'static str], context: &str) {
        let error = ValueError::new(format!("unknown key `{}` {context}", key.get_ref()));
        let suggestion = nearest(key.get_ref(), known.iter().copied());
        if let Some(meant) = suggestion.or_else(|| nearest(key.get_ref(), PROTECTIVE_KEYS))
            && PROTECTIVE_KEYS.contains(&meant)
        {
            return self.error(key.span(), error.help(protective_help(meant, known.contains(&meant))));
        }
        let error = match suggestion {
            Some(suggestion) => error.help(format!("did you mean `{suggestion}`?")),
            None => error.help(format!("known are {}", quoted_list(known))),
        };
        let error = if self.strict { error } else { error.label("it has no effect") };
        self.warning_or_error(key.span(), error);
    }

    /// Adds a warning about the value at `span`, or an error if the operator wants to be strict.
    pub fn warning_or_error(&mut self, span: Range<usize>, error: ValueError) {
        if self.strict { self.error(span, error) } else { self.warning(span, error) }
    }

    /// Returns the problems in the order of their locations.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        // Problems of other files come last, in the order in which they were found.
        let start = |problem: &Diagnostic| match &problem.location {
            Some(location) if location.is_in(&self.file) => location.start(),
            _ => usize::MAX,
        };
        self.problems.sort_by_key(start);
        self.problems
    }
}

fn quoted_list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

/// What to write in place of a protective key that is misspelt, or that has no meaning where it stands.
fn protective_help(meant: &str, is_known_here: bool) -> String {
    match meant {
        _ if is_known_here => format!("did you mean `{meant}`?"),
        "verify" => {
            "write `verify` in a `[[module]]`, or in `[registries.\"HOST\"]` for all modules of a registry; what \
                     follows a line in brackets is of that table"
                .to_owned()
        }
        _ => format!("write `[{meant}.\"HOST\"]`, in a table of its own"),
    }
}

/// What to do about a mistake in the syntax.
fn syntax_help(message: &str) -> &'static str {
    match message {
        "duplicate key" => "remove one of the two",
        _ if message.starts_with("invalid boolean") => "text has quotes: write `\"text\"`",
        _ if message.contains("recurs") => "nest arrays and tables less deeply",
        _ => "look for a quote, a bracket, a comma or an equals sign that is missing, here or above",
    }
}

/// Parses the file. Returns `None` if it is so broken that reading the rest would report wrong problems.
pub(in crate::config) fn parse_toml<'f>(
    file: &'f Arc<SourceFile>,
    report: &mut Report,
) -> Option<Spanned<DeTable<'f>>> {
    let (root, errors) = DeTable::parse_recoverable(file.text());
    let mut is_whole = true;
    for error in &errors {
        // A duplicate key does not damage the rest of the tree.
        is_whole &= error.message() == "duplicate key";
        let span = error.span().unwrap_or_default();
        let problem = ValueError::new(format!("not valid TOML: {}", error.message()));
        report.error(span, problem.help(syntax_help(error.message())));
    }
    is_whole.then_some(root)
}
