//! Do ARCHITECTURE.md and CONTRIBUTING.md say what the tree is? Paths, the code map and the walls.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::source::sources;
use super::walls::{CRATES, ROOMS};

const PAGES: [&str; 2] = ["ARCHITECTURE.md", "CONTRIBUTING.md"];

/// Folders whose files the pages name. Other words in backticks are no paths.
const FOLDERS: [&str; 7] = ["src/", "tests/", "bench/", "guests/", "examples/", "docs/", ".ci/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect("a page")
}

/// What stands in backticks in a text without blocks of code.
fn in_backticks(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// A page without its blocks of code.
fn prose(page: &str) -> String {
    page.split("```").step_by(2).collect()
}

/// The part of a page below one of its headings.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let (_, below) = page.split_once(&format!("\n## {heading}\n")).expect(heading);
    below.split_once("\n## ").map_or(below, |(section, _)| section)
}

/// The paths of a map, in which each step to the right is a folder.
fn mapped(map: &str) -> Vec<String> {
    let mut folders: Vec<&str> = Vec::new();
    let mut paths = Vec::new();
    for line in map.lines().filter(|line| !line.trim().is_empty()) {
        let depth = (line.len() - line.trim_start().len()) / 2;
        folders.truncate(depth);
        folders.extend(line.split_whitespace().next());
        paths.push(folders.concat());
    }
    paths
}

fn code_map() -> Vec<String> {
    let page = page("ARCHITECTURE.md");
    mapped(section(&page, "Code map").split("```text\n").nth(1).expect("a map").split("```").next().expect("a map"))
}

#[test]
fn every_path_that_the_pages_name_is_there() {
    // A command has a blank in it.
    let is_path = |text: &&str| FOLDERS.iter().any(|folder| text.starts_with(folder)) && !text.contains(' ');
    let (mut found, mut missing) = (0, Vec::new());
    for name in PAGES {
        let text = prose(&page(name));
        for path in in_backticks(&text).into_iter().filter(is_path) {
            found += 1;
            if !root().join(path).exists() {
                missing.push(format!("{name}: {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(found > 150, "only {found} paths are found");
}

/// The words of a text that look like the name of a type: `Gateway`, but not `PATH` or `Content-Type`.
fn type_names(text: &str) -> Vec<&str> {
    let is_name = |word: &&str| {
        word.starts_with(char::is_uppercase)
            && word.contains(char::is_lowercase)
            && word.chars().all(char::is_alphanumeric)
    };
    text.split("::").filter(is_name).collect()
}

#[test]
fn every_type_that_the_map_names_is_there() {
    let code: String = sources("src").iter().map(|source| source.code.clone()).collect();
    let known: BTreeSet<&str> = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
    let text = prose(&page("ARCHITECTURE.md"));
    let named: BTreeSet<&str> = in_backticks(&text).into_iter().flat_map(type_names).collect();
    let missing: Vec<_> = named.iter().filter(|name| !known.contains(*name)).collect();
    assert!(missing.is_empty(), "no type: {missing:#?}");
    assert!(named.len() > 30, "only {} names are found", named.len());
}

#[test]
fn the_code_map_is_the_tree() {
    let map = code_map();
    let missing: Vec<_> = map.iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "on the map only: {missing:#?}");
    let mut seen = BTreeSet::new();
    let twice: Vec<_> = map.iter().filter(|path| !seen.insert(*path)).collect();
    assert!(twice.is_empty(), "on the map twice: {twice:#?}");
    let mapped: BTreeSet<&str> = map.iter().map(String::as_str).filter(|path| path.starts_with("src/")).collect();
    let files: BTreeSet<String> = sources("src").iter().map(|source| source.path.display().to_string()).collect();
    let missing: Vec<_> = files.iter().filter(|path| !mapped.contains(path.as_str())).collect();
    assert!(missing.is_empty(), "not on the map: {missing:#?}");
}

#[test]
fn the_table_of_walls_is_the_one_that_is_checked() {
    let page = page("ARCHITECTURE.md");
    let rows = section(&page, "Walls").lines().filter(|line| line.starts_with("| `"));
    let written: Vec<[Vec<&str>; 3]> = rows
        .map(|row| {
            let mut cells = row.trim_matches('|').split('|').map(in_backticks);
            std::array::from_fn(|_| cells.next().expect("three cells"))
        })
        .collect();
    let crates = |room: &str| CRATES.iter().find(|(path, _)| *path == format!("src/{room}")).map(|(_, crates)| *crates);
    let checked: Vec<[Vec<&str>; 3]> = ROOMS
        .iter()
        .map(|(room, known)| [vec![*room], known.to_vec(), crates(room).unwrap_or_default().to_vec()])
        .collect();
    assert_eq!(written, checked);
}

#[test]
fn maps_are_read_step_by_step() {
    assert_eq!(mapped("a/\n  b.rs   text\n  c/  text\n    d.rs\n\ne\n"), ["a/", "a/b.rs", "a/c/", "a/c/d.rs", "e"]);
}
