//! How is a problem in the configuration shown to the operator?
//!
//! Every file of this folder makes diagnostics instead of failing at the first problem; later stages of start-up make
//! them too, with a [`Place`] from an [`Origin`](crate::config::Origin). `main` prints them and stops if one is an error.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// Longer pieces of a file are named, not shown: nobody reads them, and drawing them takes time.
const LONGEST_EXCERPT: usize = 4096;

/// Whether a problem keeps the server from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The server must not start.
    Error,
    /// The server starts, but perhaps not as the operator meant.
    Warning,
}

/// The text of a file that was read, and the name it was read by.
#[derive(PartialEq, Eq)]
pub struct SourceFile {
    name: String,
    text: String,
    shown: bool,
    /// The pieces of a file that is shown otherwise.
    redacted: OnceLock<Vec<Range<usize>>>,
}

impl SourceFile {
    /// A file whose lines may be shown.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Self::with(name.into(), text.into(), true)
    }

    /// A file of secrets: problems in it are given as line and column only.
    pub fn secret(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Self::with(name.into(), text.into(), false)
    }

    fn with(name: String, text: String, shown: bool) -> Arc<Self> {
        Arc::new(Self { name, text, shown, redacted: OnceLock::new() })
    }

    /// Keeps these bytes from being shown, whichever problem is about their line. Counts the first time only.
    pub(super) fn redact(&self, pieces: Vec<Range<usize>>) {
        self.redacted.get_or_init(|| pieces);
    }

    /// All of the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte, both counted from 1, the column in characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let lines = before.bytes().filter(|&byte| byte == b'\n').count();
        (lines + 1, before.get(line_start..).unwrap_or_default().chars().count() + 1)
    }

    /// The piece of the text that begins at `start`, with asterisks for what is redacted: as many as it has bytes, so that
    /// all else keeps its place.
    fn visible(&self, start: usize, lines: &str) -> String {
        let redacted: &[Range<usize>] = self.redacted.get().map_or(&[], Vec::as_slice);
        // Of a whole file only what is near is of interest, and a file may have thousands of them.
        let near: Vec<_> =
            redacted.iter().filter(|piece| piece.start < start + lines.len() && piece.end > start).collect();
        let mut visible = String::with_capacity(lines.len());
        for (at, letter) in lines.char_indices() {
            if !letter.is_whitespace() && near.iter().any(|piece| piece.contains(&(start + at))) {
                (0..letter.len_utf8()).for_each(|_| visible.push('*'));
            } else {
                visible.push(letter);
            }
        }
        visible
    }

    /// The whole lines that `span` touches, and where the first of them begins.
    fn lines(&self, span: &Range<usize>) -> (usize, &str) {
        let start = self.text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        let rest = self.text.get(span.end..).unwrap_or_default();
        let end = rest.find('\n').map_or(self.text.len(), |newline| span.end + newline);
        let lines = self.text.get(start..end).unwrap_or_default();
        (start, lines.strip_suffix('\r').unwrap_or(lines))
    }
}

/// The name only: in the text of an environment file there are secrets.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    file: Arc<SourceFile>,
    span: Range<usize>,
}

impl Place {
    /// The bytes `span` of `file`. A span that reaches beyond the text or into a character is put right.
    pub fn new(file: &Arc<SourceFile>, span: Range<usize>) -> Self {
        let text = file.text();
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = span.end.clamp(start, text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        Self { file: Arc::clone(file), span: start..end }
    }

    pub(super) fn is_in(&self, file: &Arc<SourceFile>) -> bool {
        Arc::ptr_eq(&self.file, file)
    }

    pub(super) fn start(&self) -> usize {
        self.span.start
    }
}

/// One problem, as the operator shall read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the server may start all the same.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop, and naming which one.
    pub message: String,
    /// The piece of a file to look at, if it is in a file.
    pub place: Option<Place>,
    /// What to see at `place`, if the message does not say it.
    pub label: Option<String>,
    /// How to cure it.
    pub help: Option<String>,
    /// What led to it, the nearest cause first.
    pub causes: Vec<String>,
}

impl Diagnostic {
    /// A problem that keeps the server from starting.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message.into())
    }

    /// A problem that the server starts with.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message.into())
    }

    fn new(severity: Severity, message: String) -> Self {
        Self { severity, message, place: None, label: None, help: None, causes: Vec::new() }
    }

    /// Adds the piece of a file to look at, if there is one.
    pub fn at(mut self, place: impl Into<Option<Place>>) -> Self {
        self.place = place.into();
        self
    }

    /// Adds what to see there.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds the cure.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds `error` and all that it stems from.
    pub fn caused_by(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Whether the server must not start.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The problem as several lines of text without a line end, with ANSI colours or without.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut report = Group::with_title(level.primary_title(visible(&self.message)));
        if let Some(place) = &self.place {
            report = self.point_at(place, report);
        }
        for cause in &self.causes {
            report = report.element(Level::NOTE.with_name("caused by").message(visible(cause)));
        }
        if let Some(help) = &self.help {
            report = report.element(Level::HELP.message(visible(help)));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[report])
    }

    fn point_at<'a>(&'a self, place: &'a Place, report: Group<'a>) -> Group<'a> {
        let file = &place.file;
        let name = visible(&file.name);
        let (line, column) = file.position(place.span.start);
        let (start, lines) = file.lines(&place.span);
        if !file.shown || lines.len() > LONGEST_EXCERPT {
            return report.element(Origin::path(name).line(line).char_column(column));
        }
        // The carriage return of a line end is not among the lines, but a span may begin or end behind it.
        let [from, to] = [place.span.start, place.span.end].map(|at| at.saturating_sub(start).min(lines.len()));
        let annotation = AnnotationKind::Primary.span(from..to).label(self.label.as_deref().map(visible));
        report.element(Snippet::source(file.visible(start, lines)).path(name).line_start(line).annotation(annotation))
    }
}

