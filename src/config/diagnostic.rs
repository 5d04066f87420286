//! How is a problem in the configuration shown to the operator?
//!
//! The readers of this room return diagnostics and do not fail at the first problem. Later stages of a start create
//! them too, with a [`SourceLocation`] from an [`Origin`](crate::config::Origin). `cli` prints them and ends if one is
//! an error.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::format::causes;
use crate::printable;

/// The longest excerpt of a file in bytes. A longer one is not shown, because rendering it takes time.
const MAX_EXCERPT: usize = 4096;

/// Whether a problem keeps the server from starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The server must not start.
    Error,
    /// The server starts, but perhaps not as the operator meant.
    Warning,
}

/// The name and the text of a file that was read.
#[derive(PartialEq, Eq)]
pub struct SourceFile {
    name: String,
    text: String,
    is_secret: bool,
    /// The spans that are never shown, in their order.
    redacted: OnceLock<Vec<Range<usize>>>,
    /// The offset of each line, computed when it is first needed.
    line_starts: OnceLock<Vec<usize>>,
}

impl SourceFile {
    /// Creates a file whose lines may be shown.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Self::create(name.into(), text.into(), false)
    }

    /// Creates a file of secrets: messages show line and column only.
    pub fn secret(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Self::create(name.into(), text.into(), true)
    }

    fn create(name: String, text: String, is_secret: bool) -> Arc<Self> {
        Arc::new(Self { name, text, is_secret, redacted: OnceLock::new(), line_starts: OnceLock::new() })
    }

    /// Sets the spans that are never shown. Only the first call has an effect.
    pub(super) fn redact(&self, mut spans: Vec<Range<usize>>) {
        spans.sort_by_key(|span| span.start);
        spans.dedup_by(|next, before| {
            let overlaps = next.start <= before.end;
            before.end = if overlaps { before.end.max(next.end) } else { before.end };
            overlaps
        });
        self.redacted.get_or_init(|| spans);
    }

    /// Returns the text of the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns line and column of a byte, both counted from 1, the column in characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let starts = self.line_starts.get_or_init(|| {
            let newlines = self.text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
            std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect()
        });
        let line = starts.partition_point(|&start| start <= offset);
        let start = starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        (line, self.text.get(start..offset).unwrap_or_default().chars().count() + 1)
    }

    /// Returns `lines`, which begin at `start`, with an asterisk for each redacted byte, so that columns do not change.
    fn redacted_lines(&self, start: usize, lines: &str) -> String {
        let redacted: &[Range<usize>] = self.redacted.get().map_or(&[], Vec::as_slice);
        // A file may have thousands of redacted spans, which do not overlap. Only those within the lines count.
        let first = redacted.partition_point(|piece| piece.end <= start);
        let near: Vec<_> = redacted.iter().skip(first).take_while(|piece| piece.start < start + lines.len()).collect();
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

    /// Returns the whole lines that `span` touches, and the offset of the first.
    fn lines(&self, span: &Range<usize>) -> (usize, &str) {
        let start = self.text.get(..span.start).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        let rest = self.text.get(span.end..).unwrap_or_default();
        let end = rest.find('\n').map_or(self.text.len(), |newline| span.end + newline);
        let lines = self.text.get(start..end).unwrap_or_default();
        (start, lines.strip_suffix('\r').unwrap_or(lines))
    }
}

/// Omits the text, which may contain secrets.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A span of bytes in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLocation {
    file: Arc<SourceFile>,
    span: Range<usize>,
}

impl SourceLocation {
    /// Creates a location. A span that ends outside of the text or within a character is corrected.
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

    /// Returns the name of the file.
    pub fn file_name(&self) -> &str {
        &self.file.name
    }

    /// Returns line and column, both counted from 1, the column in characters.
    pub fn position(&self) -> (usize, usize) {
        self.file.position(self.span.start)
    }

    /// Returns the number of its line, counted from 1.
    pub fn line(&self) -> usize {
        self.file.position(self.span.start).0
    }
}

/// A problem, as shown to the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the problem keeps the server from starting.
    pub severity: Severity,
    /// The problem: lower case, no full stop, with the name of the faulty item.
    pub message: String,
    /// The location, if the problem is in a file.
    pub location: Option<SourceLocation>,
    /// The route of the entry that the problem is in, if the message does not name it.
    pub route: Option<String>,
    /// A text at the location, if the message does not say enough.
    pub label: Option<String>,
    /// What to do about it.
    pub help: Option<String>,
    /// The causes, the nearest first.
    pub causes: Vec<String>,
}

