//! Which parts of a modules.toml are never shown?
//!
//! The values of `environment`, and of keys that look like a misspelt `environment`: they may be passwords. `manifest`
//! marks them before it reports any problem, so that no excerpt of the file contains one.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::config::reader::suggest::nearest;
use crate::config::reader::values::Value;

/// The table headers that end a redacted part. Another line that begins with a bracket may be inside a value.
const TABLE_HEADERS: [&str; 3] = ["[[module", "[module", "[limits"];

/// Returns the spans to redact in a file with the tree `root`.
pub(in crate::config) fn values(root: &DeTable<'_>) -> Vec<Range<usize>> {
    let mut redacted = Vec::new();
    redact_table(root, false, &mut redacted);
    redacted
}

fn redact_table(table: &DeTable<'_>, within: bool, redacted: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        redact_value(value, within || is_for_variables(key.get_ref()), redacted);
    }
}

fn redact_value(value: &Value<'_>, within: bool, redacted: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(inner) => redact_table(inner, within, redacted),
        DeValue::Array(inner) => inner.iter().for_each(|value| redact_value(value, within, redacted)),
        _ if within => redacted.push(value.span()),
        _ => {}
    }
}

fn is_for_variables(key: &str) -> bool {
    match key {
        "env_file" | "secrets" => false,
        _ if key.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("env")) => true,
        // A word of another length is too different from `environment`.
        _ => (8..=14).contains(&key.len()) && nearest(key, ["environment"]).is_some(),
    }
}

/// Returns the spans to redact in a file that is not valid TOML: from the first word that may be such a key to the next
/// header.
pub(in crate::config) fn pieces(text: &str) -> Vec<Range<usize>> {
    let mut redacted = Vec::new();
    let mut start = 0;
    let mut open = None;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start();
        if TABLE_HEADERS.iter().any(|header| content.starts_with(header)) {
            redacted.extend(open.take().map(|from| from..start));
        }
        let mut words = content.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        if open.is_none() && words.any(|word| !word.is_empty() && is_for_variables(word)) {
            // A header and a key are shown; the rest of the line is not.
            let shown = line.find('=').filter(|_| !content.starts_with('[')).map_or(line.len(), |equals| equals + 1);
            open = Some(start + shown);
        }
        start += line.len();
    }
    redacted.extend(open.map(|from| from..text.len()));
    redacted
}

#[cfg(test)]
mod tests {
    use crate::config::environment::redaction::*;

    fn shown(text: &str, redacted: &[Range<usize>]) -> String {
        let is_shown = |at: &usize| !redacted.iter().any(|range| range.contains(at));
        text.char_indices().filter(|(at, _)| is_shown(at)).map(|(_, letter)| letter).collect()
    }

    #[test]
    fn values_of_variables_are_redacted_and_nothing_else() {
        for (text, left) in [
            ("environment = { A = 's', B = 3 }\nroute = '/'", "environment = { A = , B =  }\nroute = '/'"),
            ("[[module]]\nenvironment.A = 's'\nargv = 'x'", "[[module]]\nenvironment.A = \nargv = 'x'"),
            ("[[module]]\n[module.environment]\nA = '''s\ns'''", "[[module]]\n[module.environment]\nA = "),
            ("enviroment = ['s', { a = 's' }]", "enviroment = [, { a =  }]"),
            ("[env]\nA = 's'", "[env]\nA = "),
            ("environment = 's'", "environment = "),
            ("env_file = 'a.env'\nsecrets = { A = '/run/a' }", "env_file = 'a.env'\nsecrets = { A = '/run/a' }"),
        ] {
            let tree = DeTable::parse(text).expect(text);
            assert_eq!(shown(text, &values(tree.get_ref())), left, "{text}");
        }
    }

    #[test]
    fn in_a_broken_file_whole_pieces_are_redacted() {
        for (text, left) in [
            ("route = '/'\nargv = 'x", "route = '/'\nargv = 'x"),
            ("a = 1\nenvironment = { A = 's }\nb = 's'\n[[module]]\nc = 1", "a = 1\nenvironment =[[module]]\nc = 1"),
            ("[module.environment]\nA = \"s\n's\n[limits]\nx", "[module.environment]\n[limits]\nx"),
            ("environment.A = 's", "environment.A ="),
            ("module = [{ environment = { A = 's } }]", "module ="),
            ("enviroment\n= 's", "enviroment\n"),
        ] {
            assert_eq!(shown(text, &pieces(text)), left, "{text}");
        }
    }
}
