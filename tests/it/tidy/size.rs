//! How long are functions, files and folders? Short enough to be read in one go.

use std::collections::BTreeMap;
use std::path::Path;

use super::source::{Source, item_length, program, sources};

/// A function of more lines does several things.
const LONGEST_FUNCTION: usize = 50;

/// A file of more lines of code is two files.
const LONGEST_FILE: usize = 400;

/// What a look at a folder takes in.
const MOST_FILES: usize = 12;

/// The functions of a source: the line each begins on, and how many lines it has.
fn functions(source: &Source) -> Vec<(usize, usize)> {
    let code = &source.code;
    let starts = code
        .match_indices("fn ")
        .filter(|(at, _)| !code[..*at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_'));
    let of_start = |(at, _): (usize, &str)| {
        let length = item_length(&code[at..]);
        let line = code[..at].matches('\n').count() + 1;
        (line, code[at..at + length].matches('\n').count() + 1)
    };
    starts.map(of_start).collect()
}

#[test]
fn functions_are_short_enough_to_read() {
    let mut long = Vec::new();
    for source in program() {
        let found = functions(&source).into_iter().filter(|(_, length)| *length > LONGEST_FUNCTION);
        long.extend(found.map(|(line, length)| format!("{}: {length} lines", source.at(line))));
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn files_are_short_enough_to_read() {
    let lengths = program().into_iter().map(|source| (source.lines().count(), source.path));
    let long: Vec<_> = lengths.filter(|(length, _)| *length > LONGEST_FILE).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn folders_are_small_enough_to_know() {
    let mut files: BTreeMap<String, usize> = BTreeMap::new();
    for source in sources("src") {
        let folder = source.path.parent().unwrap_or(Path::new("")).display().to_string();
        *files.entry(folder).or_default() += 1;
    }
    files.retain(|_, count| *count > MOST_FILES);
    assert!(files.is_empty(), "{files:#?}");
}