impl Diagnostic {
    /// Creates a problem that keeps the server from starting.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message.into())
    }

    /// Creates a problem that does not keep the server from starting.
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message.into())
    }

    fn new(severity: Severity, message: String) -> Self {
        Self { severity, message, location: None, route: None, label: None, help: None, causes: Vec::new() }
    }

    /// Sets the location, if there is one.
    pub fn at(mut self, location: impl Into<Option<SourceLocation>>) -> Self {
        self.location = location.into();
        self
    }

    /// Sets the text at the location.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets the help.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds `error` and its sources as causes.
    pub fn caused_by(mut self, error: &(dyn Error + 'static)) -> Self {
        self.causes.extend(causes(error));
        self
    }

    /// Returns whether the problem keeps the server from starting.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Returns the problem as lines of text without a final line end, with or without ANSI colours.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut report = Group::with_title(level.primary_title(printable::line(&self.message)));
        if let Some(location) = &self.location {
            report = self.point_at(location, report);
        }
        if let Some(route) = &self.route {
            report = report.element(Level::NOTE.with_name("route").message(printable::line(route)));
        }
        for cause in &self.causes {
            report = report.element(Level::NOTE.with_name("caused by").message(printable::one_line(cause)));
        }
        if let Some(help) = &self.help {
            report = report.element(Level::HELP.message(printable::line(help)));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[report])
    }

    fn point_at<'a>(&'a self, location: &'a SourceLocation, report: Group<'a>) -> Group<'a> {
        let file = &location.file;
        let name = printable::line(&file.name);
        let (line, column) = file.position(location.span.start);
        let (start, lines) = file.lines(&location.span);
        if file.is_secret || lines.len() > MAX_EXCERPT {
            return report.element(Origin::path(name).line(line).char_column(column));
        }
        // The lines have no carriage return at their end, but a span may begin or end behind it.
        let [from, to] = [location.span.start, location.span.end].map(|at| at.saturating_sub(start).min(lines.len()));
        let annotation = AnnotationKind::Primary.span(from..to).label(self.label.as_deref().map(printable::line));
        report.element(
            Snippet::source(printable::excerpt(&file.redacted_lines(start, lines)).into_owned())
                .path(name)
                .line_start(line)
                .annotation(annotation),
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::config::diagnostic::*;

    fn plain(text: &str, span: Range<usize>) -> String {
        let file = SourceFile::new("modules.toml", text);
        Diagnostic::error("no").at(SourceLocation::new(&file, span)).label("here").help("do").render(false)
    }

    #[test]
    fn a_problem_is_shown_with_its_location_causes_and_help() {
        let file = SourceFile::new("a/modules.toml", "[[module]]\r\nroute = 3\r\nmodule = 'x'\r\n");
        let cause = std::io::Error::other("disk on fire");
        let problem = Diagnostic::warning("`route` must be a string")
            .at(SourceLocation::new(&file, 20..21))
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
    fn a_problem_outside_of_files_is_shown_without_a_location() {
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
        let shown = Diagnostic::warning("no").at(SourceLocation::new(&secrets, 4..20)).help("do").render(false);
        assert_eq!(shown, "warning: no\n--> .env:2:1\n = help: do");
        let shown = plain(&"a".repeat(MAX_EXCERPT + 1), 3..4);
        assert!(shown.contains("modules.toml:1:4") && shown.len() < 100, "{shown}");
    }

    #[test]
    fn redacted_spans_are_asterisks_and_columns_do_not_change() {
        let file = SourceFile::new("m.toml", "A = 'sécret', B = 3\nC = 's'");
        file.redact(vec![4..13, 26..29]);
        let shown = Diagnostic::error("no").at(SourceLocation::new(&file, 15..16)).label("here").render(false);
        assert!(shown.contains("1 | A = *********, B = 3\n  |                ^ here"), "{shown}");
        assert!(!format!("{:?}", SourceLocation::new(&file, 0..1)).contains("cret"));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let shown = Diagnostic::error("unknown key `\u{1b}[2J\u{7}`").render(false);
        assert_eq!(shown, "error: unknown key `\\u{1b}[2J\\u{7}`");
    }
}
