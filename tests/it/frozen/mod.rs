//! Does the program still say to the letter what it has promised? `tests/frozen.toml` holds the promises.
//!
//! | file | promise |
//! | --- | --- |
//! | `command_line` | commands, options, environment variables, exit codes, the ready line |
//! | `keys` | keys of configuration files |
//! | `log` | the lines of the log, and what can become of a request |
//! | `metrics` | names, types and labels of metrics |
//! | `programs` | variables and fields that programs see, responses of wagi's own |
//! | `traces` | variables, spans and attributes of traces |

mod command_line;
mod keys;
mod log;
mod metrics;
pub mod programs;
mod traces;

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

use crate::support::tree::text;

/// The promises at a path such as `log.outcomes`. Parts with a dot in them are in quotes, as in TOML.
pub fn promised(path: &[&str]) -> Vec<String> {
    let value = promise(path);
    let Value::Array(values) = value else { panic!("{path:?} is no list") };
    values.iter().map(|value| value.as_str().expect("a string").to_owned()).collect()
}

/// The one promise at a path.
fn promised_text(path: &[&str]) -> String {
    promise(path).as_str().expect("a string").to_owned()
}

/// The names of the tables and values below a path.
pub fn promised_names(path: &[&str]) -> Vec<String> {
    let Value::Table(table) = promise(path) else { panic!("{path:?} is no table") };
    table.keys().cloned().collect()
}

fn promise(path: &[&str]) -> Value {
    let table: Table = text("tests/frozen.toml").parse().expect("TOML");
    let descend = |value: Value, part: &&str| value.get(part).unwrap_or_else(|| panic!("no {path:?}")).clone();
    path.iter().fold(Value::Table(table), descend)
}

/// Fails unless both hold the same strings, in any order.
#[track_caller]
fn are_the_same(what: &str, promised: &[String], found: impl IntoIterator<Item = String>) {
    let promised: BTreeSet<String> = promised.iter().cloned().collect();
    let found: BTreeSet<String> = found.into_iter().collect();
    let missing: Vec<_> = promised.difference(&found).collect();
    let unlisted: Vec<_> = found.difference(&promised).collect();
    assert!(
        missing.is_empty() && unlisted.is_empty(),
        "{what}: promised in tests/frozen.toml and gone: {missing:#?}\nthere and not listed in it: {unlisted:#?}"
    );
}

/// Whether a text is what a template with `{}` in it stands for.
pub fn fits(template: &str, text: &str) -> bool {
    let Some((first, rest)) = template.split_once("{}") else { return template == text };
    let Some(text) = text.strip_prefix(first) else { return false };
    rest.is_empty() || text.char_indices().any(|(at, _)| fits(rest, &text[at..])) || fits(rest, "")
}

#[test]
fn templates_fit_what_they_stand_for() {
    for (template, text, does) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a {} c", "a bb c", true),
        ("a {} c", "a bb c d", false),
        ("a {}", "a ", true),
        ("{}: {}, {}", "x: y, z", true),
        ("{}: {}, {}", "x: y", false),
        ("[{}]", "[]", true),
    ] {
        assert_eq!(fits(template, text), does, "{template:?} {text:?}");
    }
}

/// Names of which users read somewhere.
#[test]
fn what_is_promised_is_in_the_documentation() {
    let pages = all_pages();
    let mut names: Vec<String> = Vec::new();
    for command in promised_names(&["commands"]) {
        let options = promised(&["commands", &command, "options"]);
        names.extend(options.iter().map(|option| long_name(option).to_owned()));
        names.push(command);
    }
    names.extend(promised(&["environment", "read"]));
    names.extend(promised(&["environment", "read_by_libraries"]));
    names.extend(promised(&["traces", "variables"]));
    names.extend(promised(&["traces", "spans"]));
    names.extend(promised(&["traces", "attributes"]));
    for file in ["modules.toml", "cache.toml"] {
        names.extend(promised_names(&["keys", file]).iter().flat_map(|table| promised(&["keys", file, table])));
    }
    names.extend(promised(&["log", "access_json"]));
    names.extend(promised(&["log", "outcomes"]).iter().map(|outcome| first_word(outcome)));
    let absent: BTreeSet<_> = names.into_iter().filter(|name| !pages.contains(name)).collect();
    assert!(absent.is_empty(), "on no page of docs/: {absent:#?}");
}

/// `--config` of `-c, --config <FILE>`.
fn long_name(option: &str) -> &str {
    let start = option.find("--").expect("a long name");
    option[start..].split(' ').next().unwrap_or_default()
}

fn first_word(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn all_pages() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let entries =
        std::fs::read_dir(folder).expect("there is documentation").map(|entry| entry.expect("an entry").path());
    let pages = entries.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|path| std::fs::read_to_string(path).expect("a page is text")).collect()
}