/// `text` with its control characters spelled out, so that a file's contents cannot drive a terminal.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            let _ = write!(visible, "{}", character.escape_default());
        } else {
            visible.push(character);
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use crate::config::diagnostic::*;

    fn plain(text: &str, span: Range<usize>) -> String {
        let file = SourceFile::new("modules.toml", text);
        Diagnostic::error("no").at(Place::new(&file, span)).label("here").help("do").render(false)
    }

    #[test]
    fn a_problem_is_shown_with_its_place_causes_and_cure() {
        let file = SourceFile::new("a/modules.toml", "[[module]]\r\nroute = 3\r\nmodule = 'x'\r\n");
        let cause = std::io::Error::other("disk on fire");
        let problem = Diagnostic::warning("`route` must be a string")
            .at(Place::new(&file, 20..21))
            .label("this is an integer")
            .caused_by(&cause)
            .help("write `\"3\"`");
        let expected = "\
warning: `route` must be a string
 --> a/modules.toml:2:9
  |
2 | route = 3
  |         ^ this is an integer
  |
  = caused by: disk on fire
  = help: write `\"3\"`";
        assert_eq!(problem.render(false), expected);
        assert!(problem.render(true).contains("\x1b["));
    }

    #[test]
    fn a_problem_outside_of_files_is_shown_without_a_place() {
        assert_eq!(Diagnostic::error("no").render(false), "error: no");
        assert_eq!(Diagnostic::error("no").help("do").render(false), "error: no\n |\n = help: do");
    }

    #[test]
    fn columns_count_characters_and_lines_count_newlines() {
        for (text, span, position) in [
            ("", 0..0, ":1:1\n"),
            ("", 5..9, ":1:1\n"),
            ("a = 1\n", 6..6, ":2:1\n"),
            ("a = 1", 5..5, ":1:6\n"),
            ("a = 1\r\nb = 2\r\n", 7..8, ":2:1\n"),
            ("\ta = 1\n", 1..2, ":1:2\n"),
            ("é = ü", 6..8, ":1:5\n"),
            ("é = ü", 7..7, ":1:6\n"),
            ("é", 1..1, ":1:1\n"),
            ("a\n\n\n", 3..4, ":3:1\n"),
            ("a\nb\nc\nd", 2..5, ":2:1\n"),
        ] {
            let shown = plain(text, span.clone());
            assert!(shown.contains(&format!("modules.toml{position}")), "{text:?} {span:?}: {shown}");
        }
    }

    #[test]
    #[expect(clippy::reversed_empty_ranges, reason = "a broken span is what is tried")]
    fn no_span_is_too_strange_to_be_shown() {
        let long = format!("x = '{}é'\n\u{1b}[31m\0\ty\r\n\u{202e}z", "é\t".repeat(3000));
        for text in ["", "\n", "\r\n", "é\r", "a\n\u{2028}b\t\tc\u{301}\n", long.as_str()] {
            let length = text.len();
            for start in (0..length + 3).step_by(1 + length / 50) {
                for end in [0, start, start + 1, start + 7, length, usize::MAX] {
                    assert!(plain(text, start..end).contains(" modules.toml:"));
                }
            }
            plain(text, usize::MAX..0);
        }
    }

    #[test]
    fn lines_of_secrets_and_endless_lines_are_not_shown() {
        let secrets = SourceFile::secret(".env", "A=1\nPASSWORD hunter2\n");
        let shown = Diagnostic::warning("no").at(Place::new(&secrets, 4..20)).help("do").render(false);
        assert_eq!(shown, "warning: no\n--> .env:2:1\n = help: do");
        let shown = plain(&"a".repeat(LONGEST_EXCERPT + 1), 3..4);
        assert!(shown.contains("modules.toml:1:4") && shown.len() < 100, "{shown}");
    }

    #[test]
    fn concealed_pieces_are_asterisks_and_nothing_moves() {
        let file = SourceFile::new("m.toml", "A = 'sécret', B = 3\nC = 's'");
        file.redact(vec![4..13, 26..29]);
        let shown = Diagnostic::error("no").at(Place::new(&file, 15..16)).label("here").render(false);
        assert!(shown.contains("1 | A = *********, B = 3\n  |                ^ here"), "{shown}");
        assert!(!format!("{:?}", Place::new(&file, 0..1)).contains("cret"));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let shown = Diagnostic::error("unknown key `\u{1b}[2J\u{7}`").render(false);
        assert_eq!(shown, "error: unknown key `\\u{1b}[2J\\u{7}`");
    }
}
