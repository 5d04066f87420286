//! Environment files, and the variables of `--env`.
//!
//! A file has lines of the form `NAME=VALUE`. A later variable replaces an earlier one of the same name.

use std::path::Path;
use std::sync::Arc;

use crate::config::reader::file;
use crate::config::{Diagnostic, SourceFile, SourceLocation};

/// The largest environment file in bytes.
const MAX_FILE_SIZE: u64 = 4 << 20;

/// Why a text is not a variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    /// The `=` is missing.
    #[error("no `=` in `{0}`: a variable is written `NAME=VALUE`")]
    NoEquals(String),
    /// The name before the `=` is empty.
    #[error("no name before the `=`: a variable is written `NAME=VALUE`")]
    NoName,
}

/// Parses a `NAME=VALUE` of the command line.
///
/// Quotes around the value are removed, because some process supervisors pass on a value that was quoted for a shell.
pub fn parse_pair(text: &str) -> Result<(String, String), PairError> {
    let (name, value) = text.split_once('=').ok_or_else(|| PairError::NoEquals(text.to_owned()))?;
    if name.is_empty() {
        return Err(PairError::NoName);
    }
    let quote = ['"', '\''].into_iter().find(|&quote| value.starts_with(quote) && value.ends_with(quote));
    let value = quote.map_or(value, |quote| value.trim_matches(quote));
    Ok((name.to_owned(), value.to_owned()))
}

/// Sets a variable. Replaces an earlier one of the same name.
pub(in crate::config) fn set(variables: &mut Vec<(String, String)>, name: &str, value: &str) {
    match variables.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => value.clone_into(old),
        None => variables.push((name.to_owned(), value.to_owned())),
    }
}

/// Adds the variables of the file at `path`. Other lines are reported as warnings.
pub(in crate::config) fn read(path: &Path, variables: &mut Vec<(String, String)>, problems: &mut Vec<Diagnostic>) {
    match file::read(path, "environment file", MAX_FILE_SIZE, SourceFile::secret) {
        Ok(file) => problems.extend(parse(&file, variables)),
        Err(problem) => problems.push(*problem),
    }
}

fn parse(file: &Arc<SourceFile>, variables: &mut Vec<(String, String)>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut start = 0;
    for line in file.text().split_inclusive('\n') {
        let content = line.trim_start_matches('\u{feff}').trim();
        if !content.is_empty() && !content.starts_with('#') {
            match parse_line(content) {
                Some((name, value)) => set(variables, name, value),
                None => problems.push(not_a_variable(SourceLocation::new(file, start..start + line.len()))),
            }
        }
        start += line.len();
    }
    problems
}

fn not_a_variable(location: SourceLocation) -> Diagnostic {
    let help = "write `NAME=VALUE`, `NAME=\"VALUE\"` or `NAME='VALUE'`; names are letters, digits, `_` and `-`";
    Diagnostic::warning("this line sets no variable and is ignored").at(location).help(help)
}

fn parse_line(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once('=')?;
    let name = match name.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest,
        _ => name,
    };
    let (name, value) = (name.trim(), value.trim());
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let value = unquote(value)?;
    (is_name && !value.contains('\0')).then_some((name, value))
}

/// Removes the quotes of a value. A double quote at one end only is removed too, as in WAGI 0.8.
fn unquote(value: &str) -> Option<&str> {
    let single = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\''));
    if let Some(inner) = single {
        return (!inner.contains('\'')).then_some(inner);
    }
    let value = value.strip_prefix('"').unwrap_or(value);
    let value = value.strip_suffix('"').unwrap_or(value);
    (!value.contains('"')).then_some(value)
}

#[cfg(test)]
mod tests {
    use crate::config::environment::env_file::*;

    #[test]
    fn a_pair_is_split_at_its_first_equals_and_loses_its_quotes() {
        for (text, pair) in [
            ("FOO=bar", Some(("FOO", "bar"))),
            ("FOO=", Some(("FOO", ""))),
            ("FOO=\"bar -s\"", Some(("FOO", "bar -s"))),
            ("FOO='bar -s'", Some(("FOO", "bar -s"))),
            ("FOO=\"bar \" -s\"", Some(("FOO", "bar \" -s"))),
            ("FOO=bar\"", Some(("FOO", "bar\""))),
            ("FOO=\"\"", Some(("FOO", ""))),
            ("FOO=\"", Some(("FOO", ""))),
            ("FOO=\"a'", Some(("FOO", "\"a'"))),
            ("FOO=a=b", Some(("FOO", "a=b"))),
            ("FOO", None),
            ("=bar", None),
        ] {
            let parsed = parse_pair(text).ok();
            assert_eq!(parsed.as_ref().map(|(name, value)| (&**name, &**value)), pair, "{text}");
        }
    }

    #[test]
    fn lines_set_variables() {
        for (line, variable) in [
            ("A=1", Some(("A", "1"))),
            ("  A = 1  ", Some(("A", "1"))),
            ("A=", Some(("A", ""))),
            ("export A=1", Some(("A", "1"))),
            ("export\tA=1", Some(("A", "1"))),
            ("export=1", Some(("export", "1"))),
            ("exported=1", Some(("exported", "1"))),
            ("A=\"a b\"", Some(("A", "a b"))),
            ("A='say \"hi\"'", Some(("A", "say \"hi\""))),
            ("A=it's", Some(("A", "it's"))),
            ("A=\"it's\"", Some(("A", "it's"))),
            ("A=\"open", Some(("A", "open"))),
            ("A=b=c # d", Some(("A", "b=c # d"))),
            ("a-B_9=é", Some(("a-B_9", "é"))),
            ("A", None),
            ("=1", None),
            ("A B=1", None),
            ("É=1", None),
            ("A=\"a\" b", None),
            ("A='a' b'", None),
            ("A=a\"b\"c", None),
            ("A=\0", None),
        ] {
            assert_eq!(parse_line(line.trim()), variable, "{line}");
        }
    }

    #[test]
    fn a_file_is_read_line_by_line_and_later_variables_win() {
        let text = "\u{feff}FIRST=1\r\n# note\r\n\r\n  # note\nSECOND=2\nnonsense\nSECOND = two\nTHIRD";
        let file = SourceFile::secret("a.env", text);
        let mut variables = vec![("FIRST".to_owned(), "0".to_owned())];
        let problems = parse(&file, &mut variables);
        let pairs: Vec<_> = variables.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(pairs, [("FIRST", "1"), ("SECOND", "two")]);
        let shown: Vec<_> = problems.iter().map(|problem| problem.render(false)).collect();
        assert_eq!(shown.len(), 2);
        assert!(shown[0].contains("a.env:6:1") && !shown[0].contains("nonsense"), "{}", shown[0]);
        assert!(shown[1].contains("a.env:8:1"), "{}", shown[1]);
    }
}
